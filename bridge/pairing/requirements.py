"""What a driver's locks need of this machine, found out before anything is tried with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.doctor.bluetooth import UPGRADE, too_old, version_of
from bridge.doctor.machine import Machine
from drivers.base import BluezBound

if TYPE_CHECKING:
    from bridge.ble.radio import Radio
    from drivers.base import Driver


async def unmet(driver: Driver, radio: Radio, machine: Machine | None = None) -> str | None:
    """Say what a driver's locks lack to be used over a radio, and the remedy; None if nothing, as far as is known.

    Args:
        driver: the locks'.
        radio: the one that they are reached by. A virtual one needs no BlueZ.
        machine: this machine, whose BlueZ is asked for its version.
    """
    if not isinstance(driver, BluezBound):
        return None
    from bridge.ble.bluez import BluezRadio

    if not isinstance(radio, BluezRadio):
        return None
    printed = await (machine or Machine()).prints("bluetoothctl", "--version")
    version = version_of(printed.text) if printed else None
    why = too_old(version, driver) if version else None
    return None if why is None else f"{why}; {UPGRADE}"
