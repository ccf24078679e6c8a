"""An attempt's course and times, for bug reports: nothing that its sender chose is in it."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from bridge.model import Attempt
from bridge.wire import text


class Timing(TypedDict):
    """When an attempt was accepted, how long it took, and how it ended."""

    action_id: str
    lock_id: str
    action: str
    performed_via: str
    state: str
    stage: NotRequired[str]
    error_code: NotRequired[str]
    message: NotRequired[str]
    changed: NotRequired[bool]
    accepted_at: str
    seconds: NotRequired[float]
    """From its acceptance to its outcome, by wall time."""


def timing(attempt: Attempt) -> Timing:
    """Build it."""
    found: Timing = {
        "action_id": attempt.action_id,
        "lock_id": attempt.lock_id,
        "action": attempt.action.value,
        "performed_via": attempt.method.value,
        "state": attempt.state.value,
        "accepted_at": text.milliseconds(attempt.accepted_at),
    }
    if attempt.stage is not None:
        found["stage"] = attempt.stage.value
    if attempt.code is not None:
        found["error_code"] = attempt.code.value
    if attempt.message is not None:
        found["message"] = attempt.message
    if attempt.changed is not None:
        found["changed"] = attempt.changed
    if attempt.ended_at is not None:
        found["seconds"] = round((attempt.ended_at - attempt.accepted_at).total_seconds(), 3)
    return found
