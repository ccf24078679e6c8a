"""Where the suite runs: a machine whose kernel makes virtual adapters, with a bluetoothd on its system bus."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bluez.lab.air import Ether
from tests.support.echo_twin import ADDRESS, EchoTwin
from tests.support.on_air import on_air
from tests.support.radio import running
from tests.support.virtual_adapter import virtual_adapter

LAB = (
    "run it in the lab: tests/bluez/lab/suite; "
    "or, on a kernel that has it, as root: modprobe hci_vhci && .venv/bin/python -m pytest tests/bluez"
)
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


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def adapter():
    """An adapter on an air of its own."""
    async with virtual_adapter(Ether()) as adapter:
        yield adapter


@pytest.fixture(scope="module")
async def ether(adapter):
    return adapter.ether


@pytest.fixture
async def twin(ether):
    """A lock on the air that echoes."""
    twin = EchoTwin()
    async with on_air(ether, twin) as peripheral:
        twin.peripheral = peripheral
        yield twin
    ether.heal(twin.address)


@pytest.fixture
async def radio(adapter):
    async with running(adapters=[adapter.address], ours={ADDRESS}) as radio:
        yield radio
