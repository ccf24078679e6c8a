"""Where the suite runs: a machine whose kernel makes virtual adapters, with a bluetoothd on its system bus."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

LAB = "run it in the lab: tests/bluez/lab/run .venv/bin/python -m pytest tests/bluez"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config, items):
    reason = _missing()
    if reason:
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=f"{reason}; {LAB}"))


def _missing() -> str | None:
    if not Path("/dev/vhci").exists():
        return "this kernel has no hci_vhci loaded"
    if not os.access("/dev/vhci", os.R_OK | os.W_OK):
        return "/dev/vhci may not be opened (root only)"
    if not Path("/run/dbus/system_bus_socket").exists():
        return "there is no D-Bus system bus"
    return None
