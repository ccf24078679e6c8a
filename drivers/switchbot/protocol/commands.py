"""The commands that a lock takes, each without the 57 that all begin with.

Source: PySwitchbot 3.1.0, `devices/lock.py`.
"""

from __future__ import annotations

from enum import IntEnum

from drivers.switchbot.protocol.models import TRAITS, Model

BASIC_INFO = bytes.fromhex("02")
"""Asks for battery (percent) and firmware (tenths)."""
SILENCE = bytes.fromhex("0e00")
"""Ends the pushes."""
_ACT = bytes.fromhex("0f4e0101")
_SHORT_HEAD, _LONG_HEAD = bytes((0x10,)), bytes(2)
_LISTEN = bytes.fromhex("0e01001e0000")
_ASK = bytes.fromhex("0f4f")
_CHANNEL = 0x81
NEWS_SECONDS = 30
"""The 001E of the command that asks for pushes: taken to be for how long, in seconds, which nobody documents."""


class Turn(IntEnum):
    """What the motor is to do."""

    LOCK = 0x00
    UNLOCK_AND_UNLATCH = 0x80
    """Unlocks, and pulls the latch too if the lock is set so in its app (European models)."""
    UNLOCK = 0xA0
    """Unlocks and leaves the latch."""


def act(model: Model, turn: Turn) -> bytes:
    """Return the command that turns the motor."""
    return _ACT + (_SHORT_HEAD if TRAITS[model].short_commands else _LONG_HEAD) + bytes((turn,))


def ask(model: Model) -> bytes:
    """Return the command that asks for a `Report`."""
    return _ASK + bytes((_CHANNEL, TRAITS[model].channel))


def listen(model: Model) -> bytes:
    """Return the command that asks for a push at each change."""
    return _LISTEN + bytes((_CHANNEL, TRAITS[model].channel))


def turn_of(model: Model, command: bytes) -> Turn | None:
    """Return what a command has the motor do; None for one that does not move it."""
    return next((turn for turn in Turn if act(model, turn) == command), None)
