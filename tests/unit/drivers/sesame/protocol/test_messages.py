import pytest

from drivers.base import Fault
from drivers.sesame.protocol.codes import Flag, Item, Result
from drivers.sesame.protocol.errors import ProtocolError, refusal
from drivers.sesame.protocol.mech import NO_TARGET, MechSetting, MechStatus
from drivers.sesame.protocol.messages import Publish, Response, decode
from drivers.sesame.protocol.segments import MAX_MESSAGE, Joiner, split


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("070500332e30", Response(Item.VERSION, Result.SUCCESS, b"3.0")),
        ("075207", Response(Item.LOCK, Result.BUSY)),
        ("080e01020304", Publish(Item.INITIAL, bytes([1, 2, 3, 4]))),
        ("0851", Publish(Item.MECH_STATUS)),
    ],
)
def test_what_a_lock_says(data, message):
    assert decode(bytes.fromhex(data)) == message
    assert message.encode() == bytes.fromhex(data)


@pytest.mark.parametrize("data", [b"", b"\x07", b"\x07\x05", b"\x08", b"\x01\x05\x00"])
def test_what_is_of_another_kind_is_none(data):
    assert decode(data) is None


def test_a_response_is_taken_or_not():
    assert Response(1, Result.SUCCESS).succeeded
    assert not Response(1, Result.NOT_FOUND).succeeded


def test_a_state_is_seven_bytes():
    data = bytes.fromhex("b80b0a000a0112")
    status = MechStatus.decode(data + b"more")
    assert status == MechStatus(3000, 10, 266, Flag.IN_LOCK_RANGE | Flag.STOPPED)
    assert status.encode() == data


def test_an_unknown_flag_is_passed_over():
    assert MechStatus.decode(bytes(6) + b"\x92").flags == Flag.IN_LOCK_RANGE | Flag.STOPPED


def test_a_state_without_a_target():
    assert MechStatus.decode(bytes.fromhex("00000080000010")).target == NO_TARGET


def test_a_setting_is_six_bytes():
    data = bytes.fromhex("0a000a012c01")
    assert MechSetting.decode(data + b"more") == MechSetting(10, 266, 300)
    assert MechSetting(10, 266, 300).encode() == data


@pytest.mark.parametrize("kind", [MechStatus, MechSetting])
def test_what_is_too_short_is_no_state(kind):
    with pytest.raises(ProtocolError):
        kind.decode(bytes(5))


@pytest.mark.parametrize(
    ("millivolts", "charge"),
    [(0, 0), (4598, 0), (4600, 0), (4800, 3), (4998, 6), (5000, 7), (5520, 35), (5848, 99), (5850, 100), (9000, 100)],
)
def test_a_voltage_is_shown_as_a_charge(millivolts, charge):
    assert MechStatus(millivolts // 2, 0, 0, Flag(0)).charge == charge


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        (Result.BUSY, Fault.REFUSED),
        (Result.INVALID_SIGNATURE, Fault.NOT_AUTHORIZED),
        (Result.NOT_FOUND, Fault.UNCATEGORIZED),
        (200, Fault.UNCATEGORIZED),
    ],
)
def test_a_refusal_says_why(result, fault):
    error = refusal(result)
    assert (error.fault, error.vendor_code) == (fault, result)
    assert error.message.endswith(".")


def test_a_long_message_travels_in_segments_of_twenty_bytes():
    segments = split(bytes(range(40)), sealed=True)
    assert [segment[0] for segment in segments] == [1, 0, 4]
    assert [len(segment) for segment in segments] == [20, 20, 3]


def test_an_empty_message_is_one_segment():
    assert split(b"", sealed=False) == [b"\x03"]


def test_segments_without_a_beginning_are_dropped():
    joiner = Joiner()
    assert joiner.feed(b"") is None
    assert joiner.feed(b"\x02end") is None
    assert joiner.feed(b"\x01be") is None
    assert joiner.feed(b"\x00gi") is None
    assert joiner.feed(b"\x04n") == (b"begin", True)
    assert joiner.feed(b"\x04n") is None


def test_a_message_that_begins_anew_forgets_what_was():
    joiner = Joiner()
    assert joiner.feed(b"\x01old") is None
    assert joiner.feed(b"\x03new") == (b"new", False)


def test_a_message_without_end_is_dropped():
    joiner = Joiner()
    joiner.feed(b"\x01")
    for _ in range(MAX_MESSAGE // 19 + 1):
        assert joiner.feed(bytes(20)) is None
    assert joiner.feed(b"\x02") is None
