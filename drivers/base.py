"""The contract between the bridge and a vendor's driver.

Rules:
1. A driver never scans and never reconnects: it is handed a link, and the link's end is the session's end.
2. Nothing that can move the bolt is sent before `Actuation.run`, and `Actuation.run` sends it at most once.
3. An outcome is what the lock itself reported. What was not seen is `Unknown`, never a success.
4. A session runs on any anyio backend and starts no task of its own.
5. No key, PIN or code appears in an error, a log line or a `repr`.

A new vendor is one folder that offers a `Driver` under the entry point group `lock_bridge.drivers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from anyio.streams.memory import MemoryObjectReceiveStream
from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from drivers.virtual.peripheral import Twin, VirtualSettings


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
    denied: Denial | None = None
    """Why nothing was done, where somebody was not let in."""
    code_id: int | None = None
    """The lock's own number for the access code that was used; never the code."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can do, honestly."""

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


class Link(Protocol):
    """One GATT connection. Every method raises `LinkLost` once it is gone."""

    @property
    def address(self) -> str:
        """The lock's Bluetooth address, upper case with colons."""
        ...

    def has(self, characteristic: str) -> bool:
        """Tell whether the connected device offers the characteristic (a full lower-case UUID)."""
        ...

    async def read(self, characteristic: str) -> bytes:
        """Read a characteristic's value."""
        ...

    async def write(self, characteristic: str, data: bytes, *, response: bool = True) -> None:
        """Write a value; with `response`, return once the lock has acknowledged it."""
        ...

    def subscribe(self, characteristic: str) -> AbstractAsyncContextManager[MemoryObjectReceiveStream[bytes]]:
        """Subscribe to notifications or indications; the stream ends (`EndOfStream`) when the link does.

        Entered and left in any task; leaving it unsubscribes where the link still stands.
        """
        ...


class Actuation(Protocol):
    """One action made ready: everything is done but the write that can move the bolt."""

    async def run(self, seen: Callable[[Snapshot], None]) -> Outcome:
        """Send the action, once, and wait for the lock's own report of its end.

        `seen` is called with each state that the lock reports on the way. Never raises for what the lock or the
        link does: after the write that is an `Outcome`. Bounded by the caller's deadline through cancellation.
        """
        ...


class Session(Protocol):
    """An authenticated conversation with one lock over one link."""

    async def read(self) -> Snapshot:
        """Ask the lock for its state now. Cancelled, it leaves the session fit for use.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    async def prepare(self, action: Action, tag: bytes) -> Actuation:
        """Do everything for the action that cannot move the bolt (a nonce, say). May be repeated.

        Args:
            action: one of the driver's capabilities.
            tag: up to `TAG_BYTES` bytes to leave in the lock's log, where the vendor can.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    @property
    def has_log(self) -> bool:
        """Whether `find` can tell: the lock's log can be read and actuations leave their tag in it."""
        ...

    async def find(self, tag: bytes) -> LogRecord | None:
        """Look the log up for the entry that an actuation with this tag left; None if there is none or no log.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    @property
    def lock_time(self) -> datetime | None:
        """The lock's own time when it was last read, which dates the entries of its log; None if it does not tell."""
        ...

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        """Read the lock's log, which leaves it as it is.

        Broken off, it leaves the session fit for nothing but reading the state.

        Args:
            after: the record after which to begin, oldest first; None for the newest entries, newest first.
            count: at most so many.

        Raises:
            DriverError: `NOT_AUTHORIZED` where it may not be read or is not kept, or else the lock refused; `LinkLost`:
                the link is gone or the lock is mute.
        """
        ...

    async def changed(self) -> None:
        """Return once the lock has told, unasked, of something new since it was last read.

        Waits for ever where locks tell nothing by themselves. Cancelled, it leaves the session fit for use.

        Raises:
            LinkLost: the link is gone.
        """
        ...

    async def aclose(self) -> None:
        """Say goodbye where the protocol has such a thing. Never raises; does not close the link."""
        ...


@runtime_checkable
class AutoLocking(Session, Protocol):
    """A session with a lock that can be told when to lock itself (`Capabilities.auto_lock`)."""

    async def auto_lock(self) -> AutoLock:
        """Ask the lock whether it locks itself, and when.

        Raises:
            DriverError: the lock refused, or a PIN is missing; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    async def prepare_auto_lock(self, wanted: AutoLock) -> Actuation:
        """Do everything for the change that changes nothing yet. May be repeated.

        The actuation sends it once, and is `Confirmed` only by what the lock then says of itself.

        Raises:
            DriverError: the lock refused, or a PIN is missing; `LinkLost`: the link is gone or the lock is mute.
        """
        ...


@runtime_checkable
class Revocable(Session, Protocol):
    """A session that can have the lock forget the key that it was opened with."""

    async def revoke(self) -> None:
        """Have the lock forget the key; the session is of no more use then.

        Raises:
            DriverError: the lock refused, or a PIN is missing; `LinkLost`: the link is gone or the lock is mute, and
                it may have forgotten the key.
        """


class Credential(BaseModel, frozen=True):
    """A vendor's keys to one lock, as they are stored. Secrets are `SecretStr` (bytes in hex), all else scalars."""

    def stored(self) -> dict[str, Any]:
        """Return the JSON object to store, secrets in clear. `model_validate` takes it back."""
        return {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in self}


class Options(BaseModel, frozen=True, extra="forbid"):
    """The driver's own table in a lock's configuration (`[locks.nuki]`)."""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One value of a key that was made elsewhere, as its owner gives it."""

    name: str
    """Such as `slot`: its name in a key file."""
    prompt: str
    """What the owner is asked for, and in which form: "Key slot (0 to 255)"."""
    secret: bool = True
    needed: bool = True
    """Whether the key is none without it."""


@dataclass(frozen=True, slots=True)
class PairingRequest:
    """What pairing needs from the person who asked for it."""

    name: str
    """The bridge's name in the lock's list of users, at most 32 bytes of UTF-8."""
    app_id: int
    """A number that identifies this bridge to the lock."""
    pin: int | None = None
    """The lock's security PIN, where the vendor wants it."""
    as_bridge: bool = False
    """Pair as the vendor's bridge device rather than as an app."""


@runtime_checkable
class Driver(Protocol):
    """One vendor."""

    name: str
    capabilities: Capabilities
    options: type[Options]
    credential: type[Credential]

    def sight(self, advertisement: Advertisement) -> Sighting | None:
        """Tell whether the advertisement is from a lock of this vendor. Pure and cheap."""
        ...

    async def open(self, link: Link, credential: Credential, options: Options) -> Session:
        """Start a session: the vendor's handshake.

        Raises:
            DriverError: the lock refused the credential; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    async def pair(self, link: Link, request: PairingRequest) -> Credential:
        """Make the lock trust a new key of ours.

        Raises:
            PairingError: with what to do next; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    def twin(self, address: str, name: str, settings: VirtualSettings) -> tuple[Twin, Credential]:
        """Make a virtual lock of this vendor and the credential that opens it, as if they had been paired."""
        ...


@runtime_checkable
class Guided(Driver, Protocol):
    """A driver that can say how its locks are made ready to pair."""

    pairing_guide: str
    """Sentences for whoever stands at the door: what to press, and what shows that it worked."""


@runtime_checkable
class KeyImporting(Driver, Protocol):
    """A driver for locks that trust a key made elsewhere, by the vendor's app or cloud: its owner brings it."""

    key_parts: tuple[KeyPart, ...]
    key_guide: str
    """Sentences that tell the owner where the key is found."""
    key_needed: bool
    """Whether there is no other way: `pair` then refuses, and says so."""

    def key_from(self, parts: Mapping[str, str]) -> Credential:
        """Make the credential of what the owner gave: each of `key_parts` that is needed or given, by its name.

        Raises:
            PairingError: a part does not have its form; the message names it and the form, never the value.
        """
        ...
