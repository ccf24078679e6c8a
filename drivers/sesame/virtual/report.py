"""What a virtual Sesame says of itself, from the state of its `VirtualLock`. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from drivers.base import Action, LockState
from drivers.sesame.protocol.codes import Flag, HistoryType, TagType
from drivers.sesame.protocol.mech import NO_TARGET, MechSetting, MechStatus
from drivers.virtual.operation import Completion, Operation, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.virtual.lock import VirtualLock

LOCK_ANGLE, UNLOCK_ANGLE = 10, 266
"""A quarter of a turn, in the lock's units of 1/1024."""
_BETWEEN = (LOCK_ANGLE + UNLOCK_ANGLE) // 2
_BEYOND = 2 * UNLOCK_ANGLE
LOW_MILLIVOLTS = 5000

_STANDING = {
    LockState.LOCKED: (LOCK_ANGLE, Flag.STOPPED | Flag.IN_LOCK_RANGE),
    LockState.UNLOCKED: (UNLOCK_ANGLE, Flag.STOPPED | Flag.IN_UNLOCK_RANGE),
    LockState.LOCKING: (_BETWEEN, Flag(0)),
    LockState.UNLOCKING: (_BETWEEN, Flag(0)),
    LockState.JAMMED: (_BETWEEN, Flag.STOPPED | Flag.CRITICAL),
    LockState.PARTIALLY_LOCKED: (_BETWEEN, Flag.STOPPED),
}
_ELSEWHERE = (_BEYOND, Flag.STOPPED)
_GOING = {LockState.LOCKING: LOCK_ANGLE, LockState.UNLOCKING: UNLOCK_ANGLE}

_TAKEN = {Action.LOCK: HistoryType.BLE_LOCK, Action.UNLOCK: HistoryType.BLE_UNLOCK}
_DRIVEN = {Action.LOCK: HistoryType.DRIVE_LOCKED, Action.UNLOCK: HistoryType.DRIVE_UNLOCKED}
_TURNED = {Action.LOCK: HistoryType.MANUAL_LOCKED, Action.UNLOCK: HistoryType.MANUAL_UNLOCKED}
_TYPED = {Origin.KEYPAD: TagType.PASSWORD, Origin.FOB: TagType.REMOTE}
_REFUSED = (Completion.BUSY, Completion.NOT_CALIBRATED, Completion.INVALID_CODE)
ENTRIES_PER_OPERATION = 2


def mech_status(lock: VirtualLock) -> MechStatus:
    """Return the state of its mechanism."""
    position, flags = _STANDING.get(lock.state, _ELSEWHERE)
    battery = battery_of(lock.battery_level)
    if 2 * battery < LOW_MILLIVOLTS:
        flags |= Flag.LOW_BATTERY
    last = next((operation for operation in reversed(lock.log) if _begun(operation)), None)
    if last is not None and last.completion is Completion.CLUTCH and not lock.state.moving:
        flags |= Flag.CLUTCH_FAILED
    return MechStatus(battery, _GOING.get(lock.state, NO_TARGET), position, flags)


def mech_setting(lock: VirtualLock) -> MechSetting:
    """Return how it is set; an uncalibrated lock knows no angles."""
    unlock = LOCK_ANGLE if lock.state is LockState.UNCALIBRATED else UNLOCK_ANGLE
    return MechSetting(LOCK_ANGLE, unlock, int(lock.auto_lock or 0))


def battery_of(charge: int) -> int:
    """Return half the voltage, in millivolts, that is shown as a charge in percent."""
    return next(
        (raw for raw in range(2300, 2926) if MechStatus(raw, 0, 0, Flag(0)).charge >= charge),
        2925,
    )


def history(operations: Iterable[Operation]) -> list[tuple[int, bytes]]:
    """Return the entries of its history, each with its number, the oldest first.

    A command is one entry when it is taken and another when the motor has done with it.
    """
    found: list[tuple[int, bytes]] = []
    for operation in operations:
        first = ENTRIES_PER_OPERATION * operation.index
        for place, (kind, param) in enumerate(_entries(operation)):
            number = first + place
            head = struct.pack("<IBI", number, kind, int(operation.at.timestamp()))
            found.append((number, head + bytes(7) + param))
    return found


def _begun(operation: Operation) -> bool:
    """Tell whether the lock took it up: of what it refuses, a wrong code too, no entry of the history is known."""
    return operation.action is not None and operation.completion not in _REFUSED


def _entries(operation: Operation) -> list[tuple[HistoryType, bytes]]:
    action = operation.action
    if action is None or action not in _TAKEN or not _begun(operation):
        return []
    if operation.by.origin is Origin.MANUAL:
        return [(_TURNED[action], b"")]
    driven = _DRIVEN[action] if operation.completion is Completion.SUCCESS else HistoryType.DRIVE_FAILED
    if operation.by.origin is Origin.AUTO_LOCK:
        return [(HistoryType.AUTO_LOCK, b""), (driven, b"")]
    kind = _TYPED.get(operation.by.origin)
    if kind is None:
        return [(_TAKEN[action], bytes([len(operation.tag)]) + operation.tag), (driven, b"")]
    key = operation.by.key.to_bytes(16, "big")
    return [(_TAKEN[action], kind.to_bytes(2, "big") + key), (driven, b"")]
