"""Answers as they go over HTTP: JSON, always with a request id, and errors in one of two shapes.

The Seam face has Seam's errors; the device-maker face has `error_code` and `message`, with names of ours where it is
not a command that is refused.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from bridge.errors import Code, Refused
from bridge.questions import Answer
from bridge.wire import maker, text

REQUEST_ID = "seam-request-id"
"""The header that every answer has."""


class Problem(Exception):
    """A request is turned away before any operation sees it."""

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        """In lower case, such as `unauthorized`."""
        self.message = message
        self.headers = headers


def json(body: object, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Return an answer in JSON."""
    return Response(
        text.encode(body),
        status,
        {REQUEST_ID: str(uuid.uuid4()), "cache-control": "no-store", **headers},
        media_type="application/json",
    )


def problem(
    status: int,
    kind: str,
    message: str,
    *,
    as_maker: bool = False,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """Return the answer to a request that is turned away."""
    request_id = str(uuid.uuid4())
    body: dict[str, Any] = {"error": {"type": kind, "message": message, "request_id": request_id}, "ok": False}
    if as_maker:
        body = {"error_code": kind.upper(), "message": message}
    return json(body, status, {REQUEST_ID: request_id, **headers})


def answered(answer: Answer) -> Response:
    """Return the answer to a question."""
    return json(answer.body, answer.status, {REQUEST_ID: answer.request_id})


def refused(refusal: Refused, *, as_maker: bool) -> Response:
    """Return the answer to a command that is not taken."""
    status = STATUSES[refusal.code]
    wait = {} if refusal.retry_after is None else {"retry-after": str(max(1, math.ceil(refusal.retry_after)))}
    if as_maker:
        return json(maker.rejected(refusal), status, wait)
    return problem(status, refusal.code.value.lower(), refusal.message, headers=wait)


STATUSES: Mapping[Code, int] = MappingProxyType(
    {
        Code.RETAINED_COMMAND: 400,
        Code.INVALID_REQUEST: 400,
        Code.INVALID_ACTION: 400,
        Code.COMMAND_EXPIRED: 400,
        Code.CLOCK_NOT_TRUSTED: 400,
        Code.EXPIRY_REQUIRED: 400,
        Code.ACTION_NOT_ALLOWED: 403,
        Code.SIGNATURE_REQUIRED: 403,
        Code.SIGNATURE_INVALID: 403,
        Code.LOCK_NOT_FOUND: 404,
        Code.ACTION_NOT_SUPPORTED: 409,
        Code.DEVICE_BUSY: 409,
        Code.DEVICE_OFFLINE: 409,
        Code.BRIDGE_OFFLINE: 409,
        Code.LOCK_JAMMED: 409,
        Code.BOLT_OBSTRUCTED: 409,
        Code.RATE_LIMITED: 429,
        Code.STORAGE_UNAVAILABLE: 503,
    }
)
"""The status of each refusal."""
