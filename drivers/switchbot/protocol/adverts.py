"""What a lock advertises: its model, and in clear its whole state. Nothing of it is authenticated.

Service data of FD3D: byte 0 the model's letter (its top bit is free, and bit 5 off while the lock is being added in an
app), byte 2 the battery (Lock, Lite); newer models have four bytes at the end instead, or before the last one, the
first of them 00 or 01. Manufacturer data of company 0969:

    0 to 5  the address       6  a number that counts changes, 1 to 255
    7 on    the state, in the model's layout; byte 9 the battery (WIDE)

Source: SwitchBot BLE API ("Broadcast message"); PySwitchbot 3.1.0, `adv_parser.py` and `adv_parsers/lock.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from drivers.switchbot.protocol.models import TRAITS, Layout, Model

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPANY = 0x0969
SERVICE = "0000fd3d-0000-1000-8000-00805f9b34fb"
_LETTER, _ADDING, _BATTERY = 0x7F, 0x20, 0x7F
_LETTERS = {Model.LOCK: ord("o"), Model.LITE: ord("-"), Model.PRO: ord("$")}
LETTERS: Mapping[int, Model] = MappingProxyType(
    {letter & mask: model for model, letter in _LETTERS.items() for mask in (_LETTER, _LETTER ^ _ADDING)}
)
SUFFIXES: Mapping[bytes, Model] = MappingProxyType(
    {
        bytes.fromhex("10a5b8"): Model.ULTRA,
        bytes.fromhex("119fb8"): Model.ULTRA_MAX,
        bytes.fromhex("116909"): Model.VISION_PRO,
        bytes.fromhex("116908"): Model.VISION,
        bytes.fromhex("10ff90"): Model.PRO_WIFI,
    }
)
_LONG = 6
"""Bytes of the shortest service data that has a suffix."""
_STATE_AT = 6
_LENGTHS = {Layout.NARROW: 9, Layout.NARROW_WITHOUT_DOOR: 9, Layout.WIDE: 12}
_NARROW_DOOR, _NARROW_SECONDARY = 0x04, 0x08
_WIDE_DOOR, _WIDE_SECONDARY, _WIDE_IS_SECONDARY = 0x10, 0x40, 0x40


def model_of(service_data: bytes) -> Model | None:
    """Return which of the locks it is from; None for anything else of SwitchBot's."""
    if model := LETTERS.get((service_data[:1] or b"\0")[0] & _LETTER):
        return model
    if len(service_data) < _LONG:
        return None
    for end in (service_data[-4:], service_data[-5:-1]):
        if end[0] in (0, 1) and (model := SUFFIXES.get(end[1:])):
            return model
    return None


def state_of(model: Model, manufacturer_data: bytes) -> bytes | None:
    """Return the part that differs after a change, its count included; None if it is not there."""
    return manufacturer_data[_STATE_AT:] if len(manufacturer_data) >= _LENGTHS[TRAITS[model].advert] else None


@dataclass(frozen=True, slots=True)
class Advert:
    """What a virtual lock advertises."""

    model: Model
    address: bytes
    sequence: int
    bolt: int
    calibrated: bool
    door_open: bool
    battery: int
    from_secondary: bool = False
    """Whether the news came from the other of two locks on one door."""

    def service_data(self) -> bytes:
        """Return the service data of `SERVICE`."""
        for end, model in SUFFIXES.items():
            if model is self.model:
                return bytes((0, 0, self.battery, 0)) + end
        return bytes((_LETTERS[self.model], 0x80, self.battery & _BATTERY))

    def manufacturer_data(self) -> bytes:
        """Return the manufacturer data of `COMPANY`."""
        layout = TRAITS[self.model].advert
        calibrated = 0x80 if self.calibrated else 0
        if layout is Layout.WIDE:
            state = bytes(
                (
                    calibrated | self.bolt << 3,
                    (_WIDE_SECONDARY if self.from_secondary else 0) | (_WIDE_DOOR if self.door_open else 0),
                    self.battery & _BATTERY,
                    _WIDE_IS_SECONDARY if self.from_secondary else 0,
                    0,
                )
            )
        else:
            door = _NARROW_DOOR if self.door_open and layout is Layout.NARROW else 0
            secondary = _NARROW_SECONDARY if self.from_secondary else 0
            state = bytes((calibrated | self.bolt << 4 | secondary | door, 0, 0))
        return self.address + bytes((self.sequence,)) + state
