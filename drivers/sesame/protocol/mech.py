"""The state of a lock's mechanism and how it is set ("80 Mech Setting", "81 Mech Status")."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from drivers.sesame.protocol.codes import Flag
from drivers.sesame.protocol.errors import ProtocolError

_STATUS = struct.Struct("<HhhB")
_SETTING = struct.Struct("<hhH")
STATUS_BYTES = _STATUS.size
SETTING_BYTES = _SETTING.size
NO_TARGET = -32768

_CHARGES = (
    (4600, 0),
    (4800, 3),
    (5000, 7),
    (5100, 10),
    (5200, 13),
    (5400, 21),
    (5500, 32),
    (5550, 40),
    (5600, 50),
    (5650, 60),
    (5700, 70),
    (5730, 80),
    (5760, 85),
    (5790, 90),
    (5820, 95),
    (5850, 100),
)
"""Millivolts of a lock's two cells in a row to percent, as the vendor's app shows it; in between, in proportion."""


@dataclass(frozen=True, slots=True)
class MechStatus:
    """Where the thumb turn is, what the motor does, how the battery is. Angles are the lock's own units."""

    battery: int
    """Half the voltage, in millivolts."""
    target: int
    """Where the motor goes, or went last; `NO_TARGET` for nowhere."""
    position: int
    flags: Flag

    def encode(self) -> bytes:
        """Return its bytes."""
        return _STATUS.pack(self.battery, self.target, self.position, self.flags)

    @classmethod
    def decode(cls, data: bytes) -> MechStatus:
        """Read it from the beginning of the data.

        Raises:
            ProtocolError: the data is too short.
        """
        if len(data) < STATUS_BYTES:
            raise ProtocolError("The lock's report of its state could not be understood.")
        battery, target, position, flags = _STATUS.unpack_from(data)
        return cls(battery, target, position, Flag(flags & 0x7F))

    @property
    def charge(self) -> int:
        """The battery's charge in percent."""
        millivolts = 2 * self.battery
        if millivolts >= _CHARGES[-1][0]:
            return _CHARGES[-1][1]
        below = _CHARGES[0]
        for above in _CHARGES[1:]:
            if below[0] <= millivolts < above[0]:
                return below[1] + (above[1] - below[1]) * (millivolts - below[0]) // (above[0] - below[0])
            below = above
        return _CHARGES[0][1]


@dataclass(frozen=True, slots=True)
class MechSetting:
    """The angles of the locked and the unlocked bolt, and when the lock locks itself."""

    lock: int
    unlock: int
    auto_lock: int = 0
    """Seconds; 0 for never."""

    def encode(self) -> bytes:
        """Return its bytes."""
        return _SETTING.pack(self.lock, self.unlock, self.auto_lock)

    @classmethod
    def decode(cls, data: bytes) -> MechSetting:
        """Read it from the beginning of the data.

        Raises:
            ProtocolError: the data is too short.
        """
        if len(data) < SETTING_BYTES:
            raise ProtocolError("The lock's settings could not be understood.")
        return cls(*_SETTING.unpack_from(data))
