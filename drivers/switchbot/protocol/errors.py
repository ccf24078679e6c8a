"""How the lock answers a command, and what its refusals mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from drivers.base import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping


class ProtocolError(Exception):
    """What came does not have the form that it should have."""


class Status(IntEnum):
    """The first byte of what a SwitchBot device says (SwitchBot BLE API, "Resp status")."""

    OK = 0x01
    ERROR = 0x02
    BUSY = 0x03
    VERSION = 0x04
    UNSUPPORTED = 0x05
    LOW_BATTERY = 0x06
    """Done, and the battery is low."""
    ENCRYPTED = 0x07
    UNENCRYPTED = 0x08
    WRONG_KEY = 0x09
    METHOD = 0x0A
    PUSH = 0x0F
    """No answer: a report that nobody asked for."""


DONE = frozenset({Status.OK, Status.LOW_BATTERY})
"""Answers by which the lock says that it took the command."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal means."""

    fault: Fault
    message: str


_KEY = Refusal(
    Fault.NOT_AUTHORIZED,
    "The lock does not take the bridge's key. Bring its key again: it changes when the lock is added anew.",
)
_COMMAND = Refusal(
    Fault.REFUSED,
    "The lock does not know the command. Is its model configured right, and has it a latch to leave alone?",
)
_REFUSALS: Mapping[int, Refusal] = MappingProxyType(
    {
        Status.ERROR: Refusal(Fault.REFUSED, "The lock refused the command. Is it calibrated in the SwitchBot app?"),
        Status.BUSY: Refusal(Fault.REFUSED, "The lock is busy."),
        Status.VERSION: Refusal(Fault.REFUSED, "The lock's firmware is too old for this. Update it in its app."),
        Status.UNSUPPORTED: _COMMAND,
        Status.ENCRYPTED: _KEY,
        Status.UNENCRYPTED: _KEY,
        Status.WRONG_KEY: _KEY,
        Status.METHOD: _COMMAND,
    }
)
NOT_UNDERSTOOD = Refusal(
    Fault.NOT_AUTHORIZED,
    "The lock does not understand the bridge: its key is another one, or it is another model than configured.",
)
"""What it means that a session's first sealed command is refused, which any lock of that model and key takes."""


def refusal(status: int) -> Refusal:
    """Return what an answer other than `DONE` means."""
    return _REFUSALS.get(status, Refusal(Fault.UNCATEGORIZED, "The lock answered with an error that is not known."))
