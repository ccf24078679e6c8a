"""The radio that the configuration asks for, and its virtual locks if it is the virtual one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bridge import catalog

if TYPE_CHECKING:
    from bridge.ble.radio import Radio
    from bridge.clock import Clock
    from bridge.config import Config
    from drivers.base import Credential
    from drivers.virtual.peripheral import Twin


def virtual_locks(config: Config) -> dict[str, tuple[Twin, Credential]]:
    """Make the twin of each configured lock and the credential that opens it, by the lock's id.

    Empty unless the radio is the virtual one with its locks in this process.
    """
    if config.bluetooth.radio != "virtual" or config.bluetooth.virtual_air is not None:
        return {}
    return {lock.id: catalog.load(lock.driver).twin(lock.address, lock.name, lock.virtual) for lock in config.locks}


def make(config: Config, clock: Clock, twins: Mapping[str, Twin]) -> Radio:
    """Return the configured radio.

    Args:
        config: says which.
        clock: gives boot time.
        twins: the virtual locks by address, for a virtual radio whose locks live in this process.
    """
    if config.bluetooth.radio == "bluez":
        from bridge.ble.bluez import BluezRadio

        return BluezRadio(
            clock,
            adapters=config.bluetooth.adapters,
            max_connections=config.bluetooth.max_connections,
            ours=[lock.address for lock in config.locks],
        )
    from bridge.ble.air import LocalAir
    from bridge.ble.airsocket import SocketAir
    from bridge.ble.virtual import VirtualRadio

    elsewhere = config.bluetooth.virtual_air
    return VirtualRadio(SocketAir(str(elsewhere)) if elsewhere else LocalAir(twins), clock)
