"""What every message of the Nuki protocol is made of: layouts, names, times and PINs. All integers little-endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

from drivers.nuki.protocol.errors import ProtocolError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NAME_BYTES = 32
TIME = "<HBBBBB"
TIME_BYTES = 7


class Message(Protocol):
    """A command and its payload."""

    command: ClassVar[int]

    def encode(self) -> bytes:
        """Return the payload."""
        ...

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload.

        Raises:
            ProtocolError: the bytes are none of this message.
        """
        ...


class Fixed:
    """A message whose fields, in order, have one fixed layout. Subclasses are dataclasses."""

    __slots__ = ()
    command: ClassVar[int]
    layout: ClassVar[str]

    def encode(self) -> bytes:
        """Return the payload."""
        names = (item.name for item in fields(cast("DataclassInstance", self)))
        return struct.pack(self.layout, *(getattr(self, name) for name in names))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        return cls(*unpack(cls.layout, payload, exact=True))


@dataclass(frozen=True, slots=True)
class Pin:
    """The lock's security PIN as it travels: 16 bits, on the Ultra and the fifth generation 32."""

    value: int = field(repr=False)
    wide: bool = False

    def encode(self) -> bytes:
        """Return the bytes that end a PIN-protected payload."""
        return struct.pack("<I" if self.wide else "<H", self.value)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse the end of a PIN-protected payload."""
        wide = len(data) > struct.calcsize("<H")
        (value,) = unpack("<I" if wide else "<H", data, exact=True)
        return cls(value, wide)


def unpack(layout: str, data: bytes, *, exact: bool = False) -> tuple[Any, ...]:
    """Unpack the beginning of the data, or exactly all of it.

    Raises:
        ProtocolError: the length does not fit.
    """
    size = struct.calcsize(layout)
    if len(data) < size or (exact and len(data) != size):
        raise ProtocolError("The lock sent a message of the wrong length.")
    return struct.unpack_from(layout, data)


def pack_name(name: str) -> bytes:
    """Return a name as 32 bytes of UTF-8, cut between characters, padded with zeros."""
    cut = name.encode()[:NAME_BYTES].decode(errors="ignore")
    return cut.encode().ljust(NAME_BYTES, b"\0")


def unpack_name(data: bytes) -> str:
    """Return a name from its bytes; some keypads leave bytes in it that are no UTF-8."""
    return data.rstrip(b"\0").decode(errors="replace")


def pack_time(at: datetime | None) -> bytes:
    """Return a time as year, month, day, hour, minute, second in UTC; zeros for none."""
    if at is None:
        return bytes(TIME_BYTES)
    at = at.astimezone(UTC)
    return struct.pack(TIME, at.year, at.month, at.day, at.hour, at.minute, at.second)


def unpack_time(data: bytes) -> datetime | None:
    """Return a time from its seven bytes; None if a clock that was never set sent them."""
    try:
        year, month, day, hour, minute, second = struct.unpack(TIME, data)
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
