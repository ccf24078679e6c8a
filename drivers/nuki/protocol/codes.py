"""The numbers of the Nuki protocol (Nuki Smart Lock Bluetooth API 2.2, with what newer firmware adds)."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Uuid(StrEnum):
    """GATT services and characteristics ("Bluetooth GATT services")."""

    INIT_SERVICE = "a92ee000-5501-11e4-916c-0800200c9a66"
    PAIRING_SERVICE = "a92ee100-5501-11e4-916c-0800200c9a66"
    PAIRING = "a92ee101-5501-11e4-916c-0800200c9a66"
    """General data I/O of the pairing service, locks 1 to 4 and Go: write, indicate."""
    KEYTURNER_SERVICE = "a92ee200-5501-11e4-916c-0800200c9a66"
    GDIO = "a92ee201-5501-11e4-916c-0800200c9a66"
    USDIO = "a92ee202-5501-11e4-916c-0800200c9a66"
    """User-specific data I/O: every command after pairing; write, indicate."""
    ULTRA_PAIRING_SERVICE = "a92ee300-5501-11e4-916c-0800200c9a66"
    ULTRA_PAIRING = "a92ee301-5501-11e4-916c-0800200c9a66"
    """The same on the Ultra and the fifth generation."""
    OPENER_PAIRING_SERVICE = "a92ae100-5501-11e4-916c-0800200c9a66"
    OPENER_SERVICE = "a92ae200-5501-11e4-916c-0800200c9a66"


class Command(IntEnum):
    """Command identifiers ("Commands")."""

    REQUEST_DATA = 0x0001
    PUBLIC_KEY = 0x0003
    CHALLENGE = 0x0004
    AUTHENTICATOR = 0x0005
    AUTHORIZATION_DATA = 0x0006
    AUTHORIZATION_ID = 0x0007
    REMOVE_AUTHORIZATION = 0x0008
    REQUEST_AUTHORIZATIONS = 0x0009
    AUTHORIZATION = 0x000A
    KEYTURNER_STATES = 0x000C
    LOCK_ACTION = 0x000D
    STATUS = 0x000E
    BATTERY_REPORT = 0x0011
    ERROR_REPORT = 0x0012
    REQUEST_CONFIG = 0x0014
    CONFIG = 0x0015
    CONFIRMATION = 0x001E
    VERIFY_PIN = 0x0020
    UPDATE_TIME = 0x0021
    AUTHORIZATION_COUNT = 0x0027
    REQUEST_LOG = 0x0031
    LOG_ENTRY = 0x0032
    LOG_COUNT = 0x0033
    ENABLE_LOGGING = 0x0034
    SET_ADVANCED_CONFIG = 0x0035
    REQUEST_ADVANCED_CONFIG = 0x0036
    ADVANCED_CONFIG = 0x0037
    AUTHORIZATION_INFO = 0x004C
    SIMPLE_LOCK_ACTION = 0x0100


class StatusCode(IntEnum):
    """What a Status says ("Status codes")."""

    COMPLETE = 0x00
    ACCEPTED = 0x01


class Turn(IntEnum):
    """Lock actions (Lock Action 0x000D)."""

    UNLOCK = 0x01
    LOCK = 0x02
    UNLATCH = 0x03
    LOCK_N_GO = 0x04
    LOCK_N_GO_UNLATCH = 0x05
    FULL_LOCK = 0x06


class NukiState(IntEnum):
    """What mode the device is in (Keyturner States 0x000C)."""

    UNINITIALIZED = 0x00
    PAIRING = 0x01
    DOOR = 0x02
    CONTINUOUS = 0x03
    MAINTENANCE = 0x04


class Bolt(IntEnum):
    """Lock states (Keyturner States 0x000C)."""

    UNCALIBRATED = 0x00
    LOCKED = 0x01
    UNLOCKING = 0x02
    UNLOCKED = 0x03
    LOCKING = 0x04
    UNLATCHED = 0x05
    UNLOCKED_LOCK_N_GO = 0x06
    UNLATCHING = 0x07
    CALIBRATION = 0xFC
    BOOT_RUN = 0xFD
    MOTOR_BLOCKED = 0xFE
    UNDEFINED = 0xFF


class Trigger(IntEnum):
    """What set the lock in motion. Keypads and fobs act by Bluetooth, so they are `SYSTEM` here."""

    SYSTEM = 0x00
    MANUAL = 0x01
    BUTTON = 0x02
    AUTOMATIC = 0x03
    AUTO_LOCK = 0x06
    HOMEKIT = 0xAB
    MQTT = 0xAC


class Door(IntEnum):
    """Door sensor states (Keyturner States 0x000C)."""

    UNAVAILABLE = 0x00
    DEACTIVATED = 0x01
    CLOSED = 0x02
    OPEN = 0x03
    UNKNOWN = 0x04
    CALIBRATING = 0x05
    UNCALIBRATED = 0x10
    TAMPERED = 0xF0


class Completion(IntEnum):
    """How an action ended (last lock action completion, log entries)."""

    SUCCESS = 0x00
    MOTOR_BLOCKED = 0x01
    CANCELLED = 0x02
    TOO_RECENT = 0x03
    BUSY = 0x04
    LOW_MOTOR_VOLTAGE = 0x05
    CLUTCH_FAILURE = 0x06
    MOTOR_POWER_FAILURE = 0x07
    INCOMPLETE = 0x08
    NOT_AUTHORIZED = 0x09
    FAILURE = 0x0B
    INVALID_CODE = 0xE0
    INVALID_FINGERPRINT = 0xE1
    OTHER = 0xFE
    UNKNOWN = 0xFF


class AuthorizationType(IntEnum):
    """What kind of thing holds an authorization (Authorization Data 0x0006)."""

    APP = 0x00
    BRIDGE = 0x01
    FOB = 0x02
    KEYPAD = 0x03


class LogType(IntEnum):
    """Kinds of log entry (Log Entry 0x0032)."""

    LOGGING = 0x01
    LOCK_ACTION = 0x02
    CALIBRATION = 0x03
    INITIALIZATION = 0x04
    KEYPAD = 0x05
    DOOR_SENSOR = 0x06
    DOOR_LOGGING = 0x07


class KeypadSource(IntEnum):
    """How a keypad was used (Log Entry 0x0032, type keypad)."""

    ARROW_KEY = 0x00
    CODE = 0x01
    FINGERPRINT = 0x02


class ErrorCode(IntEnum):
    """What an Error Report says ("Error codes"). The byte is signed in the document; here it is 0 to 255."""

    NOT_PAIRING = 0x10
    BAD_AUTHENTICATOR = 0x11
    BAD_PAIRING_PARAMETER = 0x12
    MAX_USERS = 0x13
    NOT_AUTHORIZED = 0x20
    BAD_PIN = 0x21
    BAD_NONCE = 0x22
    BAD_PARAMETER = 0x23
    INVALID_AUTH_ID = 0x24
    DISABLED = 0x25
    REMOTE_NOT_ALLOWED = 0x26
    TIME_NOT_ALLOWED = 0x27
    TOO_MANY_PIN_ATTEMPTS = 0x28
    TOO_MANY_ENTRIES = 0x29
    CODE_ALREADY_EXISTS = 0x2A
    CODE_INVALID = 0x2B
    CODE_LOCKOUT_1 = 0x2C
    CODE_LOCKOUT_2 = 0x2D
    CODE_LOCKOUT_3 = 0x2E
    TOO_RECENT = 0x40
    POSITION_UNKNOWN = 0x41
    MOTOR_BLOCKED = 0x42
    CLUTCH_FAILURE = 0x43
    MOTOR_TIMEOUT = 0x44
    BUSY = 0x45
    CANCELLED = 0x46
    NOT_CALIBRATED = 0x47
    MOTOR_POSITION_LIMIT = 0x48
    MOTOR_LOW_VOLTAGE = 0x49
    MOTOR_POWER_FAILURE = 0x4A
    CLUTCH_POWER_FAILURE = 0x4B
    VOLTAGE_TOO_LOW = 0x4C
    FIRMWARE_UPDATE_NEEDED = 0x4D
    BAD_CRC = 0xFD
    BAD_LENGTH = 0xFE
    UNKNOWN = 0xFF
