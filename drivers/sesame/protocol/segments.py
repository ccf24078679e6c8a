"""Messages in segments of at most 20 bytes ("Segment layer").

A segment is a header byte and up to 19 bytes of a message. Header bit 0: the message begins here; bit 1: it ends here,
in clear; bit 2: it ends here, encrypted.
"""

from __future__ import annotations

BEGIN = 0x01
END_PLAIN = 0x02
END_SEALED = 0x04
SEGMENT_BYTES = 20
_PART = SEGMENT_BYTES - 1
MAX_MESSAGE = 512
"""More than any message of a lock: the longest that is documented has below 100 bytes."""


def split(message: bytes, *, sealed: bool) -> list[bytes]:
    """Return a message's segments."""
    parts = [message[start : start + _PART] for start in range(0, len(message), _PART)] or [b""]
    last = len(parts) - 1
    end = END_SEALED if sealed else END_PLAIN
    return [
        bytes([(BEGIN if place == 0 else 0) | (end if place == last else 0)]) + part for place, part in enumerate(parts)
    ]


class Joiner:
    """Makes messages of segments. Holds at most `MAX_MESSAGE` bytes; what has no beginning is dropped."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._parts: bytearray | None = None

    def feed(self, segment: bytes) -> tuple[bytes, bool] | None:
        """Take a segment; return the message that it ends and whether that is encrypted, if it ends one."""
        if not segment:
            return None
        header = segment[0]
        if header & BEGIN:
            self._parts = bytearray()
        if self._parts is None:
            return None
        self._parts += segment[1:]
        if len(self._parts) > MAX_MESSAGE:
            self._parts = None
            return None
        if not header & (END_PLAIN | END_SEALED):
            return None
        message, self._parts = bytes(self._parts), None
        return message, bool(header & END_SEALED)
