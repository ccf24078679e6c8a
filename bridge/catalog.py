"""The installed drivers, found by entry point. A vendor's library is imported only when its driver is asked for."""

from __future__ import annotations

import functools
from importlib.metadata import entry_points, metadata
from typing import Any

from bridge.errors import BridgeError
from drivers.base import Driver

GROUP = "lock_bridge.drivers"


class DriverMissing(BridgeError):
    """There is no such driver, or it cannot be loaded. The message names the remedy."""


def installed() -> list[str]:
    """Return the names of the drivers that are installed, in order."""
    return sorted({point.name for point in entry_points(group=GROUP)})


@functools.cache
def load(name: str) -> Driver:
    """Return a driver, importing it and its vendor's library.

    Raises:
        DriverMissing: no driver has this name, or something it needs is not installed.
    """
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    if point is None:
        raise DriverMissing(f'there is no driver "{name}"; {_offer()}')
    try:
        found: Any = point.load()
    except (ImportError, AttributeError) as error:
        raise DriverMissing(f'the driver "{name}" cannot be loaded: {error}; {_remedy(name)}') from error
    driver = found() if isinstance(found, type) else found
    if not isinstance(driver, Driver):
        raise DriverMissing(f'what is installed as the driver "{name}" is none; update or remove {point.value}')
    return driver


def _offer() -> str:
    names = installed()
    return f"installed are: {', '.join(names)}" if names else 'install all with: pip install "lock-bridge[all]"'


def _remedy(name: str) -> str:
    """Name the extra that brings the driver's library, if the distribution has one for it."""
    extras = metadata("lock-bridge").get_all("Provides-Extra") or []
    extra = name if name in extras else "all"
    return f'install what it needs with: pip install "lock-bridge[{extra}]"'
