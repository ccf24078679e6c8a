"""The Seam shapes: attempts, their events, and who the bridge is in them."""

from datetime import timedelta
from uuid import UUID

import pytest

from bridge.attempt import State
from bridge.errors import Code
from bridge.model import Task
from bridge.wire import seam
from drivers.base import Action, Method
from tests.support.clock import NOON
from tests.support.samples import IDENTITY, make_attempt

DEVICE_ID = str(IDENTITY.device_id("front_door"))


class TestIdentity:
    def test_a_locks_uuid_is_always_the_same(self):
        assert IDENTITY.device_id("front_door") == UUID("de05a0be-4ffd-5c10-a234-f28455837d90")

    @pytest.mark.parametrize(
        "other",
        [
            seam.Identity(IDENTITY.connected_account_id, IDENTITY.connected_account_id, "g1"),
            seam.Identity(IDENTITY.workspace_id, IDENTITY.connected_account_id, "g2"),
        ],
    )
    def test_it_differs_by_workspace_and_bridge(self, other):
        assert other.device_id("front_door") != IDENTITY.device_id("front_door")

    def test_it_differs_by_lock(self):
        assert IDENTITY.device_id("back_door") != IDENTITY.device_id("front_door")


class TestAttempt:
    @pytest.mark.parametrize("state", [State.ACCEPTED, State.COMMITTED])
    def test_one_without_an_outcome_is_pending_with_neither_result_nor_error(self, state):
        assert seam.action_attempt(make_attempt(state)) == {
            "action_attempt_id": "5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f",
            "action_type": "UNLOCK_DOOR",
            "status": "pending",
            "result": None,
            "error": None,
        }

    def test_a_confirmed_one_is_a_success_that_the_device_confirmed(self):
        attempt = seam.action_attempt(make_attempt(State.CONFIRMED))
        assert (attempt["status"], attempt["error"]) == ("success", None)
        assert attempt["result"] == {"was_confirmed_by_device": True}

    @pytest.mark.parametrize(
        ("state", "code", "kind"),
        [
            (State.FAILED, Code.DEVICE_OFFLINE, "device_disconnected"),
            (State.UNKNOWN, Code.OUTCOME_UNKNOWN, "outcome_unknown"),
        ],
    )
    def test_any_other_outcome_is_an_error_with_its_type(self, state, code, kind):
        attempt = seam.action_attempt(make_attempt(state, code=code, message="Why."))
        assert (attempt["status"], attempt["result"]) == ("error", None)
        assert attempt["error"] == {"type": kind, "message": "Why."}

    def test_a_failure_without_a_reason_is_uncategorized(self):
        error = seam.action_attempt(make_attempt(State.FAILED))["error"]
        assert error == {"type": "uncategorized_error", "message": "The action failed."}

    @pytest.mark.parametrize(
        ("action", "kind"),
        [(Action.LOCK, "LOCK_DOOR"), (Action.UNLOCK, "UNLOCK_DOOR"), (Action.UNLATCH, "UNLOCK_DOOR")],
    )
    def test_an_unlatch_is_an_unlocked_door(self, action, kind):
        assert seam.action_type(action) == kind

    @pytest.mark.parametrize("state", State)
    def test_no_status_is_ever_failed(self, state):
        assert seam.status(state) in {"pending", "success", "error"}


class TestEvents:
    @pytest.mark.parametrize(
        ("action", "state", "event_type", "status"),
        [
            (Action.LOCK, State.CONFIRMED, "action_attempt.lock_door.succeeded", "success"),
            (Action.LOCK, State.FAILED, "action_attempt.lock_door.failed", "error"),
            (Action.UNLOCK, State.CONFIRMED, "action_attempt.unlock_door.succeeded", "success"),
            (Action.UNLATCH, State.UNKNOWN, "action_attempt.unlock_door.failed", "error"),
        ],
    )
    def test_the_outcome_is_in_the_type_and_the_status(self, action, state, event_type, status):
        event = seam.attempt_event(make_attempt(state, action=action), IDENTITY, "event-1", NOON)
        assert (event["event_type"], event["status"]) == (event_type, status)

    def test_an_attempts_event_is_complete(self):
        attempt = make_attempt(State.CONFIRMED, ended_at=NOON + timedelta(milliseconds=1250))
        assert seam.attempt_event(attempt, IDENTITY, "event-1", NOON + timedelta(seconds=2)) == {
            "event_id": "event-1",
            "event_type": "action_attempt.unlock_door.succeeded",
            "workspace_id": str(IDENTITY.workspace_id),
            "created_at": "2026-01-31T12:00:02.000Z",
            "occurred_at": "2026-01-31T12:00:01.250Z",
            "device_id": DEVICE_ID,
            "connected_account_id": str(IDENTITY.connected_account_id),
            "action_attempt_id": "5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f",
            "action_type": "UNLOCK_DOOR",
            "status": "success",
        }

    def test_what_has_no_time_of_its_own_occurred_when_it_was_told(self):
        event = seam.attempt_event(make_attempt(State.FAILED, ended_at=None), IDENTITY, "event-1", NOON)
        assert event["occurred_at"] == event["created_at"]

    @pytest.mark.parametrize(
        ("action", "event_type"),
        [(Action.LOCK, "lock.locked"), (Action.UNLOCK, "lock.unlocked"), (Action.UNLATCH, "lock.unlocked")],
    )
    def test_a_move_is_told_as_the_lock_now_stands(self, action, event_type):
        event = seam.lock_event(make_attempt(State.CONFIRMED, action=action), IDENTITY, "event-1", NOON)
        assert (event["event_type"], event["device_id"]) == (event_type, DEVICE_ID)
        assert event["action_attempt_id"] == "5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f"

    @pytest.mark.parametrize(
        ("method", "told", "via_bluetooth"),
        [
            (Method.REMOTE_API, "remote", None),
            (Method.BLUETOOTH_KEY, "remote", True),
            (Method.UNKNOWN, "unknown", None),
        ],
    )
    def test_the_method_is_never_a_guess(self, method, told, via_bluetooth):
        event = seam.lock_event(make_attempt(State.CONFIRMED, method=method), IDENTITY, "event-1", NOON)
        assert (event["method"], event.get("is_via_bluetooth")) == (told, via_bluetooth)


@pytest.mark.parametrize("task", Task)
def test_a_task_that_is_done_has_an_empty_result_and_its_own_type(task):
    attempt = seam.action_attempt(make_attempt(State.CONFIRMED, action=task))
    assert attempt["action_type"] == task.value.upper()
    assert (attempt["status"], attempt["result"], attempt["error"]) == ("success", {}, None)
