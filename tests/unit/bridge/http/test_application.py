"""What is hopeless now, on each face, from a bridge with virtual locks under virtual time."""

from __future__ import annotations

import json

import pytest
import trio.testing

from bridge.errors import StorageUnavailable
from bridge.http import sandbox
from bridge.http.application import Application
from bridge.http.door import operations
from bridge.http.guard import LocalGuard
from tests.support.house import BACK, FRONT, House


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house:
        yield house


@pytest.fixture
async def life(house):
    async with house.life() as life:
        yield life


@pytest.fixture
def post(life):
    """Posts, and returns the status, the body and the headers of the answer."""
    application = Application(operations(life.bridge), LocalGuard(), life.bridge.progress, sandbox.routes(life.bridge))

    async def post(path, method="POST", **body):
        sent = []

        async def receive():
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "query_string": b""}
        await application({**scope, "scheme": "http", "headers": headers}, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"]), dict(sent[0]["headers"])

    return post


async def test_a_bridge_without_a_radio_refuses_a_makers_command_and_fails_a_seam_attempt(house, life, post):
    house.radio.usable = False
    status, body, _ = await post(f"/locks/{FRONT}/actions", action="unlock")
    assert (status, body["error_code"]) == (409, "BRIDGE_OFFLINE")
    status, body, _ = await post("/locks/unlock_door", device_id=FRONT)
    attempt = body["action_attempt"]
    assert (status, attempt["status"], attempt["error"]["type"]) == (200, "error", "hub_disconnected")
    status, body, _ = await post("/action_attempts/get", action_attempt_id=attempt["action_attempt_id"])
    assert (status, body["action_attempt"]) == (200, attempt)
    assert not house.movements


async def test_a_lock_with_too_many_commands_waiting_is_busy_on_both_faces(house, life, post):
    for _ in range(8):
        status, body, headers = await post(f"/locks/{FRONT}/actions", action="unlock")
    assert (status, body["error_code"], headers[b"retry-after"]) == (409, "DEVICE_BUSY", b"1")
    status, body, headers = await post("/locks/unlock_door", device_id=FRONT)
    assert (status, body["error"]["type"], headers[b"retry-after"]) == (409, "device_busy", b"1")


@pytest.mark.parametrize("path", [f"/locks/{FRONT}/actions", "/locks/unlock_door"])
async def test_a_journal_that_cannot_be_written_takes_no_command(life, post, monkeypatch, path):
    async def fails(*_arguments):
        raise StorageUnavailable("full")

    monkeypatch.setattr(life.bridge.journal, "accept", fails)
    body = {"action": "unlock"} if path.endswith("actions") else {"device_id": FRONT}
    assert (await post(path, **body))[0] == 503


async def test_a_journal_that_cannot_be_read_is_said_so(life, post, monkeypatch):
    async def fails(*_arguments):
        raise StorageUnavailable("secret")

    monkeypatch.setattr(life.bridge.journal.search, "attempts", fails)
    monkeypatch.setattr(life.bridge.journal, "backlog", fails)
    for path in ("/bridge/attempts", "/metrics"):
        status, body, _ = await post(path, method="GET")
        assert (status, body["error"]["type"]) == (503, "storage_unavailable")
        assert "secret" not in json.dumps(body)


async def test_a_failure_of_ours_is_an_answer_too_and_tells_nothing_of_itself(life, post, monkeypatch):
    async def fails(*_arguments):
        raise ValueError("secret")

    monkeypatch.setattr(life.bridge.dispatcher, "submit", fails)
    for path, body in ((f"/locks/{FRONT}/actions", {"action": "lock"}), ("/locks/lock_door", {"device_id": FRONT})):
        status, answer, headers = await post(path, **body)
        assert status == 500
        assert "secret" not in json.dumps(answer)
        assert headers[b"seam-request-id"]


async def test_a_route_that_answers_for_itself_fails_as_others_do(life, post, monkeypatch):
    def fails(*_arguments):
        raise ValueError("secret")

    monkeypatch.setattr(type(life.bridge.sandbox), "do", fails)
    status, answer, headers = await post(f"/bridge/sandbox/{FRONT}/jam")
    assert (status, answer["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in json.dumps(answer)
    assert headers[b"seam-request-id"]
