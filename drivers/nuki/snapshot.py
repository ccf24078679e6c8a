"""What Keyturner States mean in the bridge's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import Action, DoorState, LockState, Method, Snapshot
from drivers.nuki.protocol.codes import Bolt, Door, Trigger, Turn

if TYPE_CHECKING:
    from drivers.nuki.protocol.commands import KeyturnerStates

TURNS: dict[Action, Turn] = {
    Action.LOCK: Turn.LOCK,
    Action.UNLOCK: Turn.UNLOCK,
    Action.UNLATCH: Turn.UNLATCH,
}
"""What each action sends. Unlock never implies unlatch."""

TARGETS: dict[Turn, LockState] = {
    Turn.LOCK: LockState.LOCKED,
    Turn.UNLOCK: LockState.UNLOCKED,
    Turn.UNLATCH: LockState.UNLATCHED,
}

_BOLTS: dict[int, LockState] = {
    Bolt.UNCALIBRATED: LockState.UNCALIBRATED,
    Bolt.LOCKED: LockState.LOCKED,
    Bolt.UNLOCKING: LockState.UNLOCKING,
    Bolt.UNLOCKED: LockState.UNLOCKED,
    Bolt.LOCKING: LockState.LOCKING,
    Bolt.UNLATCHED: LockState.UNLATCHED,
    Bolt.UNLOCKED_LOCK_N_GO: LockState.UNLOCKED,
    Bolt.UNLATCHING: LockState.UNLATCHING,
    Bolt.CALIBRATION: LockState.UNCALIBRATED,
    Bolt.MOTOR_BLOCKED: LockState.JAMMED,
}
"""Boot run, undefined and whatever newer firmware adds are unknown."""

_DOORS: dict[int | None, DoorState] = {Door.CLOSED: DoorState.CLOSED, Door.OPEN: DoorState.OPEN}

METHODS: dict[int, Method] = {
    Trigger.MANUAL: Method.MANUAL_TURN,
    Trigger.BUTTON: Method.MANUAL_TURN,
    Trigger.AUTOMATIC: Method.AUTO_LOCK,
    Trigger.AUTO_LOCK: Method.AUTO_LOCK,
    Trigger.MQTT: Method.REMOTE_API,
}
"""What a trigger tells of the means. Phones, fobs and keypads are all the same to it (`SYSTEM`), and HomeKit does not
say whether a person or an automation asked, so these tell nothing."""


def lock_state(states: KeyturnerStates) -> LockState:
    """Return where the bolt is."""
    return _BOLTS.get(states.lock_state, LockState.UNKNOWN)


def snapshot(states: KeyturnerStates) -> Snapshot:
    """Return what the lock says of bolt, door and battery.

    Bit 0 of the battery byte is the critical flag; newer firmware tells the charge in steps of 2 % in bits 2 to 7,
    older firmware leaves them zero, so a zero there tells nothing.
    """
    return Snapshot(
        lock_state=lock_state(states),
        door_state=_DOORS.get(states.door, DoorState.UNKNOWN),
        battery_level=min(100, (states.battery >> 2) * 2) or None,
        battery_critical=bool(states.battery & 1),
        method=METHODS.get(states.trigger),
    )
