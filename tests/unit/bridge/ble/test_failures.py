"""What bleak and D-Bus report, mapped to what it means for a lock."""

from pathlib import Path

import pytest
from bleak.backends.bluezdbus import manager
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from bridge.ble.failures import ENDED_AT_ONCE, while_connected, while_connecting, while_scanning
from bridge.ble.radio import Absence, RadioDown, Unreachable

POWERED_OFF = BleakBluetoothNotAvailableError("No powered adapters.", BleakBluetoothNotAvailableReason.POWERED_OFF)
NOT_RUNNING = BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["The name is not activatable"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (POWERED_OFF, "No powered adapters."),
        (NOT_RUNNING, "bluetoothd) is not running"),
        (BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"]), "powered off"),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["Rejected"]), "D-Bus policy"),
        (FileNotFoundError(2, "No such file"), "D-Bus cannot be reached"),
        (ConnectionRefusedError(), "D-Bus cannot be reached"),
        (EOFError(), "D-Bus cannot be reached"),
    ],
)
def test_what_ails_the_radio_is_the_radios_whatever_was_asked(error, words):
    assert isinstance(while_connecting(error, 5), RadioDown)
    assert isinstance(while_scanning(error), RadioDown)
    assert words in while_scanning(error).message
    assert while_connecting(error, 5).message == while_scanning(error).message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "within 5 s"),
        (BleakDeviceNotFoundError("54:D2:72:00:00:01", "gone"), "not been heard"),
        (BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"]), "still busy"),
        (BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"]), "le-connection-abort-by-local"),
        (BleakDBusError("org.bluez.Error.Failed", []), "org.bluez.Error.Failed"),
        (BleakError(ENDED_AT_ONCE), "ended it at once"),
        (BleakError("something else"), "something else."),
        (BleakError(), "BleakError"),
        (KeyError("/org/bluez/hci0"), "KeyError"),
    ],
)
def test_a_connection_that_fails_is_a_lock_that_is_unreachable(error, words):
    told = while_connecting(error, 5)
    assert isinstance(told, Unreachable)
    assert words in told.message
    assert told.message.endswith(".")
    assert not told.message.endswith("..")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "does not answer"),
        (BleakError("adapter 'hci7' not found"), "adapter 'hci7' not found"),
    ],
)
def test_a_scan_that_fails_is_a_radio_that_is_down(error, words):
    assert words in while_scanning(error).message


@pytest.mark.parametrize(
    ("error", "lost", "words"),
    [
        (BleakGATTProtocolError(0x80), False, "0x80"),
        (BleakGATTProtocolError(0x80), True, "0x80"),
        (BleakCharacteristicNotFoundError("1234"), False, "1234"),
        (TimeoutError(), False, "fell silent"),
        (TimeoutError(), True, "was lost"),
        (BleakError("Not connected"), True, "was lost"),
        (BleakError("Not connected"), False, "Not connected"),
    ],
)
def test_an_exchange_that_fails_says_whether_the_link_the_lock_or_the_stack_failed(error, lost, words):
    assert words in while_connected(error, lost=lost).message


@pytest.mark.parametrize(
    ("error", "absence"),
    [
        (TimeoutError(), Absence.OUT_OF_RANGE),
        (BleakDeviceNotFoundError("54:D2:72:00:00:01", "gone"), Absence.OUT_OF_RANGE),
        (BleakDBusError("org.bluez.Error.AlreadyConnected", []), Absence.HELD_BY_ANOTHER),
        (BleakDBusError("org.bluez.Error.InProgress", []), None),
        (BleakError(ENDED_AT_ONCE), Absence.HELD_BY_ANOTHER),
        (BleakError("the device shows no services"), Absence.OUT_OF_RANGE),
    ],
)
def test_a_connection_that_fails_says_what_is_known_of_the_lock(error, absence):
    assert while_connecting(error, 5).absence is absence


def test_bleak_says_that_a_connection_ended_at_once_in_the_words_that_are_relied_on():
    assert ENDED_AT_ONCE in Path(manager.__file__).read_text()
