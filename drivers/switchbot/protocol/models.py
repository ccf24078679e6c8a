"""The models of SwitchBot's locks, and in what their frames differ.

Source: what SwitchBot's engineers contribute to the PySwitchbot library (3.1.0, `devices/lock.py`, `adv_parser.py`);
SwitchBot publishes no document on its locks' connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Model(StrEnum):
    """Which lock it is, as the configuration and the stored key name it."""

    LOCK = "lock"
    LITE = "lite"
    PRO = "pro"
    PRO_WIFI = "pro_wifi"
    ULTRA = "ultra"
    ULTRA_MAX = "ultra_max"
    VISION = "vision"
    VISION_PRO = "vision_pro"


class Layout(Enum):
    """Where a report has its bits."""

    NARROW = auto()
    """Three bits of status; the door in the same byte."""
    NARROW_WITHOUT_DOOR = auto()
    """Three bits of status, and nothing of the door."""
    WIDE = auto()
    """Four bits of status; the door in the next byte."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is particular to one model."""

    title: str
    """What people call it."""
    channel: int
    """By which its state is asked for and subscribed to."""
    layout: Layout
    """Of what it says over a connection."""
    advert: Layout
    """Of what it advertises: not the same for the Vision Pro."""
    short_commands: bool = False
    """Whether its commands have one byte of head before the action's, not two."""
    battery: bool = True
    """Whether it is known how it tells its battery's charge over a connection."""

    @property
    def tells_door(self) -> bool:
        """Whether it tells of the door over a connection."""
        return self.layout is not Layout.NARROW_WITHOUT_DOOR


TRAITS: Mapping[Model, Traits] = MappingProxyType(
    {
        Model.LOCK: Traits("SwitchBot Lock", 0x01, Layout.NARROW, Layout.NARROW, short_commands=True),
        Model.LITE: Traits(
            "SwitchBot Lock Lite", 0x01, Layout.NARROW_WITHOUT_DOOR, Layout.NARROW_WITHOUT_DOOR, short_commands=True
        ),
        Model.PRO: Traits("SwitchBot Lock Pro", 0x04, Layout.WIDE, Layout.WIDE),
        Model.PRO_WIFI: Traits("SwitchBot Lock Pro Wi-Fi", 0x0A, Layout.WIDE, Layout.WIDE),
        Model.ULTRA: Traits("SwitchBot Lock Ultra", 0x07, Layout.WIDE, Layout.WIDE),
        Model.ULTRA_MAX: Traits("SwitchBot Lock Ultra Max", 0x07, Layout.WIDE, Layout.WIDE, battery=False),
        Model.VISION: Traits("SwitchBot Lock Vision", 0x02, Layout.NARROW_WITHOUT_DOOR, Layout.NARROW_WITHOUT_DOOR),
        Model.VISION_PRO: Traits("SwitchBot Lock Vision Pro", 0x02, Layout.NARROW, Layout.WIDE),
    }
)
