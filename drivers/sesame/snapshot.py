"""What a mech status means in the bridge's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import Action, LockState, Snapshot
from drivers.sesame.protocol.codes import Flag, Item
from drivers.sesame.protocol.mech import NO_TARGET

if TYPE_CHECKING:
    from drivers.sesame.protocol.mech import MechSetting, MechStatus

COMMANDS: dict[Action, Item] = {Action.LOCK: Item.LOCK, Action.UNLOCK: Item.UNLOCK}
TARGETS: dict[Action, LockState] = {Action.LOCK: LockState.LOCKED, Action.UNLOCK: LockState.UNLOCKED}

_RANGES = Flag.IN_LOCK_RANGE | Flag.IN_UNLOCK_RANGE


def lock_state(status: MechStatus, setting: MechSetting) -> LockState:
    """Return where the bolt is.

    A motor that ran out of its time is jammed wherever the bolt stands: nobody knows whether that is all the way. A
    thumb turn that a hand turns has no target, and is nowhere for as long.
    """
    if Flag.STOPPED not in status.flags:
        return _moving(status, setting)
    if Flag.CRITICAL in status.flags:
        return LockState.JAMMED
    if setting.lock == setting.unlock:
        return LockState.UNCALIBRATED
    match status.flags & _RANGES:
        case Flag.IN_LOCK_RANGE:
            return LockState.LOCKED
        case Flag.IN_UNLOCK_RANGE:
            return LockState.UNLOCKED
        case _:
            low, high = sorted((setting.lock, setting.unlock))
            return LockState.PARTIALLY_LOCKED if low < status.position < high else LockState.UNKNOWN


def snapshot(status: MechStatus, setting: MechSetting) -> Snapshot:
    """Return what the lock says of bolt and battery. It has no sensor of the door, and does not tell by what means."""
    return Snapshot(
        lock_state=lock_state(status, setting),
        battery_level=status.charge,
        battery_critical=Flag.LOW_BATTERY in status.flags,
    )


def _moving(status: MechStatus, setting: MechSetting) -> LockState:
    to_lock, to_unlock = abs(status.target - setting.lock), abs(status.target - setting.unlock)
    if status.target == NO_TARGET or to_lock == to_unlock:
        return LockState.UNKNOWN
    return LockState.LOCKING if to_lock < to_unlock else LockState.UNLOCKING
