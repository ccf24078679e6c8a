"""What takes a while, told line by line."""

from __future__ import annotations

import json

import anyio
import pytest
from starlette.requests import Request

from bridge.http import pairing
from tests.support.house import House


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def ask(tmp_path):
    """Asks one of the routes, and returns the lines of its answer."""

    async def ask(path, **body):
        async with House.standing(tmp_path) as house, house.life() as life:
            route = next(route for route in pairing.routes(life.bridge) if route.path == path)
            received = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])
            sent = []

            async def receive():
                return next(received, None) or await forever()

            async def send(message):
                sent.append(message.get("body", b""))

            scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
            await (await route.endpoint(Request(scope, receive)))(scope, receive, send)
            return [json.loads(line) for line in b"".join(sent).splitlines()]

    return ask


async def forever():
    await anyio.sleep_forever()


async def test_a_failure_of_ours_is_the_last_line_and_tells_nothing_of_itself(ask, monkeypatch):
    def fails(*_arguments):
        raise ValueError("secret")

    monkeypatch.setattr(pairing, "subject", fails)
    (last,) = await ask("/bridge/pair", driver="nuki")
    assert last["step"] == "failed"
    assert "secret" not in last["message"]


async def test_what_is_known_to_fail_is_told_in_its_own_words(ask):
    (last,) = await ask("/bridge/pair", driver="nonesuch")
    assert last["step"] == "failed"
    assert last["wrong_usage"]
    assert "there is no driver" in last["message"]
