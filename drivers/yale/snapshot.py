"""What a lock's status means in the bridge's words. Pure."""

from __future__ import annotations

from itertools import pairwise

from drivers.base import Action, DoorState, LockState
from drivers.yale.protocol.codes import Bolt, Door, Op, Variant

REQUESTS: dict[Action, tuple[Op, Variant]] = {
    Action.LOCK: (Op.LOCK, Variant.PLAIN),
    Action.UNLOCK: (Op.UNLOCK, Variant.PLAIN),
    Action.UNLATCH: (Op.UNLOCK, Variant.UNLATCH),
}
"""What each action sends. Unlock never implies unlatch."""

TARGETS: dict[Action, LockState] = {
    Action.LOCK: LockState.LOCKED,
    Action.UNLOCK: LockState.UNLOCKED,
    Action.UNLATCH: LockState.UNLATCHED,
}

_BOLTS: dict[int, LockState] = {
    Bolt.CALIBRATING: LockState.UNCALIBRATED,
    Bolt.UNLOCKING: LockState.UNLOCKING,
    Bolt.UNLOCKED: LockState.UNLOCKED,
    Bolt.LOCKING: LockState.LOCKING,
    Bolt.LOCKED: LockState.LOCKED,
    Bolt.FINDING_POLARITY: LockState.UNCALIBRATED,
    Bolt.JAMMED: LockState.JAMMED,
    Bolt.UNLATCHING: LockState.UNLATCHING,
    Bolt.UNLATCHED: LockState.UNLATCHED,
    Bolt.SECURE_MODE: LockState.LOCKED,
}
"""Whatever newer firmware adds is unknown."""

_DOORS: dict[int, DoorState] = {Door.CLOSED: DoorState.CLOSED, Door.AJAR: DoorState.OPEN, Door.OPEN: DoorState.OPEN}

_CHARGE = ((4960, 0), (5200, 27), (5600, 70), (6200, 100))
"""Millivolts of four alkaline cells in a row to percent, straight in between: the library's table within 10 percent."""


def lock_state(bolt: int) -> LockState:
    """Return where the bolt is."""
    return _BOLTS.get(bolt, LockState.UNKNOWN)


def door_state(door: int) -> DoorState:
    """Return where the door leaf is."""
    return _DOORS.get(door, DoorState.UNKNOWN)


def charge(millivolts: int) -> int:
    """Return the batteries' charge in percent."""
    for (below, percent), (above, more) in pairwise(_CHARGE):
        if millivolts <= above:
            return percent + round((more - percent) * max(0, millivolts - below) / (above - below))
    return 100


def millivolts_of(level: int) -> int:
    """Return the voltage that says a charge in percent."""
    for (below, percent), (above, more) in pairwise(_CHARGE):
        if level <= more:
            return below + round((above - below) * (level - percent) / (more - percent))
    raise ValueError("The battery level is a percentage from 0 to 100.")
