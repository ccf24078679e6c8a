"""What is known of each lock now, and which of it has not been published yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio

from bridge.bell import Bell
from bridge.ble.radio import Absence
from bridge.clock import Clock
from bridge.wire import text
from bridge.wire.state import Device, LastOperation, lock_state_name
from drivers.base import DoorState, LockState, Snapshot


@dataclass(slots=True)
class _Known:
    """One lock."""

    name: str
    driver: str
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(LockState.UNKNOWN, DoorState.UNKNOWN))
    absence: Absence | None = Absence.NEVER_SEEN
    rssi: int | None = None
    last_operation: LastOperation | None = None
    doubt: anyio.Event = field(default_factory=anyio.Event)
    """Set once the lock is lost, then another."""
    updated_at: str = ""


class States:
    """The state of every configured lock."""

    def __init__(self, clock: Clock, bell: Bell) -> None:
        self._clock = clock
        self._bell = bell
        self._locks: dict[str, _Known] = {}
        self._dirty: set[str] = set()

    def add(self, lock_id: str, name: str, driver: str) -> None:
        """Begin to know a lock, of which nothing is known yet."""
        self._locks[lock_id] = _Known(name, driver)
        self._touch(lock_id)

    def saw(self, lock_id: str, snapshot: Snapshot, rssi: int | None = None) -> None:
        """The lock itself reported this."""
        known = self._locks[lock_id]
        if rssi is not None:
            known.rssi = rssi
        merged = _merged(known.snapshot, snapshot)
        if known.snapshot != merged or known.absence is not None:
            known.snapshot = merged
            known.absence = None
            self._touch(lock_id)

    def lost(self, lock_id: str, absence: Absence) -> None:
        """The lock is not available: what it said before is no longer known to be so."""
        known = self._locks[lock_id]
        if known.absence is not absence:
            known.absence = absence
            known.snapshot = Snapshot(
                LockState.UNKNOWN, DoorState.UNKNOWN, known.snapshot.battery_level, known.snapshot.battery_critical
            )
            self._touch(lock_id)
            known.doubt.set()
            known.doubt = anyio.Event()

    async def doubted(self, lock_id: str) -> None:
        """Return once the lock's state is not known."""
        while self.known(lock_id):
            await self._locks[lock_id].doubt.wait()

    def absence(self, lock_id: str) -> Absence | None:
        """Return why the lock is not available; None if it is."""
        return self._locks[lock_id].absence

    def operated(self, lock_id: str, operation: LastOperation) -> None:
        """This was done last."""
        self._locks[lock_id].last_operation = operation
        self._touch(lock_id)

    def device(self, lock_id: str) -> Device:
        """Build the lock's outward shape."""
        known = self._locks[lock_id]
        device: Device = {
            "lock_id": lock_id,
            "name": known.name,
            "driver": known.driver,
            "online": known.absence is None,
            "lock_state": lock_state_name(known.snapshot.lock_state),
            "door_state": known.snapshot.door_state.value,
            "updated_at": known.updated_at,
        }
        if known.absence is not None:
            device["offline_reason"] = known.absence.value
        if known.snapshot.battery_level is not None:
            device["battery_level"] = known.snapshot.battery_level
        if known.snapshot.battery_critical is not None:
            device["battery_critical"] = known.snapshot.battery_critical
        if known.rssi is not None:
            device["signal_quality"] = known.rssi
        if known.last_operation is not None:
            device["last_operation"] = known.last_operation
        return device

    def known(self, lock_id: str) -> bool:
        """Tell whether the lock has reported its state and has not been lost since."""
        return self._locks[lock_id].absence is None

    def passing(self, lock_id: str) -> bool:
        """Tell whether the lock's last state is one that ends by itself: a turning motor, a latch that springs back."""
        state = self._locks[lock_id].snapshot.lock_state
        return state.moving or state is LockState.UNLATCHED

    def lock_ids(self) -> Iterable[str]:
        """Return every lock's id, in the order of the configuration."""
        return tuple(self._locks)

    def take_dirty(self) -> set[str]:
        """Return the locks whose state has changed since this was last asked."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def all_dirty(self) -> None:
        """Have every state published again: a new connection may reach a broker that forgot."""
        self._dirty.update(self._locks)
        self._bell.ring()

    def _touch(self, lock_id: str) -> None:
        self._locks[lock_id].updated_at = text.milliseconds(self._clock.wall())
        self._dirty.add(lock_id)
        self._bell.ring()


def _merged(old: Snapshot, new: Snapshot) -> Snapshot:
    """Keep the battery's last word where a report has none; bolt and door are as the new report says."""
    return Snapshot(
        new.lock_state,
        new.door_state,
        old.battery_level if new.battery_level is None else new.battery_level,
        old.battery_critical if new.battery_critical is None else new.battery_critical,
    )
