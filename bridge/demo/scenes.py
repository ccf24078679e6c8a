"""What the demo shows, as data: each command, what is done to the lock first, and what to look for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drivers.virtual.lock import VirtualLock


@dataclass(frozen=True, slots=True)
class Scene:
    """One command and what comes of it."""

    title: str
    lock_id: str
    command: dict[str, Any]
    awaited: str
    """What ends the scene: the kind of topic (`reply` or an event type)."""
    prelude: Callable[[VirtualLock], None] | None = None


FRONT, BACK = "front_door", "back_door"

SCENES = (
    Scene(
        "An app asks the bridge to unlock the front door.",
        FRONT,
        {"action": "unlock", "custom_id": "demo-1"},
        "lock.unlocked",
    ),
    Scene(
        "The app heard no answer and sends the same command again. Nothing moves: the first answer is given again.",
        FRONT,
        {"action": "unlock", "custom_id": "demo-1"},
        "reply",
    ),
    Scene("It locks the door.", FRONT, {"action": "lock", "custom_id": "demo-2"}, "lock.locked"),
    Scene(
        "It asks for what is so already. A fresh read of the lock shows it; the motor stays still.",
        FRONT,
        {"action": "lock", "custom_id": "demo-3"},
        "action_attempt.lock_door.succeeded",
    ),
    Scene(
        "It asks to pull the latch, which this lock's configuration does not allow.",
        FRONT,
        {"action": "unlatch", "custom_id": "demo-4"},
        "reply",
    ),
    Scene(
        "It sends a command whose deadline has passed, as an old one that a network held back.",
        FRONT,
        {"action": "unlock", "custom_id": "demo-5", "expires_at": "2020-01-01T00:00:00Z"},
        "reply",
    ),
    Scene(
        "Somebody wedges the bolt of the back door, and then it is to unlock.",
        BACK,
        {"action": "unlock", "custom_id": "demo-6"},
        "action_attempt.unlock_door.failed",
        VirtualLock.jam,
    ),
)

CAPTIONS = {
    "reply": "The bridge's answer to the command. `pending` means: on disk, and going to have exactly one outcome.",
    "lock.action_completed": "The outcome, as device makers tell it to Seam: what happened, and by what means.",
    "action_attempt": "The same outcome as Seam's action attempt tells it.",
    "lock.unlocked": "The bolt moved, and the lock itself said so.",
    "lock.locked": "The bolt moved, and the lock itself said so.",
    "state": "The lock as it stands now, retained for whoever comes later.",
}


def kind_of(topic: str) -> str:
    """Return what kind of message a topic below the bridge's base carries."""
    parts = topic.split("/")
    if "events" in parts:
        return parts[parts.index("events") + 1]
    return parts[-1]


def caption(kind: str) -> str:
    """Return what a kind of message means, or nothing."""
    return CAPTIONS.get(kind) or CAPTIONS.get(kind.split(".", maxsplit=1)[0], "")
