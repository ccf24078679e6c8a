"""The sandbox: the verbs of the command line and the attempts of Seam's interface, at a real daemon's virtual locks."""

from __future__ import annotations

import pytest
from seam import Seam, SeamHttpApiError, SeamHttpInvalidInputError

from bridge.simulation.sandbox import EVERY_VERB
from tests.support import api
from tests.support.api import BACK, FRONT

CODE = "739182"
FIELDS = {"keypad": {"code": CODE}, "battery": {"level": 50}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    lock = f'[locks.virtual]\nmotor_time = 0.1\npin_codes = {{ "{CODE}" = "Ada" }}'
    with api.running(tmp_path_factory.mktemp("sandbox"), lock=lock, commands="rate_limit = 0") as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(here):
    yield
    resolved(here, here.post("/workspaces/reset_sandbox", json={}).json()["action_attempt"])


def resolved(client, attempt):
    """Ask until the attempt has its outcome."""
    last = 0
    while True:
        named = {"action_attempt_id": attempt["action_attempt_id"]}
        found = client.get("/action_attempts/get", params=named).json()["action_attempt"]
        if found["status"] != "pending":
            return found
        last = client.get("/bridge/events", params={"after": last, "wait": 0.1}).json()["last"]


def operate(client, action, lock_id=FRONT):
    answer = client.post(f"/locks/{action}_door", json={"device_id": lock_id})
    return resolved(client, answer.json()["action_attempt"])


def told(client, attempt):
    """Return the events of an attempt."""
    events = client.get("/events/list", params={"since": "2020-01-01T00:00:00Z"}).json()["events"]
    return [event for event in events if event.get("action_attempt_id") == attempt["action_attempt_id"]]


@pytest.mark.parametrize("verb", EVERY_VERB)
def test_every_verb_is_done(here, verb):
    answer = here.post(f"/bridge/sandbox/{BACK}/{verb}", json=FIELDS.get(verb, {}))
    assert answer.status_code == 200, answer.text
    done = {"ok": True, "lock_id": BACK, "verb": verb}
    assert answer.json() | {"action_attempt": None} == done | {"action_attempt": None}
    assert ("action_attempt" in answer.json()) == verb.startswith("keypad")


@pytest.mark.parametrize(
    ("lock_id", "verb", "body", "refusal"),
    [
        ("cellar", "jam", {}, (404, "LOCK_NOT_FOUND")),
        (FRONT, "explode", {}, (400, "INVALID_REQUEST")),
        (FRONT, "battery", {}, (400, "INVALID_REQUEST")),
        (FRONT, "battery", {"level": 101}, (400, "INVALID_REQUEST")),
        (FRONT, "battery", {"level": True}, (400, "INVALID_REQUEST")),
        (FRONT, "keypad", {}, (400, "INVALID_REQUEST")),
        (FRONT, "keypad", {"code": 739182}, (400, "INVALID_REQUEST")),
        (FRONT, "keypad", {"code": "9" * 33}, (400, "INVALID_REQUEST")),
        (FRONT, "jam", {"code": "1"}, (400, "INVALID_REQUEST")),
        (FRONT, "jam", [], (400, "INVALID_REQUEST")),
    ],
)
def test_what_cannot_be_done_is_said(here, lock_id, verb, body, refusal):
    answer = here.post(f"/bridge/sandbox/{lock_id}/{verb}", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == refusal


@pytest.mark.parametrize("content", [b"{", b"\xff", b" " * 2000])
def test_a_body_that_is_none_is_refused(here, content):
    answer = here.post(f"/bridge/sandbox/{FRONT}/jam", content=content)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_REQUEST")


def test_over_tcp_nobody_plays_with_the_locks(there):
    assert there.post(f"/bridge/sandbox/{FRONT}/fob", json={}).status_code == 404


def test_a_jam_is_what_a_command_meets(here):
    here.post(f"/bridge/sandbox/{FRONT}/jam")
    assert operate(here, "unlock")["error"]["type"] == "lock_jammed"
    here.post(f"/bridge/sandbox/{FRONT}/clear")
    assert operate(here, "unlock")["status"] == "success"


def test_a_link_that_drops_after_the_write_costs_nothing_but_time(here):
    here.post(f"/bridge/sandbox/{FRONT}/drop-after-write")
    assert operate(here, "unlock")["status"] == "success"


@pytest.mark.parametrize("code", [CODE, "000000"])
def test_a_code_is_entered_by_an_attempt_with_its_event(here, there, code):
    answer = there.post("/locks/simulate/keypad_code_entry", json={"device_id": FRONT, "code": code})
    attempt = answer.json()["action_attempt"]
    assert (attempt["action_type"], attempt["status"]) == ("SIMULATE_KEYPAD_CODE_ENTRY", "pending")
    ended = resolved(here, attempt)
    assert ended == attempt | {"status": "success", "result": {}}
    (event,) = told(here, attempt)
    assert event["event_type"] == "action_attempt.simulate_keypad_code_entry.succeeded"


def test_the_keypads_lock_key_is_pressed_by_an_attempt_with_its_event(here, there):
    attempt = there.post("/locks/simulate/manual_lock_via_keypad", json={"device_id": FRONT}).json()["action_attempt"]
    assert resolved(here, attempt)["status"] == "success"
    (event,) = told(here, attempt)
    assert event["event_type"] == "action_attempt.simulate_manual_lock_via_keypad.succeeded"


def test_an_auto_lock_is_configured_by_an_attempt_without_events(here, there):
    body = {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 1}
    attempt = there.post("/locks/configure_auto_lock", json=body).json()["action_attempt"]
    assert attempt["action_type"] == "CONFIGURE_AUTO_LOCK"
    assert resolved(here, attempt) == attempt | {"status": "success", "result": {}}
    assert told(here, attempt) == []


def test_seams_own_client_configures_simulates_and_resets(gateway, key):
    with Seam(api_key=key, endpoint=f"http://127.0.0.1:{gateway.port}") as client:
        device_id = client.locks.list()[0].device_id
        done = [
            client.locks.configure_auto_lock(device_id=device_id, auto_lock_enabled=True, auto_lock_delay_seconds=30),
            client.locks.configure_auto_lock(device_id=device_id, auto_lock_enabled=False),
            client.locks.simulate.keypad_code_entry(device_id=device_id, code=CODE),
            client.workspaces.reset_sandbox(),
            client.locks.simulate.manual_lock_via_keypad(device_id=device_id),
        ]
        assert [attempt.status for attempt in done] == ["success"] * 5
        with pytest.raises(SeamHttpInvalidInputError) as refused:
            client.locks.configure_auto_lock(device_id=device_id, auto_lock_enabled=True, auto_lock_delay_seconds=61)
        assert refused.value.get_validation_error_messages("auto_lock_delay_seconds")
        with pytest.raises(SeamHttpApiError, match="SET_HVAC_MODE") as unsupported:
            client.thermostats.off(device_id=device_id)
        assert unsupported.value.code == "action_not_supported"


def test_who_may_only_read_configures_and_simulates_nothing(gateway):
    with gateway.there(gateway.key("read")) as reader:
        for name in ("locks/configure_auto_lock", "locks/simulate/manual_lock_via_keypad", "workspaces/reset_sandbox"):
            assert reader.post(f"/{name}", json={"device_id": FRONT}).status_code in (401, 403)


def test_what_is_no_locks_is_refused_by_name(there):
    answer = there.post("/thermostats/set_hvac_mode", json={"device_id": FRONT, "hvac_mode_setting": "off"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "action_not_supported")
    assert "SET_HVAC_MODE" in answer.json()["error"]["message"]


def test_the_code_is_in_no_file_and_in_no_log(gateway, here):
    entered = "84629173"
    here.post(f"/bridge/sandbox/{FRONT}/keypad", json={"code": entered})
    attempt = here.post("/locks/simulate/keypad_code_entry", json={"device_id": FRONT, "code": entered}).json()
    resolved(here, attempt["action_attempt"])
    here.post("/locks/simulate/keypad_code_entry", json={"device_id": FRONT, "code": [entered]})
    here.post("/locks/simulate/keypad_code_entry", json={"device_id": "cellar", "code": entered})
    assert entered not in gateway.daemon.log
    for file in gateway.daemon.state_dir.iterdir():
        assert entered.encode() not in file.read_bytes(), file
