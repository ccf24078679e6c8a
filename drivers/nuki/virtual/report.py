"""What a virtual Nuki lock says of itself, from the state of its `VirtualLock`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from drivers.base import Action, DoorState, LockState
from drivers.nuki.protocol.codes import Bolt, Command, Door, ErrorCode, KeypadSource, LogType, NukiState, Trigger, Turn
from drivers.nuki.protocol.codes import Completion as NukiCompletion
from drivers.nuki.protocol.commands import KeyturnerStates, LogEntry
from drivers.nuki.protocol.config_commands import Advanced, AdvancedConfig
from drivers.nuki.protocol.wire import NAME_BYTES, Fixed, pack_name, pack_time
from drivers.virtual.operation import Completion, Operation, Origin

if TYPE_CHECKING:
    from drivers.virtual.lock import VirtualLock

ACTIONS: dict[int, Action] = {
    Turn.UNLOCK: Action.UNLOCK,
    Turn.LOCK: Action.LOCK,
    Turn.UNLATCH: Action.UNLATCH,
    Turn.FULL_LOCK: Action.LOCK,
}
_TURNS = {Action.UNLOCK: Turn.UNLOCK, Action.LOCK: Turn.LOCK, Action.UNLATCH: Turn.UNLATCH}
_BOLTS = {
    LockState.LOCKED: Bolt.LOCKED,
    LockState.UNLOCKED: Bolt.UNLOCKED,
    LockState.UNLATCHED: Bolt.UNLATCHED,
    LockState.LOCKING: Bolt.LOCKING,
    LockState.UNLOCKING: Bolt.UNLOCKING,
    LockState.UNLATCHING: Bolt.UNLATCHING,
    LockState.JAMMED: Bolt.MOTOR_BLOCKED,
    LockState.UNCALIBRATED: Bolt.UNCALIBRATED,
}
_DOORS = {DoorState.OPEN: Door.OPEN, DoorState.CLOSED: Door.CLOSED, DoorState.UNKNOWN: Door.UNKNOWN}
_TRIGGERS = {Origin.MANUAL: Trigger.MANUAL, Origin.AUTO_LOCK: Trigger.AUTO_LOCK}
_COMPLETIONS = {
    Completion.SUCCESS: NukiCompletion.SUCCESS,
    Completion.BLOCKED: NukiCompletion.MOTOR_BLOCKED,
    Completion.CANCELLED: NukiCompletion.CANCELLED,
    Completion.BUSY: NukiCompletion.BUSY,
    Completion.LOW_VOLTAGE: NukiCompletion.LOW_MOTOR_VOLTAGE,
    Completion.CLUTCH: NukiCompletion.CLUTCH_FAILURE,
    Completion.MOTOR_POWER: NukiCompletion.MOTOR_POWER_FAILURE,
    Completion.INCOMPLETE: NukiCompletion.INCOMPLETE,
    Completion.INVALID_CODE: NukiCompletion.INVALID_CODE,
}
ERRORS = {
    Completion.BLOCKED: ErrorCode.MOTOR_BLOCKED,
    Completion.CANCELLED: ErrorCode.CANCELLED,
    Completion.BUSY: ErrorCode.BUSY,
    Completion.LOW_VOLTAGE: ErrorCode.MOTOR_LOW_VOLTAGE,
    Completion.CLUTCH: ErrorCode.CLUTCH_FAILURE,
    Completion.MOTOR_POWER: ErrorCode.MOTOR_POWER_FAILURE,
    Completion.NOT_CALIBRATED: ErrorCode.NOT_CALIBRATED,
}
"""Endings that an Error Report tells. The others are complete, an incomplete travel too: its states say it."""
LOG_DATA_BYTES = 5
"""The Smart Lock 3 pads the data of its log entries to this."""


@dataclass(frozen=True, slots=True)
class Config(Fixed):
    """The lock's configuration (Config 0x0015), as far as a Smart Lock 2 sends it."""

    command: ClassVar[int] = Command.CONFIG
    layout: ClassVar[str] = "<I32sffBBBBB7shBBBBBBBB3s2s"
    nuki_id: int
    name: bytes
    latitude: float
    longitude: float
    auto_unlatch: int
    pairing_enabled: int
    button_enabled: int
    led_enabled: int
    led_brightness: int
    at: bytes
    tz_offset: int
    dst_mode: int
    has_fob: int
    fob_action_1: int
    fob_action_2: int
    fob_action_3: int
    single_lock: int
    advertising_mode: int
    has_keypad: int
    firmware: bytes
    hardware: bytes


@dataclass(frozen=True, slots=True)
class BatteryReport(Fixed):
    """The last motor movement's electrics (Battery Report 0x0011)."""

    command: ClassVar[int] = Command.BATTERY_REPORT
    layout: ClassVar[str] = "<HHBBHHHbHH"
    drain: int
    """Milliwatt seconds."""
    voltage: int
    """Millivolts, as all voltages here."""
    critical: int
    last_action: int
    start_voltage: int
    lowest_voltage: int
    distance: int
    """Degrees."""
    temperature: int
    """Degrees Celsius."""
    max_current: int
    """Milliamperes."""
    resistance: int
    """Milliohms."""


def states(lock: VirtualLock, *, pairing: bool) -> KeyturnerStates:
    """Return the lock's state now (Keyturner States 0x000C)."""
    last = _last_action(lock)
    return KeyturnerStates(
        nuki_state=NukiState.PAIRING if pairing else NukiState.DOOR,
        lock_state=_BOLTS.get(lock.state, Bolt.UNDEFINED),
        trigger=_TRIGGERS.get(lock.origin, Trigger.SYSTEM),
        at=lock.now(),
        tz_offset=0,
        battery=int(lock.battery_critical) | lock.battery_level // 2 << 2,
        config_count=0,
        lock_n_go_timer=0,
        last_action=_turn(last),
        last_trigger=_TRIGGERS.get(last.by.origin, Trigger.SYSTEM) if last else Trigger.SYSTEM,
        last_completion=_completion(last),
        door=_DOORS[lock.door],
        more=bytes(3),
    )


def battery_report(lock: VirtualLock) -> BatteryReport:
    """Return plausible electrics for the battery's charge."""
    millivolts = 4000 + 20 * lock.battery_level
    return BatteryReport(
        drain=300,
        voltage=millivolts,
        critical=int(lock.battery_critical),
        last_action=_turn(_last_action(lock)),
        start_voltage=millivolts,
        lowest_voltage=millivolts - 400,
        distance=720,
        temperature=21,
        max_current=500,
        resistance=600,
    )


def config(lock: VirtualLock, nuki_id: int, name: str) -> Config:
    """Return the lock's configuration."""
    return Config(
        nuki_id=nuki_id,
        name=pack_name(name),
        latitude=0,
        longitude=0,
        auto_unlatch=0,
        pairing_enabled=1,
        button_enabled=1,
        led_enabled=1,
        led_brightness=3,
        at=pack_time(lock.now()),
        tz_offset=0,
        dst_mode=0,
        has_fob=1,
        fob_action_1=Turn.UNLOCK,
        fob_action_2=Turn.LOCK,
        fob_action_3=0,
        single_lock=0,
        advertising_mode=0,
        has_keypad=1,
        firmware=bytes((3, 8, 5)),
        hardware=bytes((11, 0)),
    )


def advanced_config(lock: VirtualLock) -> AdvancedConfig:
    """Return the lock's advanced configuration (Advanced Config 0x0037)."""
    unchanged = Advanced().with_auto_lock(enabled=lock.auto_lock is not None, timeout=lock.auto_lock_delay)
    return AdvancedConfig(720, unchanged)


def log_entry(operation: Operation, fob_id: int) -> LogEntry:
    """Return an entry of the lock's log as the lock sends it (Log Entry 0x0032)."""
    by = operation.by
    kind, data = _log_data(operation)
    auth_id = {Origin.BLUETOOTH: by.key, Origin.FOB: fob_id}.get(by.origin, 0)
    name = by.name.encode()[: NAME_BYTES - len(operation.tag)] + operation.tag
    return LogEntry(operation.index, operation.at, auth_id, name, kind, data.ljust(LOG_DATA_BYTES, b"\0"))


def _log_data(operation: Operation) -> tuple[LogType, bytes]:
    if operation.door is not None:
        return LogType.DOOR_SENSOR, bytes([operation.door is not DoorState.OPEN])
    turn, completion = _turn(operation), _completion(operation)
    by = operation.by
    if by.origin is Origin.KEYPAD:
        with_code = by.key or operation.completion is Completion.INVALID_CODE
        source = KeypadSource.CODE if with_code else KeypadSource.ARROW_KEY
        return LogType.KEYPAD, bytes([turn, source, completion]) + by.key.to_bytes(2, "little")
    trigger = _TRIGGERS.get(by.origin, Trigger.SYSTEM)
    return LogType.LOCK_ACTION, bytes([turn, trigger, 0, completion])


def _last_action(lock: VirtualLock) -> Operation | None:
    return next((operation for operation in reversed(lock.log) if operation.action is not None), None)


def _turn(operation: Operation | None) -> int:
    return _TURNS[operation.action] if operation and operation.action else 0


def _completion(operation: Operation | None) -> int:
    if operation is None:
        return NukiCompletion.SUCCESS
    return _COMPLETIONS.get(operation.completion, NukiCompletion.OTHER)
