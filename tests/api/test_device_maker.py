"""The device-maker face: commands, their refusals, and the locks, by real requests to a real daemon."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.support import api
from tests.support.api import BACK, FRONT


def ended(client, action_id):
    """Return an attempt once it has its outcome."""
    last = 0
    while (found := client.get(f"/bridge/attempts/{action_id}").json())["status"] == "pending":
        last = client.get("/bridge/events", params={"after": last, "wait": 30}).json()["last"]
    return found


@pytest.mark.parametrize(("door", "method"), [("here", "bluetooth_key"), ("there", "remote_api")])
def test_a_command_is_answered_pending_carried_out_and_attributed_to_its_door(request, here, door, method):
    client = request.getfixturevalue(door)
    custom_id = f"custom {door}"
    answer = client.post(f"/locks/{FRONT}/actions", json={"action": "unlock", "custom_id": custom_id})
    assert answer.status_code == 200
    assert answer.headers["seam-request-id"]
    assert set(answer.json()) == {"action_id", "custom_id", "status", "lock_id", "action"}
    found = ended(here, answer.json()["action_id"])
    assert (found["status"], found["performed_via"], found["custom_id"]) == ("success", method, custom_id)
    assert here.get(f"/bridge/locks/{FRONT}").json()["lock_state"] == "unlocked"
    here.post(f"/locks/{FRONT}/actions", json={"action": "lock"})


def test_a_repetition_is_answered_with_the_first_attempts_status(here, there):
    command = {"action": "lock", "custom_id": "again"}
    first = here.post(f"/locks/{BACK}/actions", json=command).json()
    ended(here, first["action_id"])
    again = there.post(f"/locks/{BACK}/actions", json=command).json()
    assert again == {**first, "status": "success", "replayed": True}


def test_many_copies_of_one_command_at_once_move_the_bolt_once(gateway, key, here):
    def send(number):
        with gateway.there(key) if number % 2 else gateway.here() as client:
            return client.post(f"/locks/{BACK}/actions", json={"action": "unlock", "custom_id": "flood"}).json()

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(send, range(32)))
    (action_id,) = {answer["action_id"] for answer in answers}
    assert sum("replayed" not in answer for answer in answers) == 1
    assert ended(here, action_id)["changed"] is True
    told = here.get("/bridge/events", params={"limit": 500}).json()["events"]
    assert sum(event["body"].get("custom_id") == "flood" for event in told) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (FRONT, b'{"action": "open"}', 400, "INVALID_ACTION"),
        (FRONT, b'{"action": "unlock", "force": true}', 400, "INVALID_REQUEST"),
        (FRONT, b'{"action": "unlock"', 400, "INVALID_REQUEST"),
        (FRONT, b"", 400, "INVALID_REQUEST"),
        (FRONT, b"[" * 8000, 400, "INVALID_REQUEST"),
        (FRONT, b'{"action": "unlock", "custom_id": "' + b"x" * 9000 + b'"}', 400, "INVALID_REQUEST"),
        (FRONT, b'{"action": "unlatch"}', 403, "ACTION_NOT_ALLOWED"),
        ("cellar", b'{"action": "unlock"}', 404, "LOCK_NOT_FOUND"),
    ],
)
def test_a_refusal_has_its_status_and_two_keys(there, path, body, status, code):
    answer = there.post(f"/locks/{path}/actions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert set(answer.json()) == {"error_code", "message"}
    assert answer.json()["error_code"] == code


def test_a_refusal_is_told_as_an_event_as_on_every_other_door(here):
    here.post("/locks/nowhere/actions", json={"action": "unlock"})
    told = here.get("/bridge/events", params={"limit": 500}).json()["events"]
    refused = [event["body"] for event in told if event["event_type"] == "bridge.command_refused"]
    assert any(body["error_code"] == "LOCK_NOT_FOUND" for body in refused)


def test_the_locks_are_listed_and_shown(here, there):
    listed = there.get("/locks").json()["locks"]
    assert [lock["lock_id"] for lock in listed] == [FRONT, BACK]
    assert {"name", "model", "address", "online", "lock_state"} <= listed[0].keys()
    assert there.get(f"/locks/{FRONT}").json()["lock_id"] == FRONT
    absent = there.get("/locks/cellar")
    assert (absent.status_code, absent.json()["error_code"]) == (404, "LOCK_NOT_FOUND")
    assert here.get("/health").json()["ok"] is True


@pytest.mark.parametrize(("trust", "told"), [("always", True), ("auto", False)])
def test_the_time_is_told_where_it_is_known_to_be_right(tmp_path, trust, told):
    with api.running(tmp_path, FRONT, bridge=f'trust_clock = "{trust}"') as gateway, gateway.here() as client:
        told = told or client.get("/bridge/status").json()["clock_trusted"]
        before = datetime.now(UTC).replace(microsecond=0)
        for lock in (client.get(f"/locks/{FRONT}").json(), *client.get("/locks").json()["locks"]):
            assert ("device_time" in lock) is told
            if told:
                assert before <= datetime.fromisoformat(lock["device_time"]) <= datetime.now(UTC)


def test_commands_beyond_the_rate_are_told_when_to_come_again(tmp_path):
    with api.running(tmp_path, FRONT, commands="rate_limit = 2") as gateway, gateway.here() as client:
        answers = [client.post(f"/locks/{FRONT}/actions", json={"action": "lock"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["error_code"] == "RATE_LIMITED"
        assert int(answers[2].headers["retry-after"]) >= 1


def test_without_an_expiry_a_command_is_refused_where_one_is_required_but_at_the_gateway(tmp_path):
    strict = {"commands": "require_expiry = true", "bridge": 'trust_clock = "always"'}
    with (
        api.running(tmp_path, FRONT, **strict) as gateway,
        gateway.there(gateway.key()) as there,
        gateway.here() as here,
    ):
        refused = there.post(f"/locks/{FRONT}/actions", json={"action": "lock"})
        assert (refused.status_code, refused.json()["error_code"]) == (400, "EXPIRY_REQUIRED")
        fresh = here.post(f"/locks/{FRONT}/actions", json={"action": "lock"})
        assert fresh.status_code == 200
        assert ended(here, fresh.json()["action_id"])["status"] == "success"
        stale = {"action": "lock", "expires_at": "2020-01-01T00:00:00Z"}
        refused = here.post(f"/locks/{FRONT}/actions", json=stale)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "COMMAND_EXPIRED")
