"""The numbers of the protocol (`yalexs_ble.const`, whose names are kept where they tell something)."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Uuid(StrEnum):
    """Services and characteristics."""

    SERVICE = "0000fe24-0000-1000-8000-00805f9b34fb"
    WRITE = "bd4ac611-0b45-11e3-8ffd-0800200c9a66"
    NOTIFY = "bd4ac612-0b45-11e3-8ffd-0800200c9a66"
    SECURE_WRITE = "bd4ac613-0b45-11e3-8ffd-0800200c9a66"
    SECURE_NOTIFY = "bd4ac614-0b45-11e3-8ffd-0800200c9a66"
    INFORMATION = "0000180a-0000-1000-8000-00805f9b34fb"
    MODEL = "00002a24-0000-1000-8000-00805f9b34fb"


class Secure(IntEnum):
    """Opcodes of the secure channel."""

    KEY_EXCHANGE = 0x01
    KEY_EXCHANGED = 0x02
    INITIALIZE = 0x03
    INITIALIZED = 0x04
    DISCONNECT = 0x05
    DISCONNECTED = 0x8B


class Flag(IntEnum):
    """What kind of frame it is, on the normal channel."""

    REQUEST = 0xEE
    ACKNOWLEDGED = 0xAA
    RESULT = 0xBB


class Op(IntEnum):
    """Opcodes of the normal channel."""

    STATUS = 0x02
    WRITE_SETTING = 0x03
    READ_SETTING = 0x04
    UNLOCK = 0x0A
    LOCK = 0x0B
    ACTIVITY = 0x2D


class Variant(IntEnum):
    """Byte 4 of a lock or unlock request."""

    PLAIN = 0x00
    SECURE_MODE = 0x04
    UNLATCH = 0x0A


class Subject(IntEnum):
    """Byte 4 of a status request and of its answer: what is told."""

    LOCK = 0x02
    BATTERY = 0x0F
    DOOR = 0x2E
    BOTH = 0x2F


class Setting(IntEnum):
    """Byte 4 of a setting's request and answer."""

    AUTO_LOCK = 0x28


class Bolt(IntEnum):
    """Where the bolt is."""

    UNKNOWN = 0x00
    CALIBRATING = 0x01
    UNLOCKING = 0x02
    UNLOCKED = 0x03
    LOCKING = 0x04
    LOCKED = 0x05
    FINDING_POLARITY = 0x06
    JAMMED = 0x07
    UNLATCHING = 0x09
    UNLATCHED = 0x0A
    SECURE_MODE = 0x0C


class Door(IntEnum):
    """Where the door leaf is, by the lock's magnet."""

    INITIAL = 0x00
    CLOSED = 0x01
    AJAR = 0x02
    OPEN = 0x03
    UNKNOWN = 0x04


class Result(IntEnum):
    """Byte 15 of a result: how an operation ended."""

    SUCCESS = 0x00
    NOT_PAIRED = 0x01
    WRONG_KEY = 0x03
    TIMEOUT = 0x1E
    POSITION = 0x1F
    MOTOR_POLARITY = 0x20
    CALIBRATION_TIMEOUT = 0x21
    BACKED_OFF = 0x22
    HANDLE_NOT_LIFTED = 0x23
    EMPTY_LOG = 0x28
    LOW_BATTERY = 0x32
    TOO_HOT = 0x33
    NO_MAGNET = 0x34
    BAD_MAGNET = 0x35
    INVALID_OPERATION = 0x37
    NOT_AUTHORIZED = 0x38
    NACK = 0x3B
    UNINITIALIZED = 0x3D
    BUSY = 0x3E
    BAD_EXTENTS = 0x43
    BAD_ANGLE = 0x44
    EXTERNAL_TIMEOUT = 0x46


class Record(IntEnum):
    """Byte 4 of an activity record: what is told, and how it is laid out."""

    LOCK = 0x00
    KEYPAD_UNLOCK = 0x07
    PIN = 0x0E
    DOOR = 0x20
    END = 0x80


class Source(IntEnum):
    """What operated the lock, by an activity record."""

    REMOTE = 0x00
    MANUAL = 0x01
    AUTO_LOCK = 0x05
    PIN = 0x0B


BLUETOOTH = 0x03
"""The kind of remote operation that came over a Bluetooth connection."""
MASTER_CODE = 0xFFEE
"""The slot of the keypad's master code."""
