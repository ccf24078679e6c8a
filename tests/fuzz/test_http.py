"""Whatever a client sends over HTTP: an answer in JSON with its request id, never a failure, nothing moved unasked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.http.application import Application
from bridge.http.door import operations
from bridge.http.guard import LocalGuard
from tests.support.fuzzing import effort, virtually
from tests.support.house import BACK, FRONT, House, check, until

if TYPE_CHECKING:
    from starlette.types import Message

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3),
    max_leaves=6,
)
known = st.sampled_from([FRONT, BACK, "cellar"])
fields = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["lock", "unlock", "unlatch"]) | anything,
        "custom_id": st.sampled_from(["a", "b"]) | anything,
        "device_id": known | anything,
        "action_attempt_id": anything,
        "action_attempt_ids": st.lists(st.text(max_size=10), max_size=3) | anything,
        "limit": st.integers(-1, 600) | anything,
        "page_cursor": anything,
        "since": st.just("2020-01-01T00:00:00Z") | anything,
        "event_id": anything,
        "code": anything,
        "more": anything,
    },
)
bodies = st.one_of(
    (fields | anything).map(lambda body: json.dumps(body).encode()),
    fields.map(lambda body: json.dumps(body).encode("utf-16")),
    st.binary(max_size=40),
    st.integers(0, 9000).map(lambda size: b"[" * size),
    st.just(b""),
)
paths = st.one_of(
    known.map(lambda lock_id: f"/locks/{lock_id}/actions"),
    st.sampled_from(
        [
            "/locks/lock_door",
            "/locks/unlock_door",
            "/action_attempts/get",
            "/action_attempts/list",
            "/devices/get",
            "/devices/list",
            "/events/get",
            "/events/list",
            "/locks/get",
            "/locks/list",
            "/workspaces/get",
            "/locks/configure_auto_lock",
            "/bridge/attempts",
            "/bridge/events",
            "/health",
        ]
    ),
    st.text(max_size=20).map(lambda path: f"/{path}"),
)
JSON = b"application/json"
commands = st.one_of(
    st.fixed_dictionaries(
        {
            "path": known.map(lambda lock_id: f"/locks/{lock_id}/actions"),
            "body": st.fixed_dictionaries(
                {"action": st.sampled_from(["lock", "unlock"])}, optional={"custom_id": st.sampled_from(["a", "b"])}
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(["/locks/lock_door", "/locks/unlock_door"]),
            "body": st.fixed_dictionaries({"device_id": known}),
        }
    ),
).map(lambda command: {"method": "POST", "kind": JSON, **command, "body": json.dumps(command["body"]).encode()})
strange = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS"]),
        "path": paths,
        "body": bodies,
    },
    optional={
        "query": st.binary(max_size=60) | st.sampled_from([b"limit=1&limit=2", b"ids[]=a", b"limit=%ff", b"wait=inf"]),
        "kind": st.sampled_from([JSON, b"application/json; charset=utf-8", b"text/plain", b"\xff"]),
    },
)
foreign = st.tuples(commands | strange, st.binary(max_size=20)).map(lambda both: {**both[0], "origin": both[1]})
requests = st.one_of(commands, strange, strange.map(lambda request: {**request, "kind": JSON}), foreign)


@dataclass
class Exchange:
    """One request as ASGI has it, and what is answered."""

    body: bytes
    sent: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


@effort(60)
@given(st.lists(requests, min_size=1, max_size=6))
@example([{"method": "POST", "path": f"/locks/{FRONT}/actions", "body": b"[" * 8000, "kind": b"application/json"}])
@example([{"method": "GET", "path": "/bridge/events", "body": b"", "query": b"wait=nan"}])
def test_any_request_is_answered_and_moves_nothing_that_was_not_taken(sent):
    virtually(_ask, sent)


async def _ask(sent: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        async with House.standing(Path(folder), FRONT, BACK) as house, house.life() as life:
            application = Application(operations(life.bridge), LocalGuard(), life.bridge.progress)
            for request in sent:
                exchange = Exchange(request["body"])
                await application(_scope(request), exchange.receive, exchange.send)
                _check(exchange, request)
            await until(lambda: not life.rows("SELECT * FROM attempt WHERE state IN ('accepted', 'committed')"))
            await anyio.sleep(60)
            taken = [action_id for (action_id,) in life.rows("SELECT action_id FROM attempt WHERE action != 'x'")]
            for twin in house.twins.values():
                assert all(movement.tag.decode() in taken for movement in twin.lock.movements)
            for action_id in taken:
                attempt = await life.bridge.journal.search.attempt(action_id)
                assert attempt is not None
                if attempt.action in ("lock", "unlock", "unlatch"):
                    check(house, life, attempt)


def _scope(request: dict[str, Any]) -> dict[str, Any]:
    headers = [(b"host", b"gateway")]
    headers += [(b"content-type", request["kind"])] if "kind" in request else []
    headers += [(b"origin", request["origin"])] if "origin" in request else []
    return {
        "type": "http",
        "method": request["method"],
        "scheme": "http",
        "server": ("gateway", None),
        "client": None,
        "root_path": "",
        "path": request["path"],
        "raw_path": request["path"].encode("utf-8", "surrogatepass"),
        "query_string": request.get("query", b""),
        "headers": headers,
    }


def _check(exchange: Exchange, request: dict[str, Any]) -> None:
    start, *rest = exchange.sent
    assert start["status"] < 500
    headers = dict(start["headers"])
    assert headers[b"seam-request-id"]
    if headers[b"content-type"] == b"application/json":
        body = json.loads(b"".join(each.get("body", b"") for each in rest))
        assert isinstance(body, dict)
        if start["status"] >= 400:
            assert {"error_code", "message"} == body.keys() or body["error"]["message"]
    if "origin" in request:
        assert start["status"] == 403
