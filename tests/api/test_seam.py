"""The Seam face: what Seam's clients send and rely on, by real requests to a real daemon."""

from __future__ import annotations

import uuid

import pytest

from tests.support.api import BACK, FRONT

LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def devices(gateway):
    with gateway.here() as client:
        return [device["device_id"] for device in client.get("/devices/list").json()["devices"]]


def resolved(client, attempt):
    """Ask as a client does until the attempt has its outcome."""
    last = 0
    while True:
        last = client.get("/bridge/events", params={"after": last, "wait": 0.1}).json()["last"]
        found = client.get("/action_attempts/get", params={"action_attempt_id": attempt["action_attempt_id"]}).json()
        if found["action_attempt"]["status"] != "pending":
            return found["action_attempt"]


def asked(client, verb, name, /, **fields):
    if verb == "POST":
        return client.post(f"/{name}", json=fields)
    return client.get(f"/{name}", params={**fields, "_strict": "true"})


@pytest.mark.parametrize("action", ["unlock_door", "lock_door"])
def test_a_door_is_operated_by_an_attempt_that_is_pending_at_first(here, there, devices, action):
    answer = there.post(f"/locks/{action}", json={"device_id": devices[0]})
    assert answer.status_code == 200
    attempt = answer.json()["action_attempt"]
    assert answer.json() == {"action_attempt": attempt, "ok": True}
    assert (attempt["status"], attempt["result"], attempt["error"]) == ("pending", None, None)
    assert attempt["action_type"] == action.upper()
    assert resolved(here, attempt) == {
        **attempt,
        "status": "success",
        "result": {"was_confirmed_by_device": True},
    }


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize(
    ("name", "fields", "keys"),
    [
        ("action_attempts/list", {}, {"action_attempts", "pagination", "ok"}),
        ("locks/list", {}, {"locks", "devices", "ok"}),
        ("locks/get", {"device_id": FRONT}, {"lock", "device", "ok"}),
        ("devices/list", {}, {"devices", "pagination", "ok"}),
        ("devices/get", {"name": FRONT}, {"device", "ok"}),
        ("events/list", {"since": LONG_AGO}, {"events", "ok"}),
        ("workspaces/get", {}, {"workspace", "ok"}),
    ],
)
def test_every_question_is_answered_by_get_and_by_post(there, verb, name, fields, keys):
    answer = asked(there, verb, name, **fields)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == keys
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["seam-request-id"])


def test_an_event_is_got_by_its_identity_or_as_the_latest_of_a_kind(here, there, devices):
    resolved(here, there.post("/locks/unlock_door", json={"device_id": devices[1]}).json()["action_attempt"])
    latest = there.get("/events/get", params={"device_id": devices[1]}).json()["event"]
    assert latest["device_id"] == devices[1]
    assert there.post("/events/get", json={"event_id": latest["event_id"]}).json()["event"] == latest
    absent = there.get("/events/get", params={"event_id": str(uuid.uuid4())})
    assert (absent.status_code, absent.json()["error"]["type"]) == (404, "event_not_found")


def many(there, number=5):
    """Return the ids of some attempts, the latest first."""
    for _ in range(number):
        there.post("/locks/lock_door", json={"device_id": BACK})
    return [each["action_attempt_id"] for each in there.get("/action_attempts/list").json()["action_attempts"]]


@pytest.mark.parametrize("written", ["{0}&{1}", "{0}[]&{1}[]", "csv", "none"])
def test_a_list_in_a_query_is_written_as_clients_write_it(there, written):
    first, second, *_ = many(there, 2)
    match written:
        case "csv":
            query = f"action_attempt_ids={first},{second}"
        case "none":
            query = "action_attempt_ids="
        case _:
            brackets = "[]" if "[" in written else ""
            query = f"action_attempt_ids{brackets}={first}&action_attempt_ids{brackets}={second}"
    found = there.get(f"/action_attempts/list?{query}&_strict=true").json()["action_attempts"]
    assert [each["action_attempt_id"] for each in found] == ([] if written == "none" else [first, second])


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_pages_follow_one_another_by_cursor_and_by_url(there, verb):
    everything = many(there)
    first = asked(there, verb, "action_attempts/list", limit=2).json()
    assert first["pagination"]["has_next_page"] is True
    by_cursor = asked(
        there, verb, "action_attempts/list", limit=2, page_cursor=first["pagination"]["next_page_cursor"]
    ).json()
    by_url = there.get(first["pagination"]["next_page_url"]).json()
    assert by_cursor["action_attempts"] == by_url["action_attempts"]
    shown = [each["action_attempt_id"] for each in first["action_attempts"] + by_url["action_attempts"]]
    assert shown == everything[:4]


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_lock_is_found_by_what_is_said_of_it(there, devices, verb):
    metadata = {"lock_id": BACK, "room": None}
    if verb == "GET":
        filters = {f"custom_metadata_has.{key}": value or "" for key, value in metadata.items()}
    else:
        filters = {"custom_metadata_has": metadata}
    for fields in (filters, {"search": BACK.upper()}):
        found = asked(there, verb, "devices/list", **fields).json()["devices"]
        assert [device["device_id"] for device in found] == devices[1:]


def test_the_url_of_a_page_asks_for_the_same(there, devices):
    asked = {"custom_metadata_has": {"room": None}, "limit": 1}
    first = there.post("/devices/list", json=asked).json()
    rest = there.get(first["pagination"]["next_page_url"]).json()
    assert [device["device_id"] for device in first["devices"] + rest["devices"]] == devices


def test_a_cursor_with_other_parameters_is_refused(there):
    many(there)
    cursor = there.get("/action_attempts/list?limit=1").json()["pagination"]["next_page_cursor"]
    other = there.get("/action_attempts/list", params={"limit": 2, "page_cursor": cursor})
    assert (other.status_code, other.json()["error"]["type"]) == (400, "mismatched_page_parameters")


@pytest.mark.parametrize(
    ("verb", "path", "status", "kind"),
    [
        ("GET", "/action_attempts/get", 400, "invalid_input"),
        ("GET", "/action_attempts/list?limit=0", 400, "invalid_input"),
        ("GET", "/action_attempts/list?limit=1&limit=2", 400, "invalid_input"),
        ("GET", "/action_attempts/list?page_cursor=x", 400, "invalid_input"),
        ("GET", "/action_attempts/get?action_attempt_id=nope", 404, "action_attempt_not_found"),
        ("GET", "/devices/get?device_id=nope", 404, "device_not_found"),
        ("GET", "/events/list", 400, "invalid_input"),
        ("POST", "/locks/lock_door", 400, "invalid_input"),
        ("POST", "/nowhere", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/bridge/status", 404, "not_found"),
        ("DELETE", "/devices/list", 405, "method_not_allowed"),
        ("GET", "/locks/unlock_door", 405, "method_not_allowed"),
        ("POST", "/thermostats/set_hvac_mode", 409, "action_not_supported"),
    ],
)
def test_an_error_has_the_shape_that_clients_read(there, verb, path, status, kind):
    answer = there.request(verb, path, json={} if verb == "POST" else None)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert answer.json() == {"error": error, "ok": False}
    assert error["type"] == kind
    assert error["message"]
    assert error["request_id"] == answer.headers["seam-request-id"]


def test_mistakes_are_named_field_by_field(there):
    errors = there.post("/action_attempts/list", json={"limit": "many", "frm": 1}).json()["error"]["validation_errors"]
    assert errors["_errors"] == []
    assert errors["limit"]["_errors"]
    assert errors["frm"]["_errors"]
