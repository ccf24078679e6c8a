"""The states of an attempt, as a table.

Rules:
1. Everything about which state may follow which is here, and nothing else is.
2. A terminal state has no way out: an attempt has exactly one outcome.
3. What was never committed was never sent, so it cannot end as unknown.

              commit             confirm
    accepted ────────► committed ────────► confirmed
       │  │                │ │  lose
       │  │ fail           │ └───────────► unknown
       │  └──────► failed ◄┘ fail
       └─────────► confirmed               (the lock was there already)
           confirm
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from bridge.errors import IllegalStep


class State(StrEnum):
    """Where an attempt is. Each is on disk before anything that depends on it happens."""

    ACCEPTED = "accepted"
    """Journaled; nothing that can move the bolt has been sent."""
    COMMITTED = "committed"
    """The actuating write may have been sent, once. It is never sent again."""
    CONFIRMED = "confirmed"
    """The lock itself reported the state that was asked for."""
    FAILED = "failed"
    """It is known that it was not done, and why."""
    UNKNOWN = "unknown"
    """It was sent, and nothing proves what came of it."""

    @property
    def terminal(self) -> bool:
        """Whether the attempt has its outcome."""
        return self in (State.CONFIRMED, State.FAILED, State.UNKNOWN)


class Step(StrEnum):
    """What can happen to an attempt."""

    COMMIT = "commit"
    CONFIRM = "confirm"
    FAIL = "fail"
    LOSE = "lose"


TABLE = MappingProxyType(
    {
        (State.ACCEPTED, Step.COMMIT): State.COMMITTED,
        (State.ACCEPTED, Step.CONFIRM): State.CONFIRMED,
        (State.ACCEPTED, Step.FAIL): State.FAILED,
        (State.COMMITTED, Step.CONFIRM): State.CONFIRMED,
        (State.COMMITTED, Step.FAIL): State.FAILED,
        (State.COMMITTED, Step.LOSE): State.UNKNOWN,
    }
)


def advance(state: State, step: Step) -> State:
    """Return the state after a step.

    Raises:
        IllegalStep: the state does not allow the step.
    """
    try:
        return TABLE[state, step]
    except KeyError:
        raise IllegalStep(f"an attempt that is {state} cannot {step}") from None
