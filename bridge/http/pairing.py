"""Scanning and pairing through the running bridge, which owns the radio. On the Unix socket alone.

What takes a while is told line by line (NDJSON); the last line says how it ended: `{"step": "done", …}`, the last step
of `bridge.pairing`, or `{"step": "failed", "message", "wrong_usage"}`. A client that goes away calls it off.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
import structlog
from anyio import to_thread
from anyio.streams.memory import MemoryObjectSendStream
from pydantic import BaseModel, Field, Secret, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bridge import catalog
from bridge.config import fields
from bridge.config.mistakes import ConfigError
from bridge.errors import BridgeError, Code, Refused, WrongUsage
from bridge.http import answers
from bridge.pairing import Pairing, Step, brought, request, subject
from bridge.sightings import all_drivers, sightings
from bridge.wire import text
from drivers.base import DriverError

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge

log = structlog.get_logger()

BODY_BYTES = 4096
"""The longest body."""
LONGEST_SCAN = 3600.0
"""Seconds."""
NOWHERE = "00:00:00:00:00:00"
"""An address that no lock has: a radio that cannot be used says so to who wants to connect to it."""

Tell = Callable[[dict[str, Any]], None]
Q = TypeVar("Q", bound="_Question")


class _Question(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What all bodies have in common."""


class Scan(_Question, frozen=True):
    """The body of `/bridge/scan`."""

    seconds: float = Field(default=15, gt=0, le=LONGEST_SCAN, allow_inf_nan=False)


class Pair(_Question, frozen=True):
    """The body of `/bridge/pair`."""

    driver: str
    address: fields.Mac | None = None
    lock_id: fields.Name | None = None
    pin: Secret[Annotated[str, Field(pattern="^[0-9]{1,10}$")]] | None = None
    as_bridge: bool = False
    key: dict[str, Secret[str]] | None = None
    """Each part of a key that the owner brought, by its name."""


class Unpair(_Question, frozen=True):
    """The body of `/bridge/unpair`."""

    lock_id: fields.Name


def routes(bridge: Bridge) -> list[Route]:
    """Return the routes."""
    return [
        Route("/bridge/scan", partial(_told, Scan, partial(_scan, bridge)), methods=["POST"]),
        Route("/bridge/pair", partial(_told, Pair, partial(_pair, bridge)), methods=["POST"]),
        Route("/bridge/unpair", partial(_told, Unpair, partial(_unpair, bridge)), methods=["POST"]),
        Route("/bridge/take-up", partial(_take_up, bridge), methods=["POST"]),
    ]


async def _scan(bridge: Bridge, question: Scan, tell: Tell) -> dict[str, Any]:
    drivers, missing = await to_thread.run_sync(all_drivers)
    for reason in missing:
        tell({"step": "missing", "message": reason})
    configured = {lock.address: lock.id for lock in bridge.roster.locks}
    await _check_radio(bridge)
    async with bridge.radio.advertisements() as advertisements:
        with anyio.move_on_after(question.seconds):
            async for lock in sightings(advertisements, drivers, configured):
                tell({"step": "sighted", "lock": lock.told()})
    return {"step": "done"}


async def _pair(bridge: Bridge, question: Pair, tell: Tell) -> dict[str, Any]:
    driver = await to_thread.run_sync(catalog.load, question.driver)
    lock = subject(bridge.roster.locks, driver, question.address, question.lock_id)
    pin = None if question.pin is None else int(question.pin.get_secret_value())
    parts = None if question.key is None else {name: part.get_secret_value() for name, part in question.key.items()}
    key = brought(lock, parts)
    asked = request(bridge.config, pin, as_bridge=question.as_bridge)
    await _check_radio(bridge)
    with bridge.roster.ready_to_pair():
        paired = await _pairing(bridge).pair(lock, asked, _steps(tell), key)
    return paired.step().told()


async def _unpair(bridge: Bridge, question: Unpair, tell: Tell) -> dict[str, Any]:
    known = next((lock for lock in bridge.roster.locks if lock.id == question.lock_id), None)
    if known is None:
        raise Refused(Code.LOCK_NOT_FOUND, f"This bridge has no lock {question.lock_id!r}.")
    driver = await to_thread.run_sync(catalog.load, known.driver)
    lock = subject(bridge.roster.locks, driver, known.address, known.id)
    last = await _pairing(bridge).unpair(lock, known.id, _steps(tell))
    bridge.roster.rekey(known.id)
    return last.told()


async def _take_up(bridge: Bridge, _request: Request) -> Response:
    try:
        return answers.json(asdict(await bridge.roster.take_up()))
    except (ConfigError, PermissionError) as error:
        refusal = Refused(Code.INVALID_REQUEST, f"The configuration cannot be read again: {error}")
        return answers.refused(refusal, as_maker=True)


def _pairing(bridge: Bridge) -> Pairing:
    @asynccontextmanager
    async def lent(lock_id: str) -> AsyncGenerator[None]:
        async with bridge.workers[lock_id].lent():
            yield

    def kept(lock_id: str) -> None:
        if lock_id in bridge.workers:
            bridge.roster.rekey(lock_id)

    return Pairing(bridge.radio, bridge.roster.locks, bridge.roster.keys, lent, kept)


async def _check_radio(bridge: Bridge) -> None:
    """See that the radio can be used.

    Raises:
        RadioDown: it cannot.
    """
    if not bridge.radio.usable:
        await bridge.radio.connect(NOWHERE, within=0)


def _steps(tell: Tell) -> Callable[[Step], None]:
    return lambda step: tell(step.told())


async def _told(kind: type[Q], work: Callable[[Q, Tell], Awaitable[dict[str, Any]]], asked: Request) -> Response:
    """Answer with a line for each thing that is told."""
    try:
        question = await _read(kind, asked)
    except Refused as refusal:
        return answers.refused(refusal, as_maker=True)
    return _Lines(partial(work, question))


async def _read(kind: type[Q], asked: Request) -> Q:
    body = b""
    async for part in asked.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise Refused(Code.INVALID_REQUEST, f"The body is longer than {BODY_BYTES} bytes.")
    try:
        return kind.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        mistake = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, mistake["loc"])) or "the body"
        raise Refused(Code.INVALID_REQUEST, f"{where}: {mistake['msg']}.") from None


class _Lines(Response):
    """An answer that is told while the work goes on; the work ends when nobody listens any more."""

    media_type = "application/x-ndjson"

    def __init__(self, work: Callable[[Tell], Awaitable[dict[str, Any]]]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and tell of it."""
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        lines, told = anyio.create_memory_object_stream[dict[str, Any]](math.inf)
        with lines, told:
            async with anyio.create_task_group() as group:
                group.start_soon(_until_gone, receive, group.cancel_scope)
                group.start_soon(self._do, lines.clone())
                lines.close()
                async for line in told:
                    await send({"type": "http.response.body", "body": text.encode(line) + b"\n", "more_body": True})
                await send({"type": "http.response.body", "body": b""})
                group.cancel_scope.cancel()

    async def _do(self, lines: MemoryObjectSendStream[dict[str, Any]]) -> None:
        with lines:
            try:
                last = await self._work(lines.send_nowait)
            except (BridgeError, DriverError) as error:
                wrong = isinstance(error, WrongUsage | catalog.DriverMissing)
                last = {"step": "failed", "message": str(error), "wrong_usage": wrong}
            except Exception:  # whatever it is, its client gets an answer and the log the reason
                log.exception("request failed")
                last = {"step": "failed", "message": "The bridge failed at this; see its log.", "wrong_usage": False}
            lines.send_nowait(last)


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
