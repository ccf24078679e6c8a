"""Keys over TCP: which are good, what for, and until when."""

from __future__ import annotations

import json
import stat

import pytest

from bridge.keys.api_keys import FILE
from tests.support.api import BACK, FRONT


def unlock(client, lock_id):
    return client.post(f"/locks/{lock_id}/actions", json={"action": "unlock"})


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer seam_lb_00000000_" + "0" * 64},
        {"authorization": "Bearer \xe9".encode("latin-1")},
        {"authorization": "Basic KEY"},
        {"x-api-key": "KEY"},
    ],
)
def test_without_a_good_key_nothing_is_answered_but_health(gateway, key, shown):
    headers = {name: value.replace("KEY", key) if isinstance(value, str) else value for name, value in shown.items()}
    with gateway.there(None, headers=headers) as client:
        for path in ("/locks", "/locks/list", "/metrics", "/openapi.json", "/nowhere"):
            answer = client.get(path)
            assert answer.status_code in (401, 429)
            assert "Bearer" in answer.headers.get("www-authenticate", "Bearer")
        assert client.get("/health").status_code == 200


def test_wrong_keys_are_slowed_down_and_a_good_one_from_the_same_place_is_not(gateway, key):
    with gateway.there("seam_wrong") as wrong, gateway.there(key) as good:
        answers = [wrong.get("/locks") for _ in range(15)]
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert good.get("/locks").status_code == 200


def test_a_revoked_key_ends_at_once_and_another_goes_on(gateway, key):
    made = gateway.keys.make("guest", "read")
    with gateway.there(made.secret) as guest, gateway.there(key) as other:
        assert guest.get("/locks").status_code == 200
        assert gateway.keys.revoke(made.kept.id)
        assert guest.get("/locks").status_code in (401, 429)
        assert other.get("/locks").status_code == 200


def test_a_key_that_is_revoked_while_its_request_comes_moves_nothing(gateway, here):
    made = gateway.keys.make("guest", "operate")
    body = b'{"action": "unlock"}'
    head = f"POST /locks/{FRONT}/actions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {made.secret}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    before = here.get("/bridge/attempts").json()
    with gateway.bare() as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")  # the key was good, the body is waited for
        gateway.keys.revoke(made.kept.id)
        connection.sendall(body)
        assert connection.recv(1000).split()[1] in (b"401", b"429")
    assert here.get("/bridge/attempts").json() == before


def test_a_key_to_read_moves_nothing(gateway, here):
    with gateway.there(gateway.key("read")) as reader:
        assert reader.get("/locks/list").status_code == 200
        before = here.get("/bridge/attempts").json()
        refused = unlock(reader, FRONT)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "INSUFFICIENT_SCOPE")
        refused = reader.post("/locks/unlock_door", json={"device_id": FRONT})
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "insufficient_scope")
        assert reader.post("/workspaces/reset_sandbox", json={}).status_code == 403
        assert here.get("/bridge/attempts").json() == before


def test_a_key_for_one_lock_knows_of_no_other(gateway, here):
    here.post(f"/locks/{BACK}/actions", json={"action": "unlock", "custom_id": "hidden"})
    hidden = here.get("/bridge/attempts", params={"lock_id": BACK}).json()["attempts"][0]
    with gateway.there(gateway.key("operate", [FRONT])) as client:
        assert unlock(client, FRONT).status_code == 200
        refused = unlock(client, BACK)
        assert (refused.status_code, refused.json()["error_code"]) == (404, "LOCK_NOT_FOUND")
        assert client.post("/locks/lock_door", json={"device_id": BACK}).status_code == 404
        assert [lock["lock_id"] for lock in client.get("/locks").json()["locks"]] == [FRONT]
        assert client.get(f"/locks/{BACK}").status_code == 404
        assert [device["custom_metadata"]["lock_id"] for device in client.get("/devices/list").json()["devices"]] == [
            FRONT
        ]
        assert client.get("/locks/get", params={"device_id": BACK}).status_code == 404
        attempts = client.get("/action_attempts/list").json()["action_attempts"]
        assert hidden["action_attempt_id"] not in [each["action_attempt_id"] for each in attempts]
        wanted = {"action_attempt_ids": [hidden["action_attempt_id"]]}
        assert client.post("/action_attempts/list", json=wanted).json()["action_attempts"] == []
        assert client.get("/action_attempts/get", params=wanted | {"action_attempt_id": hidden["action_id"]}).is_error
        assert client.post("/action_attempts/get", json={"action_attempt_id": hidden["action_id"]}).status_code == 404
        events = client.get("/events/list", params={"since": "2020-01-01T00:00:00Z"}).json()["events"]
        assert {event.get("device_id") for event in events} <= {
            client.get("/devices/get", params={"device_id": FRONT}).json()["device"]["device_id"]
        }
        assert client.get("/events/list", params={"since": "2020-01-01T00:00:00Z", "device_id": BACK}).is_error
        assert BACK not in client.get("/metrics").text


def test_no_key_is_on_disk_or_in_the_log(gateway, key):
    file = gateway.daemon.state_dir / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()
    assert key.rpartition("_")[2] not in file.read_text()
    with gateway.there(key) as client:
        client.get("/locks")
        client.post("/locks/nowhere/actions", json={"action": "unlock"})
    assert key.rpartition("_")[2] not in gateway.daemon.log


def test_a_store_that_others_can_read_makes_no_key_good(gateway, key):
    file = gateway.daemon.state_dir / FILE
    file.chmod(0o644)
    try:
        with gateway.there(key) as client:
            assert client.get("/locks").status_code in (401, 429)
    finally:
        file.chmod(0o600)
    assert json.loads(file.read_text())["keys"]
