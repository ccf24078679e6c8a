"""The shapes that the command line asks for: everything that is known, in the device-maker shapes' words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired

from typing_extensions import TypedDict

from bridge import model
from bridge.wire import maker, text


class Attempt(TypedDict):
    """An attempt."""

    action_id: str
    action_attempt_id: str
    custom_id: NotRequired[str]
    lock_id: str
    action: str
    status: maker.Status
    state: str
    stage: NotRequired[str]
    """How far it had come when its end was not seen."""
    performed_via: str
    changed: NotRequired[bool]
    error_code: NotRequired[str]
    message: NotRequired[str]
    accepted_at: str
    ended_at: NotRequired[str]


class Event(TypedDict):
    """An event and its place in the journal."""

    seq: int
    event_id: str
    event_type: str
    lock_id: NotRequired[str]
    body: Mapping[str, Any]


def attempt(known: model.Attempt) -> Attempt:
    """Build an attempt's object."""
    found: Attempt = {
        "action_id": known.action_id,
        "action_attempt_id": str(known.attempt_id),
        "lock_id": known.lock_id,
        "action": known.action.value,
        "status": maker.status(known.state),
        "state": known.state.value,
        "performed_via": known.method.value,
        "accepted_at": text.milliseconds(known.accepted_at),
    }
    if known.custom_id is not None:
        found["custom_id"] = known.custom_id
    if known.stage is not None:
        found["stage"] = known.stage.value
    if known.changed is not None:
        found["changed"] = known.changed
    if known.code is not None:
        found["error_code"] = known.code.value
    if known.message is not None:
        found["message"] = known.message
    if known.ended_at is not None:
        found["ended_at"] = text.milliseconds(known.ended_at)
    return found


def event(known: model.Event) -> Event:
    """Build an event's object."""
    found: Event = {
        "seq": known.seq,
        "event_id": str(known.event_id),
        "event_type": known.event_type,
        "body": known.body,
    }
    if known.lock_id is not None:
        found["lock_id"] = known.lock_id
    return found
