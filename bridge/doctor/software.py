"""What is installed, in which version."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from bridge import __version__, catalog
from bridge.doctor.finding import Finding, ok, warning

LIBRARIES = ("bleak", "dbus-fast", "paho-mqtt", "pydantic", "PyNaCl", "cryptography", "yalexs-ble", "PySwitchbot")
"""Those that talk to locks, brokers and radios."""


def versions() -> dict[str, str]:
    """Return the versions of all that matters and is installed."""
    found = {"lock-bridge": __version__, "python": platform.python_version(), "kernel": platform.release()}
    found["machine"] = platform.machine()
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def look() -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions, and of each driver that is installed but cannot be used, why."""
    broken: dict[str, str] = {}
    for name in catalog.installed():
        try:
            catalog.load(name)
        except catalog.DriverMissing as error:
            broken[name] = str(error)
    return versions(), broken


def judge(installed: dict[str, str], broken: dict[str, str], used: frozenset[str]) -> list[Finding]:
    """Tell what is installed, and which driver lacks something.

    Args:
        installed: versions by name.
        broken: why drivers cannot be used, by the driver.
        used: the drivers of the configured locks.
    """
    told = ", ".join(f"{name} {number}" for name, number in installed.items())
    return [
        ok("software", told),
        *(
            warning("software.drivers", why, f'install what it needs, for locks of this vendor: "lock-bridge[{name}]"')
            for name, why in broken.items()
            if name in used
        ),
    ]
