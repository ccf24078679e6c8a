"""Numbers and names of the Sesame OS3 protocol (CANDY HOUSE, "SesameOS3" Bluetooth documents)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

COMPANY = 0x055A
"""CANDY HOUSE's company identifier, under which every Sesame advertises."""

SERVICE = "0000fd81-0000-1000-8000-00805f9b34fb"
WRITE = "16860002-a5ae-9856-b6d3-dbb4c676993e"
"""Written without response."""
NOTIFY = "16860003-a5ae-9856-b6d3-dbb4c676993e"


class Op(IntEnum):
    """What a message of the lock's is."""

    RESPONSE = 0x07
    PUBLISH = 0x08


class Item(IntEnum):
    """What a message is about; a host's message begins with it."""

    REGISTRATION = 1
    LOGIN = 2
    HISTORY = 4
    VERSION = 5
    TIME = 8
    AUTO_LOCK = 11
    INITIAL = 14
    HISTORY_DELETE = 18
    MECH_SETTING = 80
    MECH_STATUS = 81
    LOCK = 82
    UNLOCK = 83


class Result(IntEnum):
    """How a lock took a request."""

    SUCCESS = 0
    INVALID_FORMAT = 1
    NOT_SUPPORTED = 2
    STORAGE_FAIL = 3
    INVALID_SIGNATURE = 4
    NOT_FOUND = 5
    UNKNOWN = 6
    BUSY = 7
    INVALID_PARAMETER = 8
    INVALID_ACTION = 9


class Flag(IntFlag):
    """The last byte of a mech status ("81 Mech Status")."""

    CLUTCH_FAILED = 0x01
    IN_LOCK_RANGE = 0x02
    IN_UNLOCK_RANGE = 0x04
    CRITICAL = 0x08
    """The motor was stopped because locking or unlocking took too long."""
    STOPPED = 0x10
    """The thumb turn stands still."""
    LOW_BATTERY = 0x20
    """Below 5 V."""
    CLOCKWISE = 0x40


class HistoryType(IntEnum):
    """What an entry of the history is about. The first two say that a command was taken, not what came of it."""

    BLE_LOCK = 1
    BLE_UNLOCK = 2
    AUTO_LOCK = 6
    MANUAL_LOCKED = 7
    MANUAL_UNLOCKED = 8
    MANUAL_ELSE = 9
    DRIVE_LOCKED = 10
    DRIVE_UNLOCKED = 11
    DRIVE_FAILED = 12
    WIFI_LOCK = 14
    WIFI_UNLOCK = 15
    WEB_LOCK = 16
    WEB_UNLOCK = 17


class TagType(IntEnum):
    """What kind of tag an entry of the history carries: by what the command was given."""

    CARD = 0x00
    FINGER = 0x01
    PASSWORD = 0x02
    FACE = 0x03
    PALM = 0x04
    REMOTE = 0x0A
    REMOTE_NANO = 0x0B
    BUSINESS = 0x0C
    WEB = 0x0D
    ANDROID_BLE = 0x0E
    IOS_BLE = 0x0F
    ANDROID_WIFI = 0x10
    IOS_WIFI = 0x11


MODELS = {
    5: "Sesame 5",
    7: "Sesame 5 Pro",
    16: "Sesame 5 US",
    20: "Sesame 6",
    21: "Sesame 6 Pro",
    32: "Sesame 6 Pro sliding door",
}
"""The locks that speak OS3, by the product number of their advertisement. Bicycle locks, bots and keypads are none."""
