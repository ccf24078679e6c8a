"""Entries of a lock's history ("4 History"): `id u32 | type u8 | time u32 | mech status 7 | tag`.

A tag is what the command carried: a length and a name, or a `TagType` and what identifies the card, the finger, the
code or the person; zeros may follow it. A type is written big-endian or little-endian, depending on who reads the
documents. What it identifies may be the code itself, or a card that can be copied, so it is not kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from drivers.sesame.protocol.codes import TagType
from drivers.sesame.protocol.errors import ProtocolError
from drivers.sesame.protocol.mech import STATUS_BYTES

READ_OLDEST = b"\x01"
_HEAD = struct.Struct("<IBI")
_NUMBER_BYTES = 4
_TAG_AT = _HEAD.size + STATUS_BYTES
_NOT_UNDERSTOOD = "An entry of the lock's history could not be understood."
_PEOPLE = frozenset({TagType.ANDROID_BLE, TagType.IOS_BLE, TagType.ANDROID_WIFI, TagType.IOS_WIFI})
"""Tags that identify a person's account in the app, which opens nothing."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry."""

    number: bytes
    """As it travels: by it the entry is deleted."""
    kind: int
    at: int
    """Seconds since 1970 by the lock's own clock."""
    name: bytes = field(default=b"", repr=False)
    """The tag, where it is a name."""
    tag_type: int | None = None
    """Where it is not."""
    person: str | None = None
    """The account in the app, where the tag identifies one."""

    @classmethod
    def decode(cls, data: bytes) -> HistoryEntry:
        """Read it.

        Raises:
            ProtocolError: it is too short.
        """
        if len(data) < _TAG_AT:
            raise ProtocolError(_NOT_UNDERSTOOD)
        _, kind, at = _HEAD.unpack_from(data)
        tag = data[_TAG_AT:]
        typed = _type_of(tag)
        if typed is None:
            return cls(number_of(data), kind, at, name=tag[1 : 1 + tag[0]] if tag else b"")
        person = tag[2:].hex() if typed in _PEOPLE else None
        return cls(number_of(data), kind, at, tag_type=typed, person=person or None)


def number_of(data: bytes) -> bytes:
    """Return an entry's number as it travels, also of one that is not to be understood otherwise.

    Raises:
        ProtocolError: it is too short.
    """
    if len(data) < _NUMBER_BYTES:
        raise ProtocolError(_NOT_UNDERSTOOD)
    return data[:_NUMBER_BYTES]


def _type_of(tag: bytes) -> int | None:
    """Return the type of a typed tag; a name that is not empty has neither a length nor a first byte of zero."""
    if len(tag) <= 2 or not any(tag) or min(tag[:2]) or max(tag[:2]) > max(TagType):  # noqa: PLR2004 - type u16
        return None
    return max(tag[:2])
