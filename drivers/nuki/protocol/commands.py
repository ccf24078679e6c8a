"""The messages of the Nuki protocol after pairing, one frozen dataclass each ("Commands").

1. `encode` and `decode` are each other's inverse; a decoder raises `ProtocolError` and nothing else, on any bytes.
2. Numbers that newer firmware may extend stay plain integers, to be compared with those of `codes`.
3. Newer firmware appends fields, so the lock's messages are parsed by length; what follows is kept in `more`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

from drivers.nuki.protocol.codes import Command
from drivers.nuki.protocol.config_commands import AdvancedConfig, RequestAdvancedConfig, SetAdvancedConfig
from drivers.nuki.protocol.crypto import CHALLENGE_BYTES
from drivers.nuki.protocol.wire import (
    NAME_BYTES,
    TIME_BYTES,
    Fixed,
    Message,
    Pin,
    pack_name,
    pack_time,
    unpack,
    unpack_name,
    unpack_time,
)

if TYPE_CHECKING:
    from datetime import datetime

SUFFIX_BYTES = 20
"""Of the name suffix that a lock action leaves in the log (Lock Action 0x000D)."""


@dataclass(frozen=True, slots=True)
class RequestData:
    """Ask for another command's data (Request Data 0x0001)."""

    command: ClassVar[int] = Command.REQUEST_DATA
    wanted: int
    more: bytes = b""

    def encode(self) -> bytes:
        """Return the payload."""
        return struct.pack("<H", self.wanted) + self.more

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        (wanted,) = unpack("<H", payload)
        return cls(wanted, payload[2:])


@dataclass(frozen=True, slots=True)
class Challenge(Fixed):
    """A 32-byte nonce to prove freshness with, good for one use (Challenge 0x0004)."""

    command: ClassVar[int] = Command.CHALLENGE
    layout: ClassVar[str] = "<32s"
    nonce: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyturnerStates:
    """What the lock says of itself (Keyturner States 0x000C). What old firmware does not send is None."""

    command: ClassVar[int] = Command.KEYTURNER_STATES
    nuki_state: int
    lock_state: int
    trigger: int
    at: datetime | None
    """The lock's clock, UTC; None if it was never set."""
    tz_offset: int
    """Minutes."""
    battery: int
    config_count: int | None = None
    lock_n_go_timer: int | None = None
    last_action: int | None = None
    last_trigger: int | None = None
    last_completion: int | None = None
    door: int | None = None
    more: bytes = b""
    """Night mode, accessory battery, remote access, signal strengths, network states; not interpreted."""

    def encode(self) -> bytes:
        """Return the payload, up to the first field that is None."""
        head = struct.pack("<BBB", self.nuki_state, self.lock_state, self.trigger) + pack_time(self.at)
        head += struct.pack("<hB", self.tz_offset, self.battery)
        for value in (
            self.config_count,
            self.lock_n_go_timer,
            self.last_action,
            self.last_trigger,
            self.last_completion,
            self.door,
        ):
            if value is None:
                return head
            head += bytes([value])
        return head + self.more

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload by its length."""
        nuki_state, lock_state, trigger, time, tz_offset, battery = unpack(f"<BBB{TIME_BYTES}shB", payload)
        newer = iter(payload[13:19])
        return cls(
            nuki_state,
            lock_state,
            trigger,
            unpack_time(time),
            tz_offset,
            battery,
            config_count=next(newer, None),
            lock_n_go_timer=next(newer, None),
            last_action=next(newer, None),
            last_trigger=next(newer, None),
            last_completion=next(newer, None),
            door=next(newer, None),
            more=payload[19:],
        )


@dataclass(frozen=True, slots=True)
class LockAction:
    """Turn the bolt (Lock Action 0x000D)."""

    command: ClassVar[int] = Command.LOCK_ACTION
    action: int
    app_id: int
    nonce: bytes = field(repr=False)
    flags: int = 0
    suffix: bytes = b""
    """Up to 20 bytes that the lock's log shows behind the name, or none."""

    def encode(self) -> bytes:
        """Return the payload; a suffix is padded with zeros."""
        suffix = self.suffix[:SUFFIX_BYTES].ljust(SUFFIX_BYTES, b"\0") if self.suffix else b""
        return struct.pack("<BIB", self.action, self.app_id, self.flags) + suffix + self.nonce

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload, with or without a suffix."""
        short = len(payload) == struct.calcsize("<BIB") + CHALLENGE_BYTES
        layout = f"<BIB{0 if short else SUFFIX_BYTES}s{CHALLENGE_BYTES}s"
        action, app_id, flags, suffix, nonce = unpack(layout, payload, exact=True)
        return cls(action, app_id, nonce, flags, suffix.rstrip(b"\0"))


@dataclass(frozen=True, slots=True)
class Status(Fixed):
    """A command was accepted or is complete (Status 0x000E). It does not say which command."""

    command: ClassVar[int] = Command.STATUS
    layout: ClassVar[str] = "<B"
    code: int


@dataclass(frozen=True, slots=True)
class ErrorReport(Fixed):
    """A command failed (Error Report 0x0012)."""

    command: ClassVar[int] = Command.ERROR_REPORT
    layout: ClassVar[str] = "<BH"
    code: int
    """0 to 255, as in the document's table."""
    failed: int
    """The command that failed."""


@dataclass(frozen=True, slots=True)
class RequestConfig(Fixed):
    """Ask for the configuration (Request Config 0x0014)."""

    command: ClassVar[int] = Command.REQUEST_CONFIG
    layout: ClassVar[str] = "<32s"
    nonce: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifyPin:
    """Ask whether the security PIN is right (Verify Security PIN 0x0020)."""

    command: ClassVar[int] = Command.VERIFY_PIN
    nonce: bytes = field(repr=False)
    pin: Pin

    def encode(self) -> bytes:
        """Return the payload."""
        return self.nonce + self.pin.encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        (nonce,) = unpack("<32s", payload)
        return cls(nonce, Pin.decode(payload[32:]))


@dataclass(frozen=True, slots=True)
class RemoveAuthorization:
    """Take the use of the lock from somebody (Remove User Authorization 0x0008)."""

    command: ClassVar[int] = Command.REMOVE_AUTHORIZATION
    auth_id: int
    nonce: bytes = field(repr=False)
    pin: Pin

    def encode(self) -> bytes:
        """Return the payload."""
        return struct.pack("<I", self.auth_id) + self.nonce + self.pin.encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        auth_id, nonce = unpack("<I32s", payload)
        return cls(auth_id, nonce, Pin.decode(payload[36:]))


@dataclass(frozen=True, slots=True)
class RequestAuthorizations:
    """Ask for who may use the lock (Request Authorization Entries 0x0009)."""

    command: ClassVar[int] = Command.REQUEST_AUTHORIZATIONS
    offset: int
    count: int
    nonce: bytes = field(repr=False)
    pin: Pin

    def encode(self) -> bytes:
        """Return the payload."""
        return struct.pack("<HH", self.offset, self.count) + self.nonce + self.pin.encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        offset, count, nonce = unpack("<HH32s", payload)
        return cls(offset, count, nonce, Pin.decode(payload[36:]))


@dataclass(frozen=True, slots=True)
class AuthorizationEntry:
    """One who may use the lock (Authorization Entry 0x000A); dates and time limits stay in `more`."""

    command: ClassVar[int] = Command.AUTHORIZATION
    auth_id: int
    kind: int
    name: str
    enabled: bool = True
    remote_allowed: bool = True
    more: bytes = bytes(36)
    """Created 7, last active 7, lock count 2, time limited 1, from 7, until 7, weekdays 1, from 2, until 2."""

    def encode(self) -> bytes:
        """Return the payload."""
        head = struct.pack("<IB", self.auth_id, self.kind) + pack_name(self.name)
        return head + struct.pack("<??", self.enabled, self.remote_allowed) + self.more

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        auth_id, kind, name, enabled, remote = unpack(f"<IB{NAME_BYTES}s??", payload)
        return cls(auth_id, kind, unpack_name(name), enabled, remote, payload[39:])


@dataclass(frozen=True, slots=True)
class AuthorizationCount(Fixed):
    """How many entries there are (Authorization Entry Count 0x0027)."""

    command: ClassVar[int] = Command.AUTHORIZATION_COUNT
    layout: ClassVar[str] = "<H"
    count: int


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Ask for log entries beyond an index (Request Log Entries 0x0031)."""

    command: ClassVar[int] = Command.REQUEST_LOG
    start: int
    """Not itself included; 0 begins at the end that the order says."""
    count: int
    newest_first: bool
    total: bool
    """Whether a Log Entry Count shall come first."""
    nonce: bytes = field(repr=False)
    pin: Pin

    def encode(self) -> bytes:
        """Return the payload."""
        head = struct.pack("<IH??", self.start, self.count, self.newest_first, self.total)
        return head + self.nonce + self.pin.encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        start, count, newest_first, total, nonce = unpack("<IH??32s", payload)
        return cls(start, count, newest_first, total, nonce, Pin.decode(payload[40:]))


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the lock's log (Log Entry 0x0032)."""

    command: ClassVar[int] = Command.LOG_ENTRY
    index: int
    at: datetime | None
    """The lock's clock, UTC."""
    auth_id: int
    name: bytes
    """Up to 32 bytes as they are: a suffix in it is bytes, and some keypads leave no UTF-8."""
    kind: int
    data: bytes = b""
    """By kind; some models pad it."""

    def encode(self) -> bytes:
        """Return the payload."""
        head = struct.pack("<I", self.index) + pack_time(self.at) + struct.pack("<I", self.auth_id)
        name = self.name[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
        return head + name + bytes([self.kind]) + self.data

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        index, time, auth_id, name, kind = unpack(f"<I{TIME_BYTES}sI{NAME_BYTES}sB", payload)
        return cls(index, unpack_time(time), auth_id, name.rstrip(b"\0"), kind, payload[48:])


@dataclass(frozen=True, slots=True)
class LogCount:
    """How much is in the log (Log Entry Count 0x0033)."""

    command: ClassVar[int] = Command.LOG_COUNT
    enabled: bool
    count: int
    door_sensor: bool = False
    door_log: bool = False

    def encode(self) -> bytes:
        """Return the payload."""
        return struct.pack("<?H??", self.enabled, self.count, self.door_sensor, self.door_log)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload; old firmware leaves the door out."""
        return cls(*unpack("<?H??", payload.ljust(5, b"\0") if len(payload) >= 3 else payload))  # noqa: PLR2004 - u8 and u16


FROM_LOCK: dict[int, type[Message]] = {
    kind.command: kind
    for kind in (
        Challenge,
        KeyturnerStates,
        Status,
        ErrorReport,
        AuthorizationEntry,
        AuthorizationCount,
        LogEntry,
        LogCount,
        AdvancedConfig,
    )
}
"""What a lock sends to an authorized host."""

FROM_HOST: dict[int, type[Message]] = {
    kind.command: kind
    for kind in (
        RequestData,
        LockAction,
        RequestConfig,
        VerifyPin,
        RemoveAuthorization,
        RequestAuthorizations,
        RequestLog,
        RequestAdvancedConfig,
        SetAdvancedConfig,
    )
}
"""What an authorized host sends to a lock."""


def decode(kinds: dict[int, type[Message]], command: int, payload: bytes) -> Message | None:
    """Decode a message; None if it is none of these kinds.

    Raises:
        ProtocolError: it is one of these kinds, but malformed.
    """
    kind = kinds.get(command)
    return kind.decode(payload) if kind else None
