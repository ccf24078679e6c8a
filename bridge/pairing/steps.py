"""The steps of pairing, as they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from drivers.base import Snapshot


class Stage(StrEnum):
    """How far it has come."""

    LOOKING = "looking"
    SIGHTED = "sighted"
    """In range, and not ready to pair."""
    FOUND = "found"
    PROVING = "proving"
    KEPT = "kept"
    """The new key works and is stored; an earlier one is still to be forgotten by the lock."""
    UNDOING = "undoing"
    PAIRED = "paired"
    REVOKED = "revoked"
    """The lock forgot the key."""
    UNPAIRED = "unpaired"


@dataclass(frozen=True, slots=True)
class Step:
    """One step, as it is told."""

    stage: Stage
    message: str
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def told(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"step": self.stage.value, "message": self.message, **self.data}


Tell = Callable[[Step], None]


class NotPaired(BridgeError):
    """The lock is not paired. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A lock whose key is stored, and works."""

    lock_id: str
    driver: str
    address: str
    configured: bool
    """Whether the configuration has it already."""
    snapshot: Snapshot
    brought: bool = False
    """Whether the key is one that its owner brought."""

    def step(self) -> Step:
        """Return the last step."""
        key = "the key that was brought" if self.brought else "its new key"
        told = f"Paired. The lock answers over {key}: it is {self.snapshot.lock_state}"
        if self.snapshot.battery_level is not None:
            told += f", battery {self.snapshot.battery_level} %"
        elif self.snapshot.battery_critical:
            told += ", its battery is low"
        data = {
            "lock_id": self.lock_id,
            "driver": self.driver,
            "address": self.address,
            "configured": self.configured,
            "state": asdict(self.snapshot),
        }
        return Step(Stage.PAIRED, f"{told}.", data)
