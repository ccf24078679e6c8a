"""Records of the lock's activity log (`yalexs_ble.lock.Lock._parse_lock_activity`).

To read a record is to take it: the lock forgets it. Some kinds are known only in part; what is not known is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from drivers.yale.protocol.codes import Bolt, Flag, Op, Record, Source
from drivers.yale.protocol.frames import PAYLOAD_AT, Frame


@dataclass(frozen=True, slots=True)
class Activity:
    """One record."""

    kind: int
    at: datetime | None = None
    bolt: int | None = None
    """A `Bolt`; None where it tells nothing of it."""
    source: int | None = None
    """A `Source`."""
    remote: int | None = None
    """The kind of remote operation."""
    slot: int | None = None
    """The lock's number for the access code; never the code."""
    door: int | None = None
    """A `Door`."""

    def encode(self) -> Frame:
        """Return the frame that hands the record out, as a lock does."""
        at = b"" if self.at is None else int(self.at.timestamp()).to_bytes(4, "little")
        layouts: dict[int, dict[int, bytes]] = {
            Record.LOCK: {5: bytes((self.source or 0, self.bolt or 0, self.remote or 0)), 8: at},
            Record.DOOR: {5: at, 9: bytes([self.door or 0])},
            Record.PIN: {5: at, 10: bytes([(self.slot or 0) & 0xFF]), 12: bytes([self.bolt or 0])},
            Record.KEYPAD_UNLOCK: {5: at, 14: (self.slot or 0).to_bytes(2, "little")},
        }
        parts = layouts.get(self.kind, {})
        return Frame.of(Flag.RESULT, Op.ACTIVITY, {PAYLOAD_AT: bytes([self.kind]), **parts})

    @classmethod
    def decode(cls, frame: Frame) -> Activity:
        """Take a record from the frame that hands it out."""
        kind = frame.about
        if kind == Record.LOCK:
            return cls(
                kind,
                _time(frame, 8),
                bolt=frame.number(6),
                source=frame.number(5),
                remote=frame.number(7) if frame.number(5) == Source.REMOTE else None,
            )
        if kind == Record.DOOR:
            return cls(kind, _time(frame, 5), door=frame.number(9))
        if kind == Record.PIN:
            return cls(kind, _time(frame, 5), bolt=frame.number(12) & 0x0F, source=Source.PIN, slot=frame.number(10))
        if kind == Record.KEYPAD_UNLOCK:
            return cls(kind, _time(frame, 5), bolt=Bolt.UNLOCKED, source=Source.PIN, slot=frame.number(14, 2))
        return cls(kind)


def _time(frame: Frame, at: int) -> datetime | None:
    """Return a record's time; None for a lock whose clock was never set."""
    seconds = frame.number(at, 4)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
