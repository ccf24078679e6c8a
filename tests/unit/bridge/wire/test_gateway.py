"""Attempts and events as the command line asks for them."""

from uuid import UUID

from bridge.attempt import State
from bridge.errors import Code
from bridge.model import Event
from bridge.wire import gateway
from drivers.base import Stage
from tests.support.samples import ATTEMPT_ID, make_attempt


def test_an_attempt_under_way_has_no_end():
    assert gateway.attempt(make_attempt()) == {
        "action_id": "act_0123456789abcdef",
        "action_attempt_id": str(ATTEMPT_ID),
        "lock_id": "front_door",
        "action": "unlock",
        "status": "pending",
        "state": "accepted",
        "performed_via": "remote_api",
        "accepted_at": "2026-01-31T12:00:00.000Z",
    }


def test_an_attempt_that_ended_tells_all_of_its_end():
    attempt = make_attempt(
        State.UNKNOWN, custom_id="a", stage=Stage.WRITTEN, changed=True, code=Code.OUTCOME_UNKNOWN, message="Lost."
    )
    found = gateway.attempt(attempt)
    assert found["status"] == "failed"
    assert (found["custom_id"], found["stage"], found["changed"]) == ("a", "written", True)
    assert (found["error_code"], found["message"]) == ("OUTCOME_UNKNOWN", "Lost.")
    assert found["ended_at"] == "2026-01-31T12:00:00.000Z"


def test_an_event_has_its_place_and_its_lock_if_it_is_of_one():
    event = Event(UUID(int=1), "lock.locked", "front_door", {"a": 1}, seq=7)
    assert gateway.event(event) == {
        "seq": 7,
        "event_id": str(UUID(int=1)),
        "event_type": "lock.locked",
        "body": {"a": 1},
        "lock_id": "front_door",
    }
    assert "lock_id" not in gateway.event(Event(UUID(int=1), "bridge.x", None, {}))
