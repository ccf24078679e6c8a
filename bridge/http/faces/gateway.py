"""What the command line asks for, on the Unix socket alone."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import anyio
from pydantic import Field
from starlette.responses import Response

from bridge import __version__
from bridge.errors import Objection, Unanswered
from bridge.http import answers, queries
from bridge.http.operation import Call, Operation
from bridge.journal import Sought
from bridge.questions.requests import Id, Moment, Question, read
from bridge.wire import gateway as wire

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge
    from bridge.model import Event

LONGEST_WAIT = 60.0
"""Seconds for which events that are yet to come are waited for."""


class ListAttempts(Question, frozen=True):
    """`/bridge/attempts`."""

    lock_id: Id | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 20


class FollowEvents(Question, frozen=True):
    """`/bridge/events`."""

    after: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Only events from beyond this place, oldest first; without it the latest."""
    since: Moment | None = None
    lock_id: Id | None = None
    limit: Annotated[int, Field(ge=0, le=500)] = 100
    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 0.0
    """Seconds for which to wait for one if there is none yet."""


def operations(bridge: Bridge) -> list[Operation]:
    """Return what can be asked for."""
    begun = anyio.current_time()

    async def status(_call: Call) -> Response:
        return answers.json(
            {
                "bridge_id": bridge.identity.bridge_id,
                "version": __version__,
                "pid": os.getpid(),
                "uptime_s": int(anyio.current_time() - begun),
                "clock_trusted": bridge.clock.trusted(),
                "mqtt": {"connected": bridge.outbox.serving},
                "radio": {"usable": bridge.radio.usable},
                "locks": len(bridge.workers),
            }
        )

    async def list_locks(_call: Call) -> Response:
        return answers.json({"locks": [bridge.states.device(lock_id) for lock_id in bridge.workers]})

    async def get_lock(call: Call) -> Response:
        lock_id = bridge.questions.lock_id(call.path["lock_id"])
        return answers.json(bridge.states.device(lock_id))

    async def list_attempts(call: Call) -> Response:
        asked = read(ListAttempts, queries.fields(ListAttempts, call.request.query_params.multi_items()))
        lock_ids = None if asked.lock_id is None else [bridge.questions.lock_id(asked.lock_id)]
        found = await bridge.journal.search.attempts(lock_ids, 10**18, asked.limit)
        return answers.json({"attempts": [wire.attempt(each) for each in found]})

    async def get_attempt(call: Call) -> Response:
        found = await bridge.journal.search.attempt(call.path["attempt_id"].lower())
        if found is None:
            raise Unanswered(
                Objection.ACTION_ATTEMPT_NOT_FOUND, "There is no such action attempt; attempts are kept for 30 days."
            )
        return answers.json(wire.attempt(found))

    async def follow_events(call: Call) -> Response:
        asked = read(FollowEvents, queries.fields(FollowEvents, call.request.query_params.multi_items()))
        newest = await bridge.journal.search.latest_events(Sought(), 1) if asked.after is None else []
        beyond = newest[-1].seq if newest else asked.after or 0
        found = await _events(bridge, asked)
        if not found and asked.wait:
            found = await _next_events(bridge, asked, call)
        last = found[-1].seq if found else beyond
        return answers.json({"events": [wire.event(each) for each in found], "last": last})

    return [
        Operation("GET", "/bridge/status", status, "How the bridge is", local=True),
        Operation("GET", "/bridge/locks", list_locks, "The locks as they stand", local=True),
        Operation("GET", "/bridge/locks/{lock_id}", get_lock, "A lock as it stands", local=True),
        Operation("GET", "/bridge/attempts", list_attempts, "The latest attempts", local=True),
        Operation("GET", "/bridge/attempts/{attempt_id}", get_attempt, "An attempt", local=True),
        Operation("GET", "/bridge/events", follow_events, "Events, and the next one once it comes", local=True),
    ]


async def _events(bridge: Bridge, asked: FollowEvents) -> list[Event]:
    sought = Sought() if asked.since is None else Sought(since=asked.since.timestamp())
    if asked.lock_id is not None:
        sought = replace(sought, lock_ids=[bridge.questions.lock_id(asked.lock_id)])
    if asked.after is None:
        return await bridge.journal.search.latest_events(sought, asked.limit)
    return await bridge.journal.search.events(sought, asked.after, asked.limit)


async def _next_events(bridge: Bridge, asked: FollowEvents, call: Call) -> list[Event]:
    """Wait until there are some, until the time is over, or until nobody waits any more."""
    found: list[Event] = []

    async def watch(scope: anyio.CancelScope) -> None:
        while (await call.request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    with bridge.bell.another() as bell:
        async with anyio.create_task_group() as group:
            group.cancel_scope.deadline = anyio.current_time() + asked.wait
            group.start_soon(watch, group.cancel_scope)
            while not (found := await _events(bridge, asked)):
                await bell.wait()
            group.cancel_scope.cancel()
    return found
