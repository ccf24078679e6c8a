"""The radio that the configuration asks for, and its virtual locks if it is the virtual one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bridge import catalog

if TYPE_CHECKING:
    from bridge.ble.caretaker import Caretaker
    from bridge.ble.radio import Radio
    from bridge.clock import Clock
    from bridge.config import Config
    from bridge.interlock import Interlock
    from bridge.radionews import RadioNews
    from drivers.base import Credential
    from drivers.virtual.peripheral import Twin


@runtime_checkable
class Pairable(Protocol):
    """A virtual lock that can be put into pairing mode, as by holding a real one's button."""

    pairing_mode: bool


@contextmanager
def ready_to_pair(twins: Iterable[Twin]) -> Generator[None]:
    """Put virtual locks into pairing mode, where they have one, for a while."""
    pairable = [twin for twin in twins if isinstance(twin, Pairable)]
    for twin in pairable:
        twin.pairing_mode = True
    try:
        yield
    finally:
        for twin in pairable:
            twin.pairing_mode = False


def virtual_locks(config: Config) -> dict[str, tuple[Twin, Credential]]:
    """Make the twin of each configured lock and the credential that opens it, by the lock's id.

    Empty unless the radio is the virtual one with its locks in this process.
    """
    if config.bluetooth.radio != "virtual" or config.bluetooth.virtual_air is not None:
        return {}
    return {
        lock.id: catalog.load(lock.driver).twin(lock.address, lock.name, lock.virtual, lock.options)
        for lock in config.locks
    }


def make(config: Config, clock: Clock, twins: Mapping[str, Twin], *, exclusive: bool = False) -> Radio:
    """Return the configured radio.

    Args:
        config: says which.
        clock: gives boot time.
        twins: the virtual locks by address, for a virtual radio whose locks live in this process.
        exclusive: whether other bridges on this machine are kept off the adapters.
    """
    if config.bluetooth.radio == "bluez":
        from bridge.ble.bluez import BluezRadio

        return BluezRadio(
            clock,
            adapters=config.bluetooth.adapters,
            max_connections=config.bluetooth.max_connections,
            ours=[lock.address for lock in config.locks],
            scan=config.bluetooth.scan,
            exclusive=exclusive,
        )
    from bridge.ble.air import LocalAir
    from bridge.ble.airsocket import SocketAir
    from bridge.ble.virtual import VirtualRadio

    elsewhere = config.bluetooth.virtual_air
    return VirtualRadio(SocketAir(str(elsewhere)) if elsewhere else LocalAir(twins), clock)


def caretaker(config: Config, radio: Radio, clock: Clock, interlock: Interlock, news: RadioNews) -> Caretaker | None:
    """Return who looks after a real radio; a virtual one needs nobody.

    Args:
        config: says which radio it is.
        radio: as `make` returned it.
        clock: gives boot time.
        interlock: knows whether a bolt may be moving.
        news: tells upstream of the radio's health.
    """
    if config.bluetooth.radio != "bluez":
        return None
    from bridge.ble.bluez import BluezRadio
    from bridge.ble.caretaker import Caretaker
    from bridge.ble.remedies import Remedies, runtime_dir

    if not isinstance(radio, BluezRadio):
        return None
    return Caretaker(radio, clock, interlock, remedies=Remedies(runtime_dir()), teller=news)
