"""Frames: 18 bytes, of which the first 16 travel encrypted.

Normal channel: flag, opcode, 0, checksum, 12 bytes of payload, 02, 00; all bytes add up to 0 modulo 256. The bytes of a
payload are named by their place in the frame, 4 to 15: 4 says what it is about, 8 begins a value, 15 is a result.

Secure channel: opcode, 3 zeros, 8 bytes of data, checksum as u32, 0F, key slot; the four u32 add up to 0. All numbers
are little endian. (`yalexs_ble.session`, `secure_session`, `util`.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.yale.protocol.codes import Flag, Setting, Subject
from drivers.yale.protocol.crypto import BLOCK_BYTES
from drivers.yale.protocol.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.yale.protocol.crypto import Block, Chain

FRAME_BYTES = 18
PAYLOAD_AT = 4
RESULT_AT = 15
VALUE_AT = 8
_TRAILER = b"\x02\x00"
_SECURE_MARK = 0x0F
_FLAGS = frozenset(Flag)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the normal channel."""

    flag: int
    op: int
    payload: bytes = bytes(12)

    @classmethod
    def of(cls, flag: Flag, op: int, parts: Mapping[int, bytes]) -> Frame:
        """Make a frame of bytes by their place in it; all others are zero."""
        payload = bytearray(12)
        for at, part in parts.items():
            payload[at - PAYLOAD_AT : at - PAYLOAD_AT + len(part)] = part
        return cls(flag, op, bytes(payload[:12]))

    @property
    def about(self) -> int:
        """Byte 4: the variant of an operation, the subject of a status, the number of a setting, the kind of record."""
        return self.payload[0]

    @property
    def result(self) -> int:
        """Byte 15."""
        return self.payload[-1]

    def number(self, at: int, length: int = 1) -> int:
        """Return the number at that place in the frame."""
        return int.from_bytes(self.payload[at - PAYLOAD_AT : at - PAYLOAD_AT + length], "little")

    def encode(self) -> bytes:
        """Return the 18 bytes in clear."""
        rest = self.payload + _TRAILER
        checksum = -(self.flag + self.op + sum(rest)) & 0xFF
        return bytes((self.flag, self.op, 0, checksum)) + rest

    @classmethod
    def decode(cls, plain: bytes) -> Frame:
        """Take 18 bytes in clear apart.

        Raises:
            ProtocolError: they are no frame.
        """
        if len(plain) != FRAME_BYTES or sum(plain) & 0xFF or plain[0] not in _FLAGS:
            raise ProtocolError("not a frame")
        return cls(plain[0], plain[1], plain[PAYLOAD_AT:BLOCK_BYTES])


@dataclass(frozen=True, slots=True)
class SecureFrame:
    """A frame of the secure channel."""

    op: int
    data: bytes = bytes(8)
    slot: int = 0

    def encode(self) -> bytes:
        """Return the 18 bytes in clear."""
        head = bytes((self.op, 0, 0, 0)) + self.data
        return head + _secure_checksum(head) + bytes((_SECURE_MARK, self.slot))

    @classmethod
    def decode(cls, plain: bytes) -> SecureFrame:
        """Take 18 bytes in clear apart.

        Raises:
            ProtocolError: they are no frame.
        """
        if len(plain) != FRAME_BYTES or plain[12:16] != _secure_checksum(plain[:12]):
            raise ProtocolError("not a secure frame")
        return cls(plain[0], plain[4:12], plain[17])


def seal(cipher: Block | Chain, plain: bytes) -> bytes:
    """Encrypt a frame."""
    return cipher.encrypt(plain[:BLOCK_BYTES]) + plain[BLOCK_BYTES:]


def unseal(cipher: Block | Chain, data: bytes) -> bytes:
    """Decrypt what came in.

    Raises:
        ProtocolError: it is not as long as a frame, and not taken as a part of the chain.
    """
    if len(data) != FRAME_BYTES:
        raise ProtocolError("not as long as a frame")
    return cipher.decrypt(data[:BLOCK_BYTES]) + data[BLOCK_BYTES:]


def request(op: int, about: int = 0, parts: Mapping[int, bytes] | None = None) -> Frame:
    """Make what the host asks."""
    return Frame.of(Flag.REQUEST, op, {PAYLOAD_AT: bytes([about]), **(parts or {})})


def status_of(frame: Frame, subject: Subject) -> int | None:
    """Return what a frame's status says of the lock or of the door; None if it tells nothing of it."""
    if frame.about == subject:
        return frame.number(VALUE_AT)
    if frame.about == Subject.BOTH:
        return frame.number(VALUE_AT + (subject is Subject.DOOR))
    return None


@dataclass(frozen=True, slots=True)
class Timers:
    """The auto lock's setting, in seconds; all zero for off."""

    never_opened: int = 0
    """From unlocking, where the door stays shut."""
    door_shut: int = 0
    """From the door's shutting; zero at once."""

    def encode(self) -> dict[int, bytes]:
        """Return the bytes by their place in a frame."""
        return {VALUE_AT: struct.pack("<HH", self.never_opened, self.door_shut)}

    @classmethod
    def decode(cls, frame: Frame) -> Timers:
        """Take them from a frame."""
        return cls(frame.number(VALUE_AT, 2), frame.number(VALUE_AT + 2, 2))


def is_auto_lock(frame: Frame) -> bool:
    """Tell whether a frame tells the auto lock's setting, or acknowledges that it was asked for."""
    return frame.about == Setting.AUTO_LOCK


def _secure_checksum(head: bytes) -> bytes:
    words = (int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8))
    return (-sum(words) & 0xFFFF_FFFF).to_bytes(4, "little")
