"""Frames as they were captured from locks, and as they are made."""

import pytest

from drivers.base import Fault
from drivers.switchbot.protocol import commands
from drivers.switchbot.protocol.commands import Turn
from drivers.switchbot.protocol.crypto import CtrCipher, Mode
from drivers.switchbot.protocol.errors import ProtocolError, Status, refusal
from drivers.switchbot.protocol.frames import (
    Answer,
    Grant,
    Push,
    ask_iv,
    asked_iv,
    command,
    commanded,
    grant,
    granted,
    heard,
    said,
)
from drivers.switchbot.protocol.models import Model
from drivers.switchbot.protocol.report import Bolt

KEY, IV = bytes(range(16)), bytes(range(16, 32))
KEY_ID = 0x34


@pytest.fixture
def session():
    return CtrCipher(KEY, IV)


class Overheard(CtrCipher):
    """Counter mode of which the beginning of the key stream is known, and not the key."""

    def __init__(self, mark: str, stream: bytes) -> None:
        self._mark = bytes.fromhex(mark)
        self._stream = stream

    def unseal(self, sealed):
        assert sealed[:2] == self._mark
        return bytes(a ^ b for a, b in zip(sealed[2:], self._stream, strict=False))


class TestCaptured:
    """A Lock Pro's frames (sblibs/pySwitchbot issue 353, home-assistant/core issue 142316).

    Every message of a session has the same key stream, so that a command that can be guessed gives away its beginning.
    """

    def test_asking_for_an_iv_and_getting_it(self):
        assert ask_iv(KEY_ID).hex() == "570000000f210334"
        given = granted(bytes.fromhex("010000002eb4b614affc1aee7d710a9c06f60f1c"))
        assert given == Grant(Mode.CTR, bytes.fromhex("2eb4b614affc1aee7d710a9c06f60f1c"))

    @pytest.mark.parametrize(
        ("mark", "acted", "receipt", "asked", "bolt"),
        [
            ("2eb4", "57342eb4176af819107394", "01342eb49011b12d10", "57342eb41a", Bolt.UNLOCKED),
            ("aeb2", "5734aeb226f0a94fcc30e7", "0134aeb2bb8be07bcc", "5734aeb22b", Bolt.LOCKING),
        ],
    )
    def test_a_command_and_its_receipt(self, mark, acted, receipt, asked, bolt):
        guess = commands.act(Model.PRO, Turn.LOCK)
        stream = bytes(a ^ b for a, b in zip(bytes.fromhex(acted)[4:], guess, strict=True))
        session = Overheard(mark, stream)
        assert commanded(bytes.fromhex(asked), KEY_ID, session) == commands.BASIC_INFO
        answer = heard(bytes.fromhex(receipt), KEY_ID, session)
        assert answer.done
        assert answer.data[0] >> 7 == 1
        assert answer.data[0] >> 3 & 0xF == bolt


def test_an_iv_is_asked_for_and_given():
    assert asked_iv(ask_iv(7)) == 7
    assert asked_iv(ask_iv(7)[:-1]) is None
    assert granted(grant(Mode.CTR, IV)) == Grant(Mode.CTR, IV)
    assert granted(grant(Mode.GCM, IV[:12])) == Grant(Mode.GCM, IV[:12])


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (b"", "no IV"),
        (b"\x09", "no IV"),
        (grant(Mode.CTR, IV)[:-1], "no IV"),
        (grant(Mode.CTR, IV) + b"\0", "no IV"),
        (b"\x02" + grant(Mode.CTR, IV)[1:], "no IV"),
        (b"\x01\0\x02\0" + IV, "unknown mode"),
    ],
)
def test_what_is_no_iv_is_not_taken_for_one(frame, told):
    with pytest.raises(ProtocolError, match=told):
        granted(frame)


def test_a_command_reaches_who_has_the_key(session):
    frame = command(b"message", KEY_ID, session)
    assert frame[:2] == bytes((0x57, KEY_ID))
    assert commanded(frame, KEY_ID, session) == b"message"
    assert commanded(frame, KEY_ID + 1, session) is None


def test_what_a_lock_says_is_an_answer_or_a_push(session):
    assert heard(said(Status.OK, b"state", KEY_ID, session), KEY_ID, session) == Answer(1, b"state")
    assert heard(said(Status.PUSH, b"state", KEY_ID, session), KEY_ID, session) == Push(b"state")
    assert heard(b"\x03", KEY_ID, session) == Answer(Status.BUSY)


def test_what_is_none_of_the_session_is_not_heard(session):
    other = CtrCipher(KEY, bytes(16))
    for frame in (
        b"",
        b"\x01",
        b"\x06\0",
        b"\x0f\0\0",
        said(Status.OK, b"state", KEY_ID + 1, session),
        said(Status.OK, b"state", KEY_ID, other),
        said(Status.PUSH, b"state", KEY_ID, other),
        said(Status.OK, bytes(17), KEY_ID, session),
    ):
        assert heard(frame, KEY_ID, session) is None


def test_a_low_battery_is_told_with_success():
    assert Answer(Status.LOW_BATTERY).done
    assert Answer(Status.LOW_BATTERY).low_battery
    assert not Answer(Status.OK).low_battery
    assert not Answer(Status.ERROR).done


def test_a_refusal_says_what_to_do():
    assert refusal(Status.WRONG_KEY).fault is Fault.NOT_AUTHORIZED
    assert "key" in refusal(Status.WRONG_KEY).message
    assert refusal(Status.BUSY).fault is Fault.REFUSED
    assert refusal(0x77).fault is Fault.UNCATEGORIZED


@pytest.mark.parametrize("model", Model)
def test_only_what_turns_the_motor_is_a_turn(model):
    for turn in Turn:
        assert commands.turn_of(model, commands.act(model, turn)) is turn
    for message in (commands.ask(model), commands.listen(model), commands.BASIC_INFO, commands.SILENCE, b""):
        assert commands.turn_of(model, message) is None
