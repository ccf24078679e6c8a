"""The events that tell of an attempt's outcome, in the order in which they are told. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.attempt import State
from bridge.model import Attempt, Event, Task
from bridge.wire import maker, seam, text

SIMULATIONS = frozenset({Task.SIMULATE_KEYPAD_CODE_ENTRY, Task.SIMULATE_MANUAL_LOCK_VIA_KEYPAD})
"""The tasks whose end Seam has an event for."""


def of_attempt(attempt: Attempt, identity: seam.Identity) -> list[Event]:
    """Return what an attempt's outcome is told by.

    Of an action always one `lock.action_completed` and one `action_attempt.*`; `lock.locked` or `lock.unlocked` only
    where the lock confirmed that it moved. Of a task what Seam has an event for.
    """
    if isinstance(attempt.action, Task):
        return _of_task(attempt, identity) if attempt.action in SIMULATIONS else []
    created_at = attempt.ended_at or attempt.accepted_at
    completed, ended, moved = (uuid.uuid4() for _ in range(3))
    events = [
        _event(attempt, completed, dict(maker.completed(attempt, str(completed)))),
        _event(attempt, ended, seam.attempt_event(attempt, identity, str(ended), created_at)),
    ]
    if attempt.state is State.CONFIRMED and attempt.changed is not False:
        events.append(_event(attempt, moved, seam.lock_event(attempt, identity, str(moved), created_at)))
    return events


def _of_task(attempt: Attempt, identity: seam.Identity) -> list[Event]:
    ended = uuid.uuid4()
    created_at = attempt.ended_at or attempt.accepted_at
    return [_event(attempt, ended, seam.attempt_event(attempt, identity, str(ended), created_at))]


def _event(attempt: Attempt, event_id: uuid.UUID, body: dict[str, Any]) -> Event:
    return Event(event_id, body["event_type"], attempt.lock_id, body, attempt.attempt_id, attempt.custom_id)


def of_bridge(event_type: str, identity: seam.Identity, wall: datetime, details: Mapping[str, Any]) -> Event:
    """Return an event of the bridge itself, such as `bridge.journal_reset`."""
    event_id = uuid.uuid4()
    body = {
        "event_id": str(event_id),
        "event_type": event_type,
        "workspace_id": str(identity.workspace_id),
        "bridge_id": identity.bridge_id,
        "created_at": text.milliseconds(wall),
        "occurred_at": text.milliseconds(wall),
        **details,
    }
    return Event(event_id, event_type, None, body)
