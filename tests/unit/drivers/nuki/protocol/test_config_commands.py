import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyNukiBT import const

from drivers.nuki.protocol.config_commands import Advanced, AdvancedConfig, RequestAdvancedConfig, SetAdvancedConfig
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.wire import Pin

NONCE = bytes(range(32))
PINS = [Pin(1234), Pin(123456, wide=True)]
HEAD = struct.pack("<hhhhBBBBBBB", -10, 20, -30, 40, 20, 1, 4, 0, 1, 1, 3)
TAIL = bytes((0, 1, 22, 0, 6, 30, 1, 1, 1, 1, 1, 0))
ADVANCED = Advanced(HEAD, 300, TAIL)


@pytest.mark.parametrize(
    "message",
    [
        RequestAdvancedConfig(NONCE),
        AdvancedConfig(720, ADVANCED),
        AdvancedConfig(720, Advanced(HEAD, 300, TAIL + b"\x02\x01")),
        AdvancedConfig(720, Advanced(HEAD, 300, TAIL[:9])),
        *(SetAdvancedConfig(ADVANCED, NONCE, pin) for pin in PINS),
    ],
)
def test_a_message_survives_the_way_there_and_back(message):
    assert type(message).decode(message.encode()) == message


@given(st.binary(max_size=80))
@pytest.mark.parametrize("kind", [RequestAdvancedConfig, AdvancedConfig, SetAdvancedConfig])
def test_any_bytes_are_a_message_or_a_protocol_error(kind, payload):
    try:
        kind.decode(payload)
    except ProtocolError:
        return


def test_what_the_lock_tells_is_where_a_foreign_client_reads_it():
    read = const.NukiLockConst.AdvancedConfig.parse(AdvancedConfig(720, ADVANCED).encode())
    assert (read.total_degrees, read.unlocked_position_offset_degrees, read.unlatch_duration) == (720, -10, 3)
    assert (read.auto_lock_timeout, read.auto_lock_enabled) == (300, 1)
    assert (read.night_mode_immediate_lock_on_start, read.immediate_auto_lock_enabled) == (1, 1)


@pytest.mark.parametrize(("library", "pin"), [(const.NukiLockConst, PINS[0]), (const.NukiUltraConst, PINS[1])])
def test_a_change_is_where_a_foreign_lock_reads_it(library, pin):
    newer = Advanced(HEAD, 300, TAIL + b"\x01\x00")  # with the motor's speed, as newer firmware has it
    sent = SetAdvancedConfig(newer.with_auto_lock(enabled=False, timeout=42), NONCE, pin).encode()
    read = library.NewAdvancedConfig.parse(sent)
    assert (read.auto_lock_timeout, read.auto_lock_enabled, read.immediate_auto_lock_enabled) == (42, 0, 1)
    assert (bytes(read.nonce), read.security_pin) == (NONCE, pin.value)


def test_a_change_changes_the_auto_lock_alone():
    changed = ADVANCED.with_auto_lock(enabled=False, timeout=42)
    assert (changed.auto_lock_enabled, changed.auto_lock_timeout) == (False, 42)
    assert changed.with_auto_lock(enabled=True, timeout=300) == ADVANCED


def test_without_a_timeout_the_old_one_stays():
    assert ADVANCED.with_auto_lock(enabled=False, timeout=None).auto_lock_timeout == 300


def test_firmware_that_sends_less_has_no_flag():
    assert Advanced.decode(HEAD + struct.pack("<H", 300) + TAIL[:9]).auto_lock_enabled is None


def test_nonce_and_pin_are_not_shown():
    shown = repr(SetAdvancedConfig(ADVANCED, NONCE, PINS[0]))
    assert "1234" not in shown
    assert repr(NONCE) not in shown
