from datetime import UTC, datetime

import pytest

from drivers.base import Action, DoorState, LockState
from drivers.nuki.protocol.codes import Bolt, Completion, Door, LogType, NukiState, Trigger, Turn
from drivers.nuki.virtual.report import battery_report, config, log_entry, states
from drivers.virtual import operation
from drivers.virtual.lock import VirtualLock
from drivers.virtual.operation import Operation, Operator, Origin
from drivers.virtual.peripheral import VirtualSettings

AT = datetime(2026, 1, 2, 12, 30, 45, tzinfo=UTC)
FOB_ID = 99


@pytest.fixture
def lock():
    return VirtualLock(VirtualSettings(), now=lambda: AT)


@pytest.mark.parametrize(
    ("state", "bolt"),
    [
        (LockState.LOCKED, Bolt.LOCKED),
        (LockState.UNLOCKED, Bolt.UNLOCKED),
        (LockState.UNLATCHED, Bolt.UNLATCHED),
        (LockState.LOCKING, Bolt.LOCKING),
        (LockState.UNLOCKING, Bolt.UNLOCKING),
        (LockState.UNLATCHING, Bolt.UNLATCHING),
        (LockState.JAMMED, Bolt.MOTOR_BLOCKED),
        (LockState.UNCALIBRATED, Bolt.UNCALIBRATED),
        (LockState.PARTIALLY_LOCKED, Bolt.UNDEFINED),
        (LockState.UNKNOWN, Bolt.UNDEFINED),
    ],
)
def test_every_state_has_its_number(lock, state, bolt):
    lock.state = state
    assert states(lock, pairing=False).lock_state == bolt


@pytest.mark.parametrize("door", list(DoorState))
def test_every_door_state_has_its_number(lock, door):
    lock.door = door
    expected = {"open": Door.OPEN, "closed": Door.CLOSED, "unknown": Door.UNKNOWN}[door]
    assert states(lock, pairing=False).door == expected


def test_a_lock_that_did_nothing_yet_reports_no_action(lock):
    report = states(lock, pairing=True)
    assert (report.last_action, report.last_trigger, report.last_completion) == (0, 0, 0)
    assert (report.nuki_state, report.at) == (NukiState.PAIRING, AT)


def test_the_last_action_is_not_the_doors(lock):
    lock.manual_unlock()
    lock.open_door()
    report = states(lock, pairing=False)
    assert (report.last_action, report.last_trigger) == (Turn.UNLOCK, Trigger.MANUAL)


@pytest.mark.parametrize(("level", "byte"), [(100, 50 << 2), (51, 25 << 2), (20, 1 | 10 << 2), (0, 1)])
def test_the_battery_byte_holds_half_the_percentage_and_the_alarm(lock, level, byte):
    lock.battery(level)
    assert states(lock, pairing=False).battery == byte


def test_a_long_name_gives_way_to_the_tag():
    by = Operator(Origin.BLUETOOTH, 5, "A name of more than thirty-two bytes")
    entry = log_entry(Operation(1, AT, by, Action.LOCK, operation.Completion.SUCCESS, b"tag"), FOB_ID)
    assert entry.name == b"A name of more than thirty-two"[:29] + b"tag"


@pytest.mark.parametrize(
    ("by", "completion", "auth_id", "kind", "data"),
    [
        (Operator(Origin.BLUETOOTH, 5, "Ada"), "success", 5, LogType.LOCK_ACTION, [1, 0, 0, 0, 0]),
        (Operator(Origin.FOB, 0, "Fob"), "success", FOB_ID, LogType.LOCK_ACTION, [1, 0, 0, 0, 0]),
        (Operator(Origin.MANUAL), "success", 0, LogType.LOCK_ACTION, [1, 1, 0, 0, 0]),
        (Operator(Origin.AUTO_LOCK), "blocked", 0, LogType.LOCK_ACTION, [1, 6, 0, 1, 0]),
        (Operator(Origin.BLUETOOTH, 5), "not_calibrated", 5, LogType.LOCK_ACTION, [1, 0, 0, 0xFE, 0]),
        (Operator(Origin.KEYPAD, 2, "Bob"), "success", 0, LogType.KEYPAD, [1, 1, 0, 2, 0]),
        (Operator(Origin.KEYPAD), "success", 0, LogType.KEYPAD, [1, 0, 0, 0, 0]),
        (Operator(Origin.KEYPAD), "invalid_code", 0, LogType.KEYPAD, [1, 1, 0xE0, 0, 0]),
    ],
)
def test_the_log_tells_who_and_how(by, completion, auth_id, kind, data):
    ended = operation.Completion(completion)
    entry = log_entry(Operation(3, AT, by, Action.UNLOCK, ended), FOB_ID)
    assert (entry.index, entry.at, entry.auth_id, entry.name) == (3, AT, auth_id, by.name.encode())
    assert (entry.kind, list(entry.data)) == (kind, data)


@pytest.mark.parametrize(("door", "byte"), [(DoorState.OPEN, 0), (DoorState.CLOSED, 1)])
def test_the_log_tells_of_the_door(door, byte):
    moved = Operation(3, AT, Operator(Origin.MANUAL), None, operation.Completion.SUCCESS, door=door)
    entry = log_entry(moved, FOB_ID)
    assert (entry.kind, entry.data[0]) == (LogType.DOOR_SENSOR, byte)


def test_every_completion_has_a_number_of_its_own():
    by = Operator(Origin.BLUETOOTH)
    numbers = {log_entry(Operation(1, AT, by, Action.LOCK, ended), FOB_ID).data[3] for ended in operation.Completion}
    assert len(numbers) == len(operation.Completion)
    assert numbers <= set(Completion)


def test_the_battery_report_and_the_configuration_have_the_documented_lengths(lock):
    assert len(battery_report(lock).encode()) == 17
    assert len(config(lock, 1, "Front").encode()) == 71
