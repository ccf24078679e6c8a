"""The messages about a lock's advanced configuration ("Advanced Config"), of which the bridge changes the auto lock.

What it does not change travels as it came: bytes between the fields that are named here. So a lock of newer firmware,
which has more fields, gets them back.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from drivers.nuki.protocol.codes import Command
from drivers.nuki.protocol.wire import Fixed, Pin, unpack

_HEAD = 15
"""Four position offsets, lock'n'go time, button actions, cylinder, battery type and detection, unlatch duration."""
_ENABLED_AT = 9
"""Place of the auto lock's flag in the tail, behind auto unlock and night mode."""
_TAIL = 12
"""Bytes of the tail up to the flag for automatic updates, the last one that a Smart Lock 3 has."""


@dataclass(frozen=True, slots=True)
class RequestAdvancedConfig(Fixed):
    """Ask for the advanced configuration (Request Advanced Config 0x0036)."""

    command: ClassVar[int] = Command.REQUEST_ADVANCED_CONFIG
    layout: ClassVar[str] = "<32s"
    nonce: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Advanced:
    """The advanced configuration that both messages carry."""

    head: bytes = bytes(_HEAD)
    auto_lock_timeout: int = 0
    """Seconds after which an unlocked lock locks itself."""
    tail: bytes = bytes(_TAIL)

    @property
    def auto_lock_enabled(self) -> bool | None:
        """Whether the lock locks itself; None for firmware that has no such flag."""
        return bool(self.tail[_ENABLED_AT]) if len(self.tail) > _ENABLED_AT else None

    def with_auto_lock(self, *, enabled: bool, timeout: int | None) -> Self:
        """Return it changed; without a timeout the old one stays. The lock must have the flag."""
        tail = self.tail[:_ENABLED_AT] + bytes([enabled]) + self.tail[_ENABLED_AT + 1 :]
        return replace(self, tail=tail, auto_lock_timeout=self.auto_lock_timeout if timeout is None else timeout)

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.head + struct.pack("<H", self.auto_lock_timeout) + self.tail

    @classmethod
    def decode(cls, data: bytes, tail: int | None = None) -> Self:
        """Parse its bytes.

        Args:
            data: begins with it.
            tail: bytes of its tail; None for all that there are.
        """
        head, timeout = unpack(f"<{_HEAD}sH", data)
        rest = data[_HEAD + 2 :]
        return cls(head, timeout, rest if tail is None else rest[:tail])


@dataclass(frozen=True, slots=True)
class AdvancedConfig:
    """The advanced configuration as the lock tells it (Advanced Config 0x0037)."""

    command: ClassVar[int] = Command.ADVANCED_CONFIG
    total_degrees: int
    advanced: Advanced

    def encode(self) -> bytes:
        """Return the payload."""
        return struct.pack("<H", self.total_degrees) + self.advanced.encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload; old firmware sends less of it."""
        (total,) = unpack("<H", payload)
        return cls(total, Advanced.decode(payload[2:]))


@dataclass(frozen=True, slots=True)
class SetAdvancedConfig:
    """Change the advanced configuration (Set Advanced Config 0x0035); all of it is sent."""

    command: ClassVar[int] = Command.SET_ADVANCED_CONFIG
    advanced: Advanced
    nonce: bytes = field(repr=False)
    pin: Pin

    def encode(self) -> bytes:
        """Return the payload."""
        return self.advanced.encode() + self.nonce + self.pin.encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload as a lock whose configuration ends with the flag for automatic updates does."""
        advanced = Advanced.decode(payload, _TAIL)
        nonce, pin = unpack("<32s", payload[_HEAD + 2 + _TAIL :]), payload[_HEAD + 2 + _TAIL + 32 :]
        return cls(advanced, nonce[0], Pin.decode(pin))
