"""What a lock says of itself: bolt, calibration and door, in the layout of its model.

    NARROW                byte 0: bit 7 calibrated, bits 6 to 4 status, bit 2 door open
    NARROW_WITHOUT_DOOR   the same, without the door
    WIDE                  byte 0: bit 7 calibrated, bits 6 to 3 status; byte 1: bit 4 door open

Source: PySwitchbot 3.1.0, `devices/lock.py` and `const/lock.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from drivers.switchbot.protocol.errors import ProtocolError
from drivers.switchbot.protocol.models import TRAITS, Layout, Model


class Bolt(IntEnum):
    """Where the bolt is. Newer firmware may know more."""

    LOCKED = 0
    UNLOCKED = 1
    LOCKING = 2
    UNLOCKING = 3
    LOCKING_BLOCKED = 4
    UNLOCKING_BLOCKED = 5
    LATCHED = 6
    """Not locked: the latch alone holds the door, as after unlocking without pulling the latch."""
    HALF_LOCKED = 7


MOVING = frozenset({Bolt.LOCKING, Bolt.UNLOCKING})
BLOCKED = frozenset({Bolt.LOCKING_BLOCKED, Bolt.UNLOCKING_BLOCKED})

REPORT_BYTES = {Layout.NARROW: 2, Layout.NARROW_WITHOUT_DOOR: 2, Layout.WIDE: 6}
"""How long a report is at least: the last byte that is known to mean something."""
_CALIBRATED = 0x80
_NARROW_SHIFT, _NARROW_MASK, _NARROW_DOOR = 4, 0x07, 0x04
_WIDE_SHIFT, _WIDE_MASK, _WIDE_DOOR = 3, 0x0F, 0x10


@dataclass(frozen=True, slots=True)
class Report:
    """The lock's state."""

    bolt: int
    """A `Bolt`, or a number that is not known."""
    calibrated: bool = True
    """Whether the lock knows where its bolt is; `bolt` means nothing otherwise."""
    door_open: bool | None = None
    """None where the model does not tell."""

    @classmethod
    def decode(cls, model: Model, data: bytes) -> Report:
        """Read a report.

        Raises:
            ProtocolError: it is too short for this model.
        """
        layout = TRAITS[model].layout
        if len(data) < REPORT_BYTES[layout]:
            raise ProtocolError("a report that is too short")
        calibrated = bool(data[0] & _CALIBRATED)
        if layout is Layout.WIDE:
            return cls(data[0] >> _WIDE_SHIFT & _WIDE_MASK, calibrated, bool(data[1] & _WIDE_DOOR))
        bolt = data[0] >> _NARROW_SHIFT & _NARROW_MASK
        return cls(bolt, calibrated, bool(data[0] & _NARROW_DOOR) if layout is Layout.NARROW else None)

    def encode(self, model: Model) -> bytes:
        """Return the report as the model gives it."""
        layout = TRAITS[model].layout
        data = bytearray(REPORT_BYTES[layout])
        data[0] = _CALIBRATED if self.calibrated else 0
        if layout is Layout.WIDE:
            data[0] |= self.bolt << _WIDE_SHIFT
            data[1] = _WIDE_DOOR if self.door_open else 0
        else:
            data[0] |= self.bolt << _NARROW_SHIFT
            data[0] |= _NARROW_DOOR if self.door_open else 0
        return bytes(data)
