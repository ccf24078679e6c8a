from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Action, Denial, Fault, Method
from drivers.nuki.history import Historian
from drivers.nuki.protocol.codes import AuthorizationType, Completion, KeypadSource, LogType, Trigger, Turn
from drivers.nuki.protocol.commands import LogEntry
from drivers.nuki.protocol.errors import ProtocolError

OURS, PHONE, FOB, KEYPAD, BRIDGE, STRANGER = 5, 6, 7, 8, 9, 10
HOLDERS = {
    PHONE: AuthorizationType.APP,
    FOB: AuthorizationType.FOB,
    KEYPAD: AuthorizationType.KEYPAD,
    BRIDGE: AuthorizationType.BRIDGE,
}
AT = datetime(2026, 3, 7, 8, 15, tzinfo=UTC)
NAME = "Lock Bridge"
TAG = b"0123456789abcdef0123"
historian = Historian(OURS, NAME)


def acted(auth_id=0, trigger=Trigger.SYSTEM, turn=Turn.UNLOCK, completion=Completion.SUCCESS, name=b""):
    return LogEntry(1, AT, auth_id, name, LogType.LOCK_ACTION, bytes([turn, trigger, 0, completion, 0]))


def typed(source=KeypadSource.CODE, completion=Completion.SUCCESS, number=0, name=b"", turn=Turn.UNLOCK):
    data = bytes([turn, source, completion]) + number.to_bytes(2, "little")
    return LogEntry(1, AT, 0, name, LogType.KEYPAD, data)


def record(entry):
    return historian.record(entry, HOLDERS)


@pytest.mark.parametrize(
    ("entry", "method"),
    [
        (acted(OURS), Method.REMOTE_API),
        (acted(PHONE), Method.MOBILE_APP),
        (acted(FOB), Method.BLUETOOTH_KEY),
        (acted(KEYPAD), Method.PIN_CODE),
        (acted(BRIDGE), Method.UNKNOWN),
        (acted(STRANGER), Method.UNKNOWN),
        (acted(trigger=Trigger.MANUAL), Method.MANUAL_TURN),
        (acted(trigger=Trigger.BUTTON), Method.MANUAL_TURN),
        (acted(trigger=Trigger.AUTOMATIC), Method.AUTO_LOCK),
        (acted(trigger=Trigger.AUTO_LOCK), Method.AUTO_LOCK),
        (acted(trigger=Trigger.MQTT), Method.REMOTE_API),
        (acted(trigger=Trigger.HOMEKIT), Method.UNKNOWN),
        (acted(trigger=0x77), Method.UNKNOWN),
        (typed(KeypadSource.CODE), Method.PIN_CODE),
        (typed(KeypadSource.FINGERPRINT), Method.FINGERPRINT),
        (typed(KeypadSource.ARROW_KEY), Method.MANUAL_TURN),
        (typed(9), Method.UNKNOWN),
        (LogEntry(1, AT, 0, b"", LogType.DOOR_SENSOR, b"\x01\x00\x00\x00\x00"), Method.UNKNOWN),
        (LogEntry(1, AT, 0, b"", LogType.LOCK_ACTION, b""), Method.UNKNOWN),
    ],
)
def test_the_method_is_what_the_log_proves(entry, method):
    assert record(entry).method is method


@pytest.mark.parametrize(
    ("turn", "action"),
    [
        (Turn.UNLOCK, Action.UNLOCK),
        (Turn.LOCK, Action.LOCK),
        (Turn.FULL_LOCK, Action.LOCK),
        (Turn.UNLATCH, Action.UNLATCH),
        (Turn.LOCK_N_GO, Action.UNLOCK),
        (Turn.LOCK_N_GO_UNLATCH, Action.UNLATCH),
        (0x81, None),
    ],
)
def test_the_action_is_what_the_door_did_first(turn, action):
    assert record(acted(turn=turn)).action is action
    assert record(typed(turn=turn)).action is action


@pytest.mark.parametrize(
    ("completion", "succeeded", "fault"),
    [
        (Completion.SUCCESS, True, None),
        (Completion.MOTOR_BLOCKED, False, Fault.JAMMED),
        (Completion.INVALID_CODE, False, Fault.NOT_AUTHORIZED),
        (Completion.UNKNOWN, None, None),
        (0x55, False, None),
    ],
)
def test_the_end_is_what_the_log_says(completion, succeeded, fault):
    for entry in (acted(completion=completion), typed(completion=completion)):
        found = record(entry)
        assert (found.succeeded, found.fault) == (succeeded, fault)


@pytest.mark.parametrize(
    ("completion", "denied"),
    [
        (Completion.SUCCESS, None),
        (Completion.MOTOR_BLOCKED, None),
        (Completion.INVALID_CODE, Denial.UNKNOWN_CODE),
        (Completion.INVALID_FINGERPRINT, Denial.CREDENTIAL_ERROR),
        (Completion.NOT_AUTHORIZED, Denial.CREDENTIAL_ERROR),
    ],
)
def test_whom_the_keypad_let_not_in_was_denied_access(completion, denied):
    assert record(typed(completion=completion)).denied is denied
    assert record(acted(completion=completion)).denied is None


def test_a_code_is_told_by_its_number():
    assert record(typed(number=12)).code_id == 12
    assert record(typed()).code_id is None
    assert record(acted(PHONE)).code_id is None


def test_an_entry_that_does_not_tell_its_end_leaves_it_open():
    assert record(LogEntry(1, AT, 0, b"", LogType.LOCK_ACTION, b"\x01\x00")).succeeded is None
    assert record(LogEntry(1, AT, 0, b"", LogType.DOOR_SENSOR, b"\x01")).succeeded is None


def test_our_own_entries_are_known_by_their_authorization():
    assert record(acted(OURS)).ours
    assert not record(acted(PHONE, name=NAME.encode())).ours


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        (b"Lock Bridge" + TAG, TAG),
        (b"Lock Bri" + TAG, TAG),
        (b"Lock Bridge", None),
        (b"", None),
    ],
)
def test_the_tag_is_what_follows_our_name(name, tag):
    found = record(acted(OURS, name=name))
    assert (found.tag, found.actor) == (tag, NAME)
    assert historian.is_tagged(acted(OURS, name=name), TAG) is (tag is not None)


def test_only_our_own_entry_is_found_by_its_tag():
    assert not historian.is_tagged(acted(PHONE, name=TAG), TAG)
    assert not historian.is_tagged(acted(OURS, name=NAME.encode()), b"")
    assert historian.is_tagged(acted(OURS, name=b"Lock Bridge\x01\x02"), b"\x01\x02\x00")
    assert record(acted(PHONE, name=NAME.encode() + TAG)).tag is None


def test_the_actor_is_a_name_or_a_number_and_no_code():
    assert record(acted(PHONE, name=b"Ann's phone")).actor == "Ann's phone"
    assert record(typed(number=12)).actor == "12"
    assert record(typed(name=b"Cleaner", number=12)).actor == "Cleaner"
    assert record(typed(name=b"Cle\xff")).actor == "Cle�"
    assert record(acted(trigger=Trigger.MANUAL)).actor is None
    assert Historian(OURS, "").record(acted(OURS), {}).actor is None


def test_only_a_strangers_bluetooth_action_needs_the_list_of_users():
    assert historian.needs_holder(acted(PHONE))
    assert not historian.needs_holder(acted(OURS))
    assert not historian.needs_holder(acted(trigger=Trigger.MANUAL))
    assert not historian.needs_holder(acted(0))
    assert not historian.needs_holder(typed())


@given(st.binary(min_size=48, max_size=60))
def test_any_entry_is_read(payload):
    try:
        entry = LogEntry.decode(payload)
    except ProtocolError:
        return
    assert record(entry).record_id == entry.index
