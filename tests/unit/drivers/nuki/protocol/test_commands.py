from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.nuki.protocol import commands as c
from drivers.nuki.protocol.codes import Bolt, Command, Turn
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.wire import Pin

NONCE = bytes(range(32))
AT = datetime(2026, 3, 7, 8, 15, 30, tzinfo=UTC)
PIN = Pin(1234)
WIDE = Pin(123456, wide=True)

MESSAGES = [
    c.RequestData(Command.CHALLENGE),
    c.RequestData(Command.CHALLENGE, b"\x01"),
    c.Challenge(NONCE),
    c.KeyturnerStates(2, Bolt.LOCKED, 0, AT, 60, 0),
    c.KeyturnerStates(2, Bolt.LOCKED, 0, None, -60, 1, 5, 6, 1),
    c.KeyturnerStates(2, Bolt.LOCKED, 0, AT, 60, 200, 1, 2, 3, 4, 5, 3, b"\x00\x01\x02"),
    c.LockAction(Turn.UNLOCK, 77, NONCE),
    c.LockAction(Turn.LOCK, 77, NONCE, 2, b"a tag of some sort"),
    c.Status(1),
    c.ErrorReport(0x45, Command.LOCK_ACTION),
    c.RequestConfig(NONCE),
    c.VerifyPin(NONCE, PIN),
    c.VerifyPin(NONCE, WIDE),
    c.RemoveAuthorization(0x0001_0002, NONCE, PIN),
    c.RemoveAuthorization(0x0001_0002, NONCE, WIDE),
    c.RequestAuthorizations(0, 10, NONCE, PIN),
    c.RequestAuthorizations(0, 10, NONCE, WIDE),
    c.AuthorizationEntry(5, 2, "Fob", remote_allowed=False),
    c.AuthorizationCount(3),
    c.RequestLog(7, 3, newest_first=True, total=False, nonce=NONCE, pin=PIN),
    c.RequestLog(7, 3, newest_first=False, total=True, nonce=NONCE, pin=WIDE),
    c.LogEntry(9, AT, 5, b"Key \xff", 2, bytes(4)),
    c.LogEntry(9, None, 5, b"", 7, b"\x01"),
    c.LogCount(enabled=True, count=12, door_sensor=True),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_way_there_and_back(message):
    assert type(message).decode(message.encode()) == message


@pytest.mark.parametrize("kinds", [c.FROM_LOCK, c.FROM_HOST])
@given(command=st.sampled_from(sorted({*c.FROM_LOCK, *c.FROM_HOST})), payload=st.binary(max_size=90))
def test_any_bytes_are_a_message_or_a_protocol_error(kinds, command, payload):
    try:
        message = c.decode(kinds, command, payload)
    except ProtocolError:
        return
    assert message is None or message.command == command


def test_a_command_that_is_not_used_is_no_message():
    assert c.decode(c.FROM_LOCK, Command.CONFIG, b"whatever") is None


@pytest.mark.parametrize("length", range(13, 25))
def test_states_of_every_firmware_are_read_by_their_length(length):
    full = c.KeyturnerStates(2, Bolt.LOCKED, 0, AT, 60, 200, 1, 2, 3, 4, 5, 3, bytes(5)).encode()
    read = c.KeyturnerStates.decode(full[:length])
    assert read.battery == 200
    assert read.encode() == full[:length]
    assert (read.door is None) is (length < 19)


def test_the_states_example_of_the_document_is_read():
    read = c.KeyturnerStates.decode(bytes.fromhex("020100E0070307080F1E3C0000200A"))
    assert (read.nuki_state, read.lock_state, read.trigger, read.battery) == (2, 1, 0, 0)
    assert read.at == datetime(2016, 3, 7, 8, 15, 30, tzinfo=UTC)
    assert read.tz_offset == 60


def test_a_lock_action_leaves_room_for_a_suffix_only_if_it_has_one():
    assert len(c.LockAction(Turn.UNLOCK, 1, NONCE).encode()) == 38
    assert len(c.LockAction(Turn.UNLOCK, 1, NONCE, suffix=b"x").encode()) == 58
    assert len(c.LockAction(Turn.UNLOCK, 1, NONCE, suffix=bytes(range(1, 40))).encode()) == 58


def test_old_firmware_tells_nothing_of_the_door_log():
    assert c.LogCount.decode(b"\x01\x0c\x00") == c.LogCount(enabled=True, count=12)


def test_no_nonce_and_no_pin_is_shown():
    shown = repr(c.RequestLog(7, 3, newest_first=True, total=False, nonce=NONCE, pin=Pin(4711)))
    assert "4711" not in shown
    assert repr(NONCE) not in shown
