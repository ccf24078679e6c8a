from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.wire import Fixed, Pin, pack_name, pack_time, unpack, unpack_name, unpack_time


@dataclass(frozen=True, slots=True)
class Pair(Fixed):
    command: ClassVar[int] = 1
    layout: ClassVar[str] = "<BH"
    small: int
    large: int


def test_a_fixed_message_is_its_fields_in_order():
    assert Pair(1, 0x0203).encode() == b"\x01\x03\x02"
    assert Pair.decode(b"\x01\x03\x02") == Pair(1, 0x0203)


@pytest.mark.parametrize("payload", [b"", b"\x01\x03", b"\x01\x03\x02\x00"])
def test_a_fixed_message_of_another_length_is_refused(payload):
    with pytest.raises(ProtocolError):
        Pair.decode(payload)


def test_what_follows_a_layout_is_allowed_unless_it_must_be_exact():
    assert unpack("<B", b"\x01\x02") == (1,)
    with pytest.raises(ProtocolError):
        unpack("<B", b"\x01\x02", exact=True)


@pytest.mark.parametrize(("pin", "data"), [(Pin(0x1234), b"\x34\x12"), (Pin(123456, wide=True), b"\x40\xe2\x01\x00")])
def test_a_pin_is_as_wide_as_its_lock_wants(pin, data):
    assert pin.encode() == data
    assert Pin.decode(data) == pin


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x02\x03", b"\x01\x02\x03\x04\x05"])
def test_a_pin_of_another_width_is_refused(data):
    with pytest.raises(ProtocolError):
        Pin.decode(data)


def test_a_pin_is_not_shown():
    assert "4711" not in repr(Pin(4711))


@given(st.text(max_size=40))
def test_a_name_is_cut_between_characters(name):
    packed = pack_name(name)
    assert len(packed) == 32
    assert name.encode().rstrip(b"\0").startswith(unpack_name(packed).encode())


def test_a_name_that_is_no_text_is_read_leniently():
    assert unpack_name(b"Key\xff\x00\x00") == "Key�"


def test_times_travel_in_utc():
    at = datetime(2026, 3, 7, 8, 15, 30, tzinfo=UTC)
    assert unpack_time(pack_time(at)) == at
    assert pack_time(at.astimezone(timezone(timedelta(hours=2)))) == pack_time(at)


def test_a_clock_that_was_never_set_tells_no_time():
    assert pack_time(None) == bytes(7)
    assert unpack_time(bytes(7)) is None
    assert unpack_time(b"\xff" * 7) is None
