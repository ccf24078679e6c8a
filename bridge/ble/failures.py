"""What bleak and D-Bus report, mapped once to what it means for a lock, as sentences fit for an event."""

from __future__ import annotations

from types import MappingProxyType

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from bridge.ble.radio import Absence, Cause, RadioDown, Unreachable
from drivers.base import AttRefused, LinkLost

_NOT_RUNNING = ("The Bluetooth service of this machine (bluetoothd) is not running.", Cause.GONE)
_NOT_ANSWERING = ("The Bluetooth service of this machine (bluetoothd) does not answer.", Cause.HUNG)

_RADIO = MappingProxyType(
    {
        "org.bluez.Error.Blocked": ("The Bluetooth adapter is blocked by rfkill.", Cause.BLOCKED),
        "org.bluez.Error.NotReady": ("The Bluetooth adapter is powered off.", Cause.OFF),
        "org.freedesktop.DBus.Error.AccessDenied": (
            "The bridge's user may not talk to bluetoothd (D-Bus policy).",
            Cause.FORBIDDEN,
        ),
        "org.freedesktop.DBus.Error.Disconnected": ("The connection to D-Bus was lost.", Cause.NO_BUS),
        "org.freedesktop.DBus.Error.NameHasNoOwner": _NOT_RUNNING,
        "org.freedesktop.DBus.Error.NoReply": _NOT_ANSWERING,
        "org.freedesktop.DBus.Error.ServiceUnknown": _NOT_RUNNING,
        "org.freedesktop.DBus.Error.Spawn.ChildExited": _NOT_RUNNING,
        "org.freedesktop.DBus.Error.TimedOut": _NOT_ANSWERING,
        "org.freedesktop.DBus.Error.Timeout": _NOT_ANSWERING,
    }
)
"""D-Bus errors that tell of the radio, whatever was asked."""

_CAUSES = MappingProxyType(
    {
        BleakBluetoothNotAvailableReason.NO_BLUETOOTH: Cause.ABSENT,
        BleakBluetoothNotAvailableReason.POWERED_OFF: Cause.OFF,
    }
)
"""Why bleak says that there is no Bluetooth."""

_UNHEARD = ("The lock has not been heard for too long to connect to it.", Absence.OUT_OF_RANGE)

_CONNECT = MappingProxyType(
    {
        "org.bluez.Error.AlreadyConnected": (
            "Another program on this machine is connected to the lock.",
            Absence.HELD_BY_ANOTHER,
        ),
        "org.bluez.Error.InProgress": ("BlueZ is still busy with an earlier connection to the lock.", None),
        "org.freedesktop.DBus.Error.UnknownObject": _UNHEARD,
    }
)
"""D-Bus errors that tell of the lock that was to be connected to."""


ENDED_AT_ONCE = "failed to discover services, device disconnected"
"""What bleak says where the lock took the connection and ended it, before it told its services."""


class AlreadyNotifying(BleakError):
    """BlueZ notifies somebody else of the same values on this machine, and would tell each of them twice."""


def while_scanning(error: Exception) -> RadioDown:
    """Tell why scanning, or asking for an adapter, failed."""
    if radio := _of_radio(error):
        return radio
    if isinstance(error, TimeoutError):
        return RadioDown(*_NOT_ANSWERING)
    return RadioDown(f"Scanning failed: {_words(error)}.")


def while_connecting(error: Exception, within: float) -> RadioDown | Unreachable:
    """Tell why a connection did not come about in `within` seconds."""
    if isinstance(error, TimeoutError):
        return Unreachable(
            f"The lock did not answer within {within:.0f} s:"
            " out of range, without power, or held by another central (a phone)."
        )
    if radio := _of_radio(error):
        return radio
    if isinstance(error, BleakDeviceNotFoundError):
        return Unreachable(*_UNHEARD)
    if isinstance(error, BleakDBusError) and error.dbus_error in _CONNECT:
        return Unreachable(*_CONNECT[error.dbus_error])
    if isinstance(error, BleakError) and error.args and error.args[0] == ENDED_AT_ONCE:
        return Unreachable(
            "The lock took the connection and ended it at once: held by another central (a phone), or busy.",
            Absence.HELD_BY_ANOTHER,
        )
    return Unreachable(f"The connection to the lock failed: {_words(error)}.")


def while_connected(error: Exception, *, lost: bool) -> LinkLost:
    """Tell why a read, a write or a subscription failed; `lost` if the connection was seen to end."""
    if isinstance(error, BleakGATTProtocolError):
        return AttRefused(int(error.code))
    if isinstance(error, AlreadyNotifying):
        return LinkLost("Another program on this machine listens to the lock, or BlueZ believes so.")
    if isinstance(error, BleakCharacteristicNotFoundError):
        return LinkLost(f"The connected device does not offer the characteristic {error.char_specifier}.")
    if lost:
        return LinkLost()
    if isinstance(error, TimeoutError):
        return LinkLost("The lock fell silent on an open connection.")
    return LinkLost(f"The connection to the lock failed: {_words(error)}.")


def _of_radio(error: Exception) -> RadioDown | None:
    match error:
        case BleakBluetoothNotAvailableError():
            return RadioDown(str(error.args[0]), _CAUSES.get(error.reason, Cause.SCAN))
        case BleakDBusError() if error.dbus_error in _RADIO:
            return RadioDown(*_RADIO[error.dbus_error])
        case EOFError() | ConnectionError() | FileNotFoundError() | PermissionError():
            return RadioDown("D-Bus cannot be reached.", Cause.NO_BUS)
        case _:
            return None


def _words(error: Exception) -> str:
    if isinstance(error, BleakDBusError):
        return error.dbus_error_details or error.dbus_error
    if isinstance(error, BleakError) and error.args:
        return str(error.args[0]).rstrip(".")
    return type(error).__name__
