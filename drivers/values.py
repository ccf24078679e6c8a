"""What is said between the bridge and a driver: states, outcomes, errors, log entries, advertisements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What a command may ask of a lock."""

    LOCK = "lock"
    UNLOCK = "unlock"
    UNLATCH = "unlatch"


class LockState(StrEnum):
    """Where the bolt is, as the lock itself says."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    UNLATCHED = "unlatched"
    LOCKING = "locking"
    UNLOCKING = "unlocking"
    UNLATCHING = "unlatching"
    JAMMED = "jammed"
    PARTIALLY_LOCKED = "partially_locked"
    UNCALIBRATED = "uncalibrated"
    UNKNOWN = "unknown"

    @property
    def moving(self) -> bool:
        """Whether the motor is turning."""
        return self in (LockState.LOCKING, LockState.UNLOCKING, LockState.UNLATCHING)


class DoorState(StrEnum):
    """Where the door leaf is."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Method(StrEnum):
    """By what means the door was operated, as far as the lock's own evidence goes."""

    REMOTE_API = "remote_api"
    BLUETOOTH_KEY = "bluetooth_key"
    MOBILE_APP = "mobile_app"
    PIN_CODE = "pin_code"
    FOB_CARD = "fob_card"
    FINGERPRINT = "fingerprint"
    MANUAL_TURN = "manual_turn"
    AUTO_LOCK = "auto_lock"
    UNKNOWN = "unknown"


class Denial(StrEnum):
    """Why a lock let somebody not in, by Seam's names."""

    UNKNOWN_CODE = "unknown_code"
    CREDENTIAL_ERROR = "credential_error"


class Fault(StrEnum):
    """Why a lock, or the way to it, failed."""

    UNREACHABLE = "unreachable"
    RADIO_DOWN = "radio_down"
    JAMMED = "jammed"
    OBSTRUCTED = "obstructed"
    NOT_FULLY_EXTENDED = "not_fully_extended"
    MECHANISM = "mechanism"
    REFUSED = "refused"  # busy, too recent, not calibrated: the firmware takes no command now
    NOT_AUTHORIZED = "not_authorized"
    LOW_BATTERY = "low_battery"
    UNCATEGORIZED = "uncategorized"


class Stage(StrEnum):
    """How far an actuation is known to have come when its end was not seen."""

    WRITTEN = "written"  # handed to the radio, or perhaps so
    ACCEPTED = "accepted"  # the lock said that it took the command
    MOVING = "moving"  # the lock reported its motor turning


class DriverError(Exception):
    """The lock, or the way to it, refused. The message is fit for an event and names the remedy if there is one."""

    def __init__(self, fault: Fault, message: str, *, vendor_code: int | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.vendor_code = vendor_code


class LinkLost(DriverError):
    """The link ended, could not be made, or the lock fell silent on it."""

    def __init__(self, message: str = "The connection to the lock was lost.") -> None:
        super().__init__(Fault.UNREACHABLE, message)


class AttRefused(LinkLost):
    """The lock refused one read or write, by ATT's error code; the link may well stand."""

    def __init__(self, code: int) -> None:
        super().__init__(f"The lock refused the exchange (ATT error 0x{code:02x}).")
        self.code = code


class PairingError(DriverError):
    """Pairing did not come about. The message says what to do next."""

    def __init__(self, message: str, *, vendor_code: int | None = None) -> None:
        super().__init__(Fault.NOT_AUTHORIZED, message, vendor_code=vendor_code)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one authenticated read, or one authenticated report, of the lock says. Absent values were not told."""

    lock_state: LockState
    door_state: DoorState = DoorState.UNKNOWN
    battery_level: int | None = None
    """Percent, 0 to 100."""
    battery_critical: bool | None = None
    method: Method | None = field(default=None, compare=False)
    """By what means the bolt came to be where it is; None where the lock does not tell."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The lock itself reported the end that was asked for."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Failed:
    """The lock itself reported that it did not do it."""

    fault: Fault
    message: str
    vendor_code: int | None = None
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The end was not seen."""

    stage: Stage
    message: str = "The lock did not report the end of the action."


Outcome = Confirmed | Failed | Unknown

TAG_BYTES = 20
"""The longest tag that an actuation may leave in a lock's log."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One entry of the lock's own log. `actor` is a name or number from the lock, never an access code."""

    record_id: int
    at: datetime | None
    action: Action | None
    method: Method
    succeeded: bool | None
    fault: Fault | None = None
    actor: str | None = None
    tag: bytes | None = None
    """What our own actuation left in the log, if this entry is ours."""
    ours: bool = False
    """Whether the entry carries the bridge's own authorization."""
    perhaps_ours: bool = False
    """Whether it was done over a Bluetooth link, and the log does not tell by whom."""
    denied: Denial | None = None
    """Why nothing was done, where somebody was not let in."""
    code_id: int | None = None
    """The lock's own number for the access code that was used; never the code."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver, or one lock, can do, honestly."""

    actions: frozenset[Action]
    door: bool = False
    battery_level: bool = False
    log: bool = False
    """Whether the lock's log can be read without consuming it."""
    tagged_log: bool = False
    """Whether an actuation's tag can be found again in the log."""
    hint: bool = False
    """Whether the lock's advertisements can tell that something changed."""
    auto_lock: bool = False
    """Whether its sessions are `AutoLocking`."""


@dataclass(frozen=True, slots=True)
class AutoLock:
    """Whether a lock that is left unlocked locks itself, and when."""

    enabled: bool
    delay: int | None = None
    """Seconds; None to leave the lock's own as it is."""

    def met_by(self, found: AutoLock) -> bool:
        """Tell whether what a lock says of itself is what is asked for here. A delay matters only where it is used."""
        return self.enabled is found.enabled and (not self.enabled or self.delay in (None, found.delay))


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One advertisement as heard on the air. Unauthenticated: a hint, never a fact about the bolt."""

    address: str
    name: str | None = None
    rssi: int | None = None
    """dBm."""
    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    service_data: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    service_uuids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a driver reads from an advertisement of a lock of its vendor."""

    model: str
    pairable: bool | None = None
    """Whether the lock says that it is ready to pair; None where its advertisement does not tell."""
    changed: bool | None = None
    """A hint that something changed since the lock was last read; None where the advertisement does not tell."""
    marks: Mapping[str, str] = field(default_factory=dict[str, str])
    """What is another after each change, by its kind; opaque. An advertisement need not tell of every kind."""
