"""The Seam face: what Seam's own clients ask of `connect.getseam.com`, asked of this bridge.

Clients of version 3 ask by GET, older ones by POST; both are answered alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import anyio
from pydantic import Strict
from starlette.responses import Response

from bridge.errors import Code, Objection, Refused, Unanswered
from bridge.http import answers, queries
from bridge.http.faces.commands import give_plainly
from bridge.http.operation import Call, Operation
from bridge.questions import Answer
from bridge.questions.requests import QUESTIONS, Id, Question, read
from bridge.tasks import METHODS as TASKS
from bridge.tasks import UNSUPPORTED
from bridge.wire import answer as wire
from bridge.wire import seam
from drivers.base import Action

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge

COMMAND_BYTES = 8 * 1024
"""The longest body of what moves something."""
LONGEST_URL = 4000
"""Characters of a `next_page_url`; where it would be longer, there is the cursor alone."""

_MALFORMED = "The parameters are malformed"
_VERBS: tuple[Literal["GET", "POST"], ...] = ("GET", "POST")


class OperateDoor(Question, frozen=True):
    """`locks/lock_door` and `locks/unlock_door`."""

    device_id: Id
    sync: Annotated[bool, Strict()] | None = None
    """Means nothing here: the answer is always the attempt as it stands at once."""


_ANSWERS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "action_attempts/get": ("Get an action attempt", wire.ActionAttemptAnswer),
        "action_attempts/list": ("List action attempts", wire.ActionAttemptsAnswer),
        "locks/get": ("Get a lock", wire.LockAnswer),
        "locks/list": ("List locks", wire.LocksAnswer),
        "devices/get": ("Get a device", wire.DeviceAnswer),
        "devices/list": ("List devices", wire.DevicesAnswer),
        "events/get": ("Get an event", wire.EventAnswer),
        "events/list": ("List events", wire.EventsAnswer),
        "workspaces/get": ("Get the workspace", wire.WorkspaceAnswer),
    }
)
"""What each question is, and what it is answered with."""


def operations(bridge: Bridge) -> list[Operation]:
    """Return what can be asked for."""
    turn = anyio.Lock()  # one question uses the journal at a time, so that commands wait for one at most
    return [
        *(_question(bridge, name, verb, turn) for name in QUESTIONS for verb in _VERBS),
        _door(bridge, "locks/lock_door", "Lock a door", Action.LOCK),
        _door(bridge, "locks/unlock_door", "Unlock a door", Action.UNLOCK),
        *(_task(bridge, name) for name in (*TASKS, *UNSUPPORTED)),
    ]


def _question(bridge: Bridge, name: str, verb: Literal["GET", "POST"], turn: anyio.Lock) -> Operation:
    kind = QUESTIONS[name]

    async def ask(call: Call) -> Response:
        body = queries.fields(kind, call.request.query_params.multi_items()) if verb == "GET" else call.json()
        async with turn:
            answer = await bridge.questions.answer(name, body, known=call.caller.locks)
        return answers.answered(_with_url(answer, call, body))

    summary, shape = _ANSWERS[name]
    statuses = {400: _MALFORMED, 404: "There is none", 503: "The bridge cannot read its journal"}
    return Operation(verb, f"/{name}", ask, summary, takes=kind, answers=shape, statuses=statuses)


def _door(bridge: Bridge, name: str, summary: str, action: Action) -> Operation:
    async def operate(call: Call) -> Response:
        asked = read(OperateDoor, call.json())
        try:
            lock_id = bridge.questions.lock_id(asked.device_id)
        except Unanswered:
            lock_id = asked.device_id  # the core refuses it, and counts that it did
        try:
            receipt = await give_plainly(bridge, call.caller, lock_id, action)
        except Refused as refusal:
            if refusal.code is not Code.LOCK_NOT_FOUND:
                raise
            raise Unanswered(
                Objection.DEVICE_NOT_FOUND, "There is no such device.", data={"device_id": asked.device_id}
            ) from None
        return answers.json({"action_attempt": seam.action_attempt(receipt.attempt), "ok": True})

    return Operation(
        "POST",
        f"/{name}",
        operate,
        summary,
        scope="operate",
        takes=OperateDoor,
        answers=wire.ActionAttemptAnswer,
        limit=COMMAND_BYTES,
        statuses={
            400: _MALFORMED,
            403: "The lock's configuration does not allow it, or wants it signed",
            404: "There is no such device",
            409: "The lock cannot do it, or has too many commands waiting",
            503: "The bridge cannot write its journal",
        },
    )


def _task(bridge: Bridge, name: str) -> Operation:
    async def take(call: Call) -> Response:
        answer = await bridge.tasks.answer(name, call.json(), call.caller.method, locks=call.caller.locks)
        return answers.answered(answer)

    supported = name in TASKS
    return Operation(
        "POST",
        f"/{name}",
        take,
        name.rpartition("/")[2].replace("_", " ").capitalize() + ("" if supported else ": not supported"),
        scope="operate",
        takes=TASKS.get(name),
        answers=wire.ActionAttemptAnswer if supported else None,
        limit=COMMAND_BYTES,
        statuses={
            400: _MALFORMED,
            403: "It is not allowed",
            404: "There is no such device",
            409: "It is not supported, or not possible now",
            503: "The bridge cannot write its journal",
        }
        if supported
        else {409: "It is not supported"},
    )


def _with_url(answer: Answer, call: Call, asked: object) -> Answer:
    """Add to a page where the next one is, as a URL."""
    pagination = answer.body.get("pagination")
    if not pagination or not pagination["has_next_page"]:
        return answer
    same = {name: value for name, value in cast("dict[str, Any]", asked).items() if name != "_strict"}
    query = queries.query({**same, "page_cursor": pagination["next_page_cursor"]})
    url = str(call.request.url.replace(query=query))
    if len(url) > LONGEST_URL:
        return answer
    return replace(answer, body={**answer.body, "pagination": {**pagination, "next_page_url": url}})
