"""The contract between the bridge and a vendor's driver.

Rules:
1. A driver never scans and never reconnects: it is handed a link, and the link's end is the session's end.
2. Nothing that can move the bolt is sent before `Actuation.run`, and `Actuation.run` sends it at most once, directly
   after its caller's last check.
3. An outcome is what the lock itself reported. What was not seen is `Unknown`, never a success.
4. A session runs on any anyio backend and starts no task of its own.
5. No key, PIN or code appears in an error, a log line or a `repr`.

A new vendor is one folder that offers a `Driver` under the entry point group `lock_bridge.drivers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import BaseModel, SecretStr

from drivers.sessions import (
    Actuation,
    AutoLocking,
    Check,
    Consuming,
    Link,
    Revocable,
    Seen,
    Session,
    unconditionally,
)
from drivers.values import (
    TAG_BYTES,
    Action,
    Advertisement,
    AttRefused,
    AutoLock,
    Capabilities,
    Confirmed,
    Denial,
    DoorState,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LockState,
    LogRecord,
    Method,
    Outcome,
    PairingError,
    Sighting,
    Snapshot,
    Stage,
    Unknown,
)

if TYPE_CHECKING:
    from drivers.virtual.peripheral import Twin, VirtualSettings

__all__ = [
    "TAG_BYTES",
    "Action",
    "Actuation",
    "Advertisement",
    "AttRefused",
    "AutoLock",
    "AutoLocking",
    "BluezBound",
    "Capabilities",
    "Check",
    "Confirmed",
    "Consuming",
    "ConsumingOptions",
    "Credential",
    "Denial",
    "DoorState",
    "Driver",
    "DriverError",
    "Failed",
    "Fault",
    "Guided",
    "KeyImporting",
    "KeyPart",
    "Link",
    "LinkLost",
    "LockState",
    "LogRecord",
    "Method",
    "Options",
    "Outcome",
    "PairingError",
    "PairingRequest",
    "Revocable",
    "Seen",
    "Session",
    "Sighting",
    "Snapshot",
    "Stage",
    "Unknown",
    "Varied",
    "capabilities",
    "unconditionally",
]


class Credential(BaseModel, frozen=True):
    """A vendor's keys to one lock, as they are stored. Secrets are `SecretStr` (bytes in hex), all else scalars."""

    def stored(self) -> dict[str, Any]:
        """Return the JSON object to store, secrets in clear. `model_validate` takes it back."""
        return {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in self}


class Options(BaseModel, frozen=True, extra="forbid"):
    """The driver's own table in a lock's configuration (`[locks.nuki]`)."""


class ConsumingOptions(Options, frozen=True):
    """The options of a driver whose sessions are `Consuming`."""

    consume_log: bool = False
    """Whether the lock's log is read, to tell who operated the door, though the lock forgets what is read: it is seen
    nowhere else then, not in the vendor's app either."""


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
    """Of its locks; see `Varied` for locks that differ."""
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

    def twin(
        self, address: str, name: str, settings: VirtualSettings, options: Options | None = None
    ) -> tuple[Twin, Credential]:
        """Make a virtual lock of this vendor and the credential that opens it, as if they had been paired.

        Args:
            address: Bluetooth address, upper case with colons.
            name: what its owner calls it.
            settings: how the motor, the bolt and the keypad begin.
            options: what is configured of the lock, which says of some vendors' what it is like; None for the defaults.
        """
        ...


@runtime_checkable
class Varied(Driver, Protocol):
    """A driver whose locks cannot all do the same. Its `capabilities` are all that any of them can."""

    def capabilities_with(self, options: Options, credential: Credential | None) -> Capabilities:
        """Return what a lock can do by what is configured of it and was told with its key, if it has one.

        What nobody told is taken to be there.
        """
        ...


def capabilities(driver: Driver, options: Options, credential: Credential | None) -> Capabilities:
    """Return what one lock can do.

    Args:
        driver: its vendor's.
        options: what is configured of it.
        credential: the key to it; None for a lock that has none yet.
    """
    return driver.capabilities_with(options, credential) if isinstance(driver, Varied) else driver.capabilities


@runtime_checkable
class Guided(Driver, Protocol):
    """A driver that can say how its locks are made ready to pair."""

    pairing_guide: str
    """Sentences for whoever stands at the door: what to press, and what shows that it worked."""


@runtime_checkable
class BluezBound(Driver, Protocol):
    """A driver for locks that an older BlueZ cannot be used with."""

    bluez_needed: tuple[int, ...]
    """The first version that can: `(5, 82)`."""
    bluez_reason: str
    """What is wrong with those before, as the end of a sentence: "they do not see ..."."""


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
