"""The HTTP application: from a request to its operation, and every answer in one of the door's shapes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.errors import Code, Refused, StorageUnavailable, Unanswered
from bridge.http import answers
from bridge.http.answers import REQUEST_ID, Problem
from bridge.http.guard import Guard
from bridge.http.operation import Call, Caller, Operation
from bridge.questions import unanswered
from bridge.service.progress import Progress
from drivers.base import Method

log = structlog.get_logger()

ANSWER_TIME = 180.0
"""Seconds in which an operation must have its answer. The longest wait that a client can ask for is 60."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The operations of one path, by their method."""

    route: Route
    operations: dict[str, Operation]

    @property
    def maker(self) -> bool:
        return any(operation.maker for operation in self.operations.values())

    @property
    def open(self) -> bool:
        return all(operation.scope is None for operation in self.operations.values())


class Application:
    """Answers requests at one door.

    Args:
        operations: what can be asked for there.
        guard: says by whom.
        progress: is told of each operation.
        more: further routes, which answer for themselves and wait for people.
    """

    def __init__(
        self, operations: Sequence[Operation], guard: Guard, progress: Progress, more: Sequence[Route] = ()
    ) -> None:
        self._guard = guard
        self._progress = progress
        self._more = more
        self._places: dict[str, _Place] = {}
        for operation in sorted(operations, key=lambda operation: "{" in operation.path):  # plain paths are found first
            route = Route(operation.path, _nothing)
            place = self._places.setdefault(operation.path, _Place(route, {}))
            place.operations[operation.method] = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        place = self._find(scope)
        maker = place is not None and place.maker
        answer: ASGIApp
        try:
            answer = await self._answer(request, place)
        except ClientDisconnect:
            return
        except Problem as problem:
            answer = answers.problem(
                problem.status, problem.kind, problem.message, as_maker=maker, headers=problem.headers
            )
        except Refused as refusal:
            answer = answers.refused(refusal, as_maker=maker)
        except Unanswered as reason:
            answer = answers.answered(unanswered(reason))
        except StorageUnavailable as error:
            log.warning("request not answered", path=scope["path"][:200], reason=str(error))
            unavailable = Refused(Code.STORAGE_UNAVAILABLE, "The bridge cannot use its journal now; ask again later.")
            answer = answers.refused(unavailable, as_maker=maker)
        except Exception:  # whatever it is, its client gets an answer and the log the reason
            log.exception("request failed", path=scope["path"][:200])
            answer = answers.problem(500, "internal_error", "The bridge failed to answer.", as_maker=maker)
        sender = _Sender(send)
        try:
            await answer(scope, receive, sender)
        except Exception:  # a route that answers for itself failed at it
            if sender.begun:
                raise
            log.exception("request failed", path=scope["path"][:200])
            failure = answers.problem(500, "internal_error", "The bridge failed to answer.", as_maker=True)
            await failure(scope, receive, sender)

    def _find(self, scope: Scope) -> _Place | None:
        for place in self._places.values():
            match, more = place.route.matches(scope)
            if match is not Match.NONE:
                scope.update(more)
                return place
        return None

    async def _answer(self, request: Request, place: _Place | None) -> ASGIApp:
        self._guard.check_source(request)
        caller = Caller(Method.UNKNOWN) if place is not None and place.open else self._guard.caller(request)
        if place is None:
            return self._elsewhere(request.scope)
        operation = place.operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            raise _not_allowed(place.operations)
        if caller.key is not None and operation.scope is not None and not caller.key.allows(operation.scope):
            raise Problem(403, "insufficient_scope", f"This API key does not allow to {operation.scope}.")
        body = await _body(request, operation)
        if caller.key is not None:
            caller = self._guard.caller(request)  # it may have been revoked while the body was held back
        with self._progress.expected(f"{operation.method} {operation.path}", within=ANSWER_TIME):
            return await operation.handler(Call(request, caller, body))

    def _elsewhere(self, scope: Scope) -> ASGIApp:
        """Return the route that answers for itself."""
        allowed: set[str] = set()
        for route in self._more:
            match, more = route.matches(scope)
            if match is Match.FULL:
                scope.update(more)
                return route.handle
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
        if allowed:
            raise _not_allowed(allowed)
        raise Problem(404, "not_found", "There is no such path.")


async def _body(request: Request, operation: Operation) -> bytes:
    """Return the body.

    Raises:
        Problem: it is no JSON, or too long.
    """
    if operation.method == "GET":
        return b""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > operation.limit:
            if operation.judges_length:
                break
            raise Problem(413, "payload_too_large", f"The body has more than {operation.limit} bytes.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/json":  # axios names a form where there is no body at all
        raise Problem(415, "unsupported_media_type", "The body must be JSON, with Content-Type: application/json.")
    return bytes(body[: operation.limit + 1])


def _not_allowed(methods: Iterable[str]) -> Problem:
    allow = ", ".join(sorted(methods))
    return Problem(405, "method_not_allowed", f"Here may be used: {allow}.", {"allow": allow})


class _Sender:
    """Gives every answer a request id, also of routes that answer for themselves, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            headers.setdefault(REQUEST_ID, str(uuid.uuid4()))
            headers.setdefault("x-content-type-options", "nosniff")
        await self._send(message)


async def _nothing(_request: Request) -> Response:
    """Stand for what is found by its path and then answered by its operation."""
    return Response(status_code=500)
