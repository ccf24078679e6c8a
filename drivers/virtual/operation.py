"""What a virtual lock remembers: its motor's movements and the entries of its log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.base import Action, DoorState


class Origin(StrEnum):
    """By what means someone, or the lock itself, operates it."""

    BLUETOOTH = "bluetooth"
    KEYPAD = "keypad"
    FOB = "fob"
    MANUAL = "manual"
    AUTO_LOCK = "auto_lock"


class Completion(StrEnum):
    """How an operation ended, as the lock itself says."""

    SUCCESS = "success"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    BUSY = "busy"
    LOW_VOLTAGE = "low_voltage"
    CLUTCH = "clutch"
    MOTOR_POWER = "motor_power"
    INCOMPLETE = "incomplete"
    NOT_CALIBRATED = "not_calibrated"
    INVALID_CODE = "invalid_code"


@dataclass(frozen=True, slots=True)
class Operator:
    """Who operates the lock: the vendor's number and name of the key, the code or the fob."""

    origin: Origin
    key: int = 0
    name: str = ""


BY_HAND = Operator(Origin.MANUAL)
BY_ITSELF = Operator(Origin.AUTO_LOCK)
FOB = Operator(Origin.FOB, name="Fob")


@dataclass(frozen=True, slots=True)
class Movement:
    """One start of the motor. `at` is anyio's clock in seconds."""

    action: Action
    origin: Origin
    tag: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the lock's log. An entry without an action is the door's."""

    index: int
    at: datetime
    by: Operator
    action: Action | None
    completion: Completion
    tag: bytes = b""
    door: DoorState | None = None
