"""What an attempt's outcome is told by, and in which order."""

import uuid

import pytest

from bridge import events
from bridge.attempt import State
from bridge.errors import Code
from bridge.model import Task
from drivers.base import Action, Method
from tests.support.clock import NOON
from tests.support.samples import ATTEMPT_ID, IDENTITY, make_attempt


def told(state=State.CONFIRMED, **fields):
    return events.of_attempt(make_attempt(state, **fields), IDENTITY)


@pytest.mark.parametrize(
    ("action", "attempt_event", "lock_event"),
    [
        (Action.LOCK, "action_attempt.lock_door.succeeded", "lock.locked"),
        (Action.UNLOCK, "action_attempt.unlock_door.succeeded", "lock.unlocked"),
        (Action.UNLATCH, "action_attempt.unlock_door.succeeded", "lock.unlocked"),
    ],
)
@pytest.mark.parametrize("changed", [True, None])
def test_a_confirmed_move_is_told_by_its_completion_its_attempt_and_the_lock(
    action, attempt_event, lock_event, changed
):
    types = [event.event_type for event in told(action=action, changed=changed)]
    assert types == ["lock.action_completed", attempt_event, lock_event]


def test_a_lock_that_was_there_already_is_told_without_a_lock_event():
    types = [event.event_type for event in told(changed=False)]
    assert types == ["lock.action_completed", "action_attempt.unlock_door.succeeded"]


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN])
@pytest.mark.parametrize("changed", [True, False, None])
def test_what_was_not_confirmed_is_told_as_failed_and_never_as_a_lock_event(state, changed):
    completed, ended = told(state, code=Code.OUTCOME_UNKNOWN, changed=changed)
    assert (completed.event_type, completed.body["status"]) == ("lock.action_completed", "failed")
    assert (ended.event_type, ended.body["status"]) == ("action_attempt.unlock_door.failed", "error")
    assert completed.body["was_confirmed_by_device"] is False


def test_every_event_names_the_attempt_the_lock_and_the_command():
    for event in told(custom_id="req_1"):
        assert (event.attempt_id, event.lock_id, event.custom_id) == (ATTEMPT_ID, "front_door", "req_1")
        assert event.body["action_attempt_id"] == str(ATTEMPT_ID)
        assert event.body["event_type"] == event.event_type


def test_every_event_has_its_own_identity_and_carries_it_in_its_body():
    told_events = told()
    assert [event.body["event_id"] for event in told_events] == [str(event.event_id) for event in told_events]
    assert len({event.event_id for event in told_events}) == 3


def test_an_event_that_is_not_in_the_journal_yet_has_no_place_there():
    assert {event.seq for event in told()} == {0}


def test_an_outcome_without_a_time_of_its_own_is_told_at_the_time_of_acceptance():
    completed, ended, _ = told(ended_at=None)
    assert completed.body["timestamp"] == "2026-01-31T12:00:00Z"
    assert ended.body["created_at"] == ended.body["occurred_at"] == "2026-01-31T12:00:00.000Z"


def test_who_did_it_is_told_as_the_attempt_says():
    assert told(method=Method.UNKNOWN)[0].body["performed_via"] == "unknown"


def test_an_event_of_the_bridge_names_the_bridge_and_no_lock():
    event = events.of_bridge("bridge.journal_reset", IDENTITY, NOON, {"epoch": "e1"})
    assert (event.lock_id, event.attempt_id, event.custom_id) == (None, None, None)
    assert event.body == {
        "event_id": str(event.event_id),
        "event_type": "bridge.journal_reset",
        "workspace_id": str(IDENTITY.workspace_id),
        "bridge_id": "g1",
        "created_at": "2026-01-31T12:00:00.000Z",
        "occurred_at": "2026-01-31T12:00:00.000Z",
        "epoch": "e1",
    }
    assert isinstance(event.event_id, uuid.UUID)


@pytest.mark.parametrize("task", [Task.SIMULATE_KEYPAD_CODE_ENTRY, Task.SIMULATE_MANUAL_LOCK_VIA_KEYPAD])
@pytest.mark.parametrize(
    ("state", "suffix", "status"),
    [(State.CONFIRMED, "succeeded", "success"), (State.FAILED, "failed", "error"), (State.UNKNOWN, "failed", "error")],
)
def test_the_end_of_a_simulation_is_told_by_seams_event_alone(task, state, suffix, status):
    attempt = make_attempt(state, action=task)
    (event,) = events.of_attempt(attempt, IDENTITY)
    assert event.event_type == f"action_attempt.{task.value}.{suffix}"
    assert event.body == {
        "event_id": str(event.event_id),
        "event_type": event.event_type,
        "workspace_id": str(IDENTITY.workspace_id),
        "created_at": "2026-01-31T12:00:00.000Z",
        "occurred_at": "2026-01-31T12:00:00.000Z",
        "device_id": str(IDENTITY.device_id("front_door")),
        "connected_account_id": str(IDENTITY.connected_account_id),
        "action_attempt_id": str(attempt.attempt_id),
        "action_type": task.value.upper(),
        "status": status,
    }


@pytest.mark.parametrize("task", [Task.CONFIGURE_AUTO_LOCK, Task.RESET_SANDBOX_WORKSPACE])
def test_of_the_other_tasks_no_event_tells(task):
    assert events.of_attempt(make_attempt(State.CONFIRMED, action=task), IDENTITY) == []
