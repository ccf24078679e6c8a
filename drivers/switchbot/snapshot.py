"""What a lock's report means in the bridge's words."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from drivers.base import DoorState, LockState, Snapshot
from drivers.switchbot.protocol.report import Bolt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.switchbot.protocol.report import Report

_PLAIN: Mapping[int, LockState] = MappingProxyType(
    {
        Bolt.LOCKED: LockState.LOCKED,
        Bolt.UNLOCKED: LockState.UNLOCKED,
        Bolt.LOCKING: LockState.LOCKING,
        Bolt.UNLOCKING: LockState.UNLOCKING,
        Bolt.LOCKING_BLOCKED: LockState.JAMMED,
        Bolt.UNLOCKING_BLOCKED: LockState.JAMMED,
        Bolt.LATCHED: LockState.PARTIALLY_LOCKED,
        Bolt.HALF_LOCKED: LockState.PARTIALLY_LOCKED,
    }
)
"""Whatever newer firmware adds is unknown."""
_WITH_NIGHT_LATCH: Mapping[int, LockState] = MappingProxyType(
    {**_PLAIN, Bolt.UNLOCKED: LockState.UNLATCHED, Bolt.LATCHED: LockState.UNLOCKED}
)
"""A lock that pulls the latch calls it unlocked when it has, and when it lets it go, latched."""
_DOORS = {True: DoorState.OPEN, False: DoorState.CLOSED, None: DoorState.UNKNOWN}


def lock_state(report: Report, *, night_latch: bool) -> LockState:
    """Return where the bolt is; a lock that is not calibrated does not know."""
    states = _WITH_NIGHT_LATCH if night_latch else _PLAIN
    return states.get(report.bolt, LockState.UNKNOWN) if report.calibrated else LockState.UNCALIBRATED


def snapshot(
    report: Report,
    *,
    night_latch: bool,
    door_sensor: bool,
    battery_level: int | None = None,
    battery_critical: bool | None = None,
) -> Snapshot:
    """Return what the lock says of bolt and door, with what it said of its battery.

    Args:
        report: the lock's.
        night_latch: whether the lock pulls the latch.
        door_sensor: whether what it says of the door means anything.
        battery_level: percent.
        battery_critical: whether it said that its battery is low.
    """
    door = _DOORS[report.door_open] if door_sensor else DoorState.UNKNOWN
    return Snapshot(lock_state(report, night_latch=night_latch), door, battery_level, battery_critical)
