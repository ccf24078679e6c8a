"""The words of the house as data: command, attempt, ending, event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from bridge.attempt import State, Step
from bridge.errors import Code
from drivers.base import Action, AutoLock, Method, Snapshot, Stage


class Task(StrEnum):
    """What an attempt may try besides an action at a lock: Seam's action type, in lower case."""

    CONFIGURE_AUTO_LOCK = "configure_auto_lock"
    """Tell a lock when to lock itself."""
    SIMULATE_KEYPAD_CODE_ENTRY = "simulate_keypad_code_entry"
    """Enter a code at a virtual lock's keypad."""
    SIMULATE_MANUAL_LOCK_VIA_KEYPAD = "simulate_manual_lock_via_keypad"
    """Press the lock key of a virtual lock's keypad."""
    RESET_SANDBOX_WORKSPACE = "reset_sandbox_workspace"
    """Bring every virtual lock back to how it is configured."""


@dataclass(frozen=True, slots=True)
class Command:
    """What was asked, well formed and for a lock that there is."""

    lock_id: str
    action: Action | Task
    method: Method
    """How it was given, which is how the operation is attributed."""
    arrived: float
    """Boot time in seconds."""
    custom_id: str | None = None
    expires_at: datetime | None = None
    """The sender's own deadline, by wall time."""
    signed: bool = False
    """Its sender's signature is good."""
    expires_in: float | None = None
    """Seconds left of the message's own expiry, on arrival."""
    perhaps_queued: bool = False
    """It may have waited in the broker for an unknown time while the bridge was away."""
    unremembered: bool = False
    """It may have been carried out before, and the record that would tell is gone."""
    request_key: str | None = None
    """Stands for `custom_id` where there is none: the reply address, for a short time."""
    packet_key: str | None = None
    """Recognises a redelivery of the same packet, for a short time."""
    redelivered: bool = False
    """The broker may have delivered this packet before."""
    told_as_attempt: bool = False
    """What makes it hopeless is told as an attempt that failed, not as a refusal."""
    setting: AutoLock | None = None
    """What `CONFIGURE_AUTO_LOCK` asks for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The durable try at a command."""

    seq: int
    action_id: str
    """`act_…`, by which device-maker shapes call it."""
    attempt_id: UUID
    """By which Seam shapes call it."""
    lock_id: str
    """Empty for an attempt at no lock."""
    action: Action | Task
    method: Method
    custom_id: str | None
    boot_id: str
    deadline: float
    """Boot time in seconds, of that boot."""
    accepted_at: datetime
    state: State = State.ACCEPTED
    stage: Stage | None = None
    code: Code | None = None
    message: str | None = None
    changed: bool | None = None
    ended_at: datetime | None = None
    setting: AutoLock | None = None
    """What `CONFIGURE_AUTO_LOCK` asks for."""

    @property
    def tag(self) -> bytes:
        """What the attempt leaves in the lock's log, where the lock can."""
        return self.action_id.encode()

    def over(self, boot_id: str, now: float) -> bool:
        """Tell whether the deadline has passed; one of another boot has."""
        return self.boot_id != boot_id or now >= self.deadline


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends: the step it takes, and what is told of it."""

    step: Step
    code: Code | None = None
    message: str | None = None
    changed: bool | None = None
    """Whether the bolt moved, where it is known; an attempt confirmed unchanged found the lock there already."""
    stage: Stage | None = None
    method: Method | None = None
    """Who did it, where that is not who gave the command."""
    snapshot: Snapshot | None = None
    """What the lock last reported, to be made known once the outcome is on disk."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What was done at a lock, or was tried, without a command."""

    lock_id: str
    action_id: str
    action: Action
    method: Method
    at: datetime
    """When it was done, as exactly as it is known."""
    succeeded: bool = True
    code: Code | None = None
    """Why it failed, if it did."""
    historic: bool = False
    """Whether it is told so late that nobody should act on it."""
    code_id: int | None = None
    """The lock's own number for the access code that was used."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is told upstream: recorded first, delivered at least once, in order for each lock."""

    event_id: UUID
    event_type: str
    lock_id: str | None
    """None for an event of the bridge itself."""
    body: Mapping[str, Any]
    """The JSON object to publish, complete."""
    attempt_id: UUID | None = None
    custom_id: str | None = None
    seq: int = 0
    """Its place in the journal, once it is there."""
