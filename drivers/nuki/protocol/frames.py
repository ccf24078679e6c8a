"""Frames of the Nuki protocol and their reassembly from indications ("Message format").

1. Plain, while pairing: `command u16 | payload | crc u16`.
2. Encrypted: `nonce 24 | auth id u32 | length u16 | box`; the box seals
   `auth id u32 | command u16 | payload | crc u16`.
3. A frame begins with an indication, and may go on in the next ones. Whatever does not become a valid frame is
   dropped indication by indication and counted, so that garbage, a lost or a doubled indication costs that frame
   at most, and never a trusted byte.
"""

from __future__ import annotations

import binascii
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from drivers.nuki.protocol.codes import Command
from drivers.nuki.protocol.crypto import TAG_BYTES, frame_nonce, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.nuki.protocol.wire import Message

HEADER = "<24sIH"
HEADER_BYTES = struct.calcsize(HEADER)
MIN_BOX = TAG_BYTES + 4 + 2 + 2
MAX_FRAME = 1024
"""More than any message of the protocol: the longest documented one has below 200 bytes."""
REMEMBERED = 64
"""Encrypted frames that are recognised when they come again."""

PAIRING_SIZES: dict[int, int] = {
    Command.PUBLIC_KEY: 32,
    Command.CHALLENGE: 32,
    Command.AUTHORIZATION_ID: 84,
    Command.AUTHORIZATION_INFO: 1,
    Command.STATUS: 1,
    Command.ERROR_REPORT: 3,
}
"""Payload sizes of what a lock sends in clear."""

HOST_PAIRING_SIZES: dict[int, int] = {
    Command.REQUEST_DATA: 2,
    Command.PUBLIC_KEY: 32,
    Command.AUTHENTICATOR: 32,
    Command.AUTHORIZATION_DATA: 101,
    Command.CONFIRMATION: 36,
}
"""Payload sizes of what a host sends in clear."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole, valid frame."""

    command: int
    payload: bytes = field(repr=False)
    auth_id: int | None = None
    """Of an encrypted frame."""
    nonce: bytes = field(default=b"", repr=False)
    """Of an encrypted frame; no other frame has it."""


Take: TypeAlias = "Callable[[bytes], tuple[Frame, int] | None]"
"""Takes the frame that the data begins with and tells its size; None if there is no whole, valid one."""


def crc(data: bytes) -> bytes:
    """Return the CRC-CCITT (0x1021, initially 0xFFFF) as it travels."""
    return struct.pack("<H", binascii.crc_hqx(data, 0xFFFF))


def plain(message: Message) -> bytes:
    """Return a message as a plain frame."""
    body = struct.pack("<H", message.command) + message.encode()
    return body + crc(body)


def sealed(message: Message, key: bytes, auth_id: int, nonce: bytes | None = None) -> bytes:
    """Return a message as an encrypted frame; the nonce is fresh unless a test vector gives it."""
    nonce = nonce or frame_nonce()
    body = struct.pack("<IH", auth_id, message.command) + message.encode()
    box = seal(key, nonce, body + crc(body))
    return struct.pack(HEADER, nonce, auth_id, len(box)) + box


def take_first(*takes: Take) -> Take:
    """Make a taker of whichever frame is there."""

    def take(data: bytes) -> tuple[Frame, int] | None:
        return next((taken for each in takes if (taken := each(data))), None)

    return take


def take_plain(sizes: dict[int, int]) -> Take:
    """Make a taker of plain frames with known payload sizes."""

    def take(data: bytes) -> tuple[Frame, int] | None:
        size = sizes.get(int.from_bytes(data[:2], "little"))
        if size is None or len(data) < 2 + size + 2:
            return None
        frame, check = data[: 2 + size], data[2 + size : 2 + size + 2]
        if check != crc(frame):
            return None
        return Frame(int.from_bytes(frame[:2], "little"), frame[2:]), len(frame) + 2

    return take


def take_sealed(key_of: Callable[[int], bytes | None]) -> Take:
    """Make a taker of encrypted frames; `key_of` gives the key of an authorization id, None for a foreign one."""

    def take(data: bytes) -> tuple[Frame, int] | None:
        if len(data) < HEADER_BYTES + MIN_BOX:
            return None
        nonce, auth_id, length = struct.unpack_from(HEADER, data)
        end = HEADER_BYTES + length
        key = key_of(auth_id)
        if key is None or length < MIN_BOX or len(data) < end:
            return None
        body = unseal(key, nonce, data[HEADER_BYTES:end])
        if body is None or body[-2:] != crc(body[:-2]) or int.from_bytes(body[:4], "little") != auth_id:
            return None
        return Frame(int.from_bytes(body[4:6], "little"), body[6:-2], auth_id, nonce), end

    return take


class Reassembler:
    """Makes frames of indications. Holds at most `MAX_FRAME` bytes; an encrypted frame that came before is ignored."""

    def __init__(self, take: Take) -> None:
        """Begin with nothing; `take` recognises the frames."""
        self._take = take
        self._parts: deque[bytes] = deque()
        self._known: deque[bytes] = deque(maxlen=REMEMBERED)
        self.dropped = 0
        """Bytes that became no frame."""
        self.repeated = 0
        """Encrypted frames that came again."""

    def feed(self, part: bytes) -> Iterator[Frame]:
        """Take one indication and yield the frames that it completes."""
        if part:
            self._parts.append(part)
        while taken := self._first():
            skipped, frame, rest = taken
            self.dropped += skipped
            self._parts = deque([rest] if rest else [])
            if frame.nonce in self._known:
                self.repeated += 1
                continue
            if frame.nonce:
                self._known.append(frame.nonce)
            yield frame
        while sum(map(len, self._parts)) > MAX_FRAME:
            self.dropped += len(self._parts.popleft())

    def _first(self) -> tuple[int, Frame, bytes] | None:
        """Return the bytes before the first frame, that frame, and the bytes after it."""
        data = b"".join(self._parts)
        start = 0
        for part in self._parts:
            if taken := self._take(data[start:]):
                frame, size = taken
                return start, frame, data[start + size :]
            start += len(part)
        return None
