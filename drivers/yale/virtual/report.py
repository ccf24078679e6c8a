"""What a virtual Yale lock says of itself, from the state of its `VirtualLock`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import Action, DoorState, LockState
from drivers.virtual.operation import Completion, Operation, Origin
from drivers.yale.protocol.activity import Activity
from drivers.yale.protocol.codes import BLUETOOTH, Bolt, Door, Flag, Op, Record, Source, Subject
from drivers.yale.protocol.codes import Result as Code
from drivers.yale.protocol.frames import PAYLOAD_AT, RESULT_AT, VALUE_AT, Frame
from drivers.yale.snapshot import REQUESTS, millivolts_of

if TYPE_CHECKING:
    from drivers.virtual.lock import VirtualLock

ACTIONS: dict[tuple[int, int], Action] = {
    (op.value, variant.value): action for action, (op, variant) in REQUESTS.items()
}
_BOLTS = {
    LockState.LOCKED: Bolt.LOCKED,
    LockState.UNLOCKED: Bolt.UNLOCKED,
    LockState.UNLATCHED: Bolt.UNLATCHED,
    LockState.LOCKING: Bolt.LOCKING,
    LockState.UNLOCKING: Bolt.UNLOCKING,
    LockState.UNLATCHING: Bolt.UNLATCHING,
    LockState.JAMMED: Bolt.JAMMED,
    LockState.UNCALIBRATED: Bolt.CALIBRATING,
}
"""A bolt that is part of the way out is unknown: the protocol has no name for it."""
_DOORS = {DoorState.OPEN: Door.OPEN, DoorState.CLOSED: Door.CLOSED, DoorState.UNKNOWN: Door.UNKNOWN}
RESULTS = {
    Completion.SUCCESS: Code.SUCCESS,
    Completion.BLOCKED: Code.TIMEOUT,
    Completion.CANCELLED: Code.BACKED_OFF,
    Completion.BUSY: Code.BUSY,
    Completion.LOW_VOLTAGE: Code.LOW_BATTERY,
    Completion.CLUTCH: Code.POSITION,
    Completion.MOTOR_POWER: Code.MOTOR_POLARITY,
    Completion.INCOMPLETE: Code.POSITION,
    Completion.NOT_CALIBRATED: Code.UNINITIALIZED,
}
_TARGETS = {Action.LOCK: Bolt.LOCKED, Action.UNLOCK: Bolt.UNLOCKED, Action.UNLATCH: Bolt.UNLATCHED}
_SOURCES = {Origin.BLUETOOTH: Source.REMOTE, Origin.MANUAL: Source.MANUAL, Origin.AUTO_LOCK: Source.AUTO_LOCK}
ANOTHER_SOURCE = 0x0C
"""What a lock may say of a fob: the protocol knows no such source."""


def bolt(lock: VirtualLock) -> Bolt:
    """Return where the bolt is."""
    return _BOLTS.get(lock.state, Bolt.UNKNOWN)


def status(lock: VirtualLock, subject: int) -> Frame | None:
    """Return the answer to a status request; None to one that the lock does not know."""
    values = {
        Subject.LOCK: bytes([bolt(lock)]),
        Subject.DOOR: bytes([_DOORS[lock.door]]),
        Subject.BOTH: bytes((bolt(lock), _DOORS[lock.door])),
        Subject.BATTERY: millivolts_of(lock.battery_level).to_bytes(2, "little"),
    }
    value = {known.value: value for known, value in values.items()}.get(subject)
    if value is None:
        return None
    return Frame.of(Flag.RESULT, Op.STATUS, {PAYLOAD_AT: bytes([subject]), VALUE_AT: value})


def acknowledgement(request: Frame) -> Frame:
    """Return the first answer to an operation or to what concerns a setting."""
    return Frame.of(Flag.ACKNOWLEDGED, request.op, {PAYLOAD_AT: bytes([request.about])})


def result(op: int, code: int) -> Frame:
    """Return how an operation ended. It does not say which variant it was."""
    return Frame.of(Flag.RESULT, op, {RESULT_AT: bytes([code])})


def activity(operation: Operation) -> Activity | None:
    """Return an entry of the lock's log as the lock hands it out; None for one that it does not keep."""
    if operation.door is not None:
        return Activity(Record.DOOR, operation.at, door=_DOORS[operation.door])
    if operation.action is None or operation.completion not in (Completion.SUCCESS, Completion.BLOCKED):
        return None
    end = _TARGETS[operation.action] if operation.completion is Completion.SUCCESS else Bolt.JAMMED
    by = operation.by
    if by.origin is Origin.KEYPAD and end is Bolt.UNLOCKED:
        return Activity(Record.KEYPAD_UNLOCK, operation.at, bolt=end, source=Source.PIN, slot=by.key)
    if by.origin is Origin.KEYPAD:
        return Activity(Record.PIN, operation.at, bolt=end, source=Source.PIN, slot=by.key)
    remote = BLUETOOTH if by.origin is Origin.BLUETOOTH else None
    return Activity(Record.LOCK, operation.at, end, _SOURCES.get(by.origin, ANOTHER_SOURCE), remote)
