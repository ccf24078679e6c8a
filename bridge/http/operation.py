"""What the HTTP door is made of: operations, each with its handler and all that is told of it.

The routes and the OpenAPI document are both made from these, so neither can say what the other does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from bridge.errors import Objection, Unanswered
from bridge.keys.api_keys import ApiKey, Scope
from bridge.wire import text
from drivers.base import Method

QUESTION_BYTES = 512 * 1024
"""The longest body of a question: a list may name 10,000 attempts."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    method: Method
    """By what means what it does is done."""
    key: ApiKey | None = None
    """What it showed; None for one at the gateway itself, who may do everything."""

    @property
    def locks(self) -> frozenset[str] | None:
        """The locks that it may know of; None for all."""
        return None if self.key is None else self.key.locks


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in."""

    request: Request
    caller: Caller
    body: bytes

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters in the path."""
        return self.request.path_params

    def json(self) -> object:
        """Return the decoded body; that of an empty one is an empty object.

        Raises:
            Unanswered: it is not JSON.
        """
        try:
            return text.decode(self.body or b"{}")
        except ValueError:
            raise Unanswered(Objection.INVALID_INPUT, "The body is not JSON in UTF-8.") from None


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked for."""

    method: Literal["GET", "POST"]
    path: str
    """As Starlette writes it: `/locks/{lock_id}/actions`."""
    handler: Handler
    summary: str
    scope: Scope | None = "read"
    """What a key must allow; None where none is needed."""
    maker: bool = False
    """Whether errors have the device-maker's shape; else they have Seam's."""
    local: bool = False
    """Whether it is there on the Unix socket alone."""
    takes: Any = None
    """The type of its parameters: of the query for GET, of the JSON body for POST."""
    answers: Any = None
    """The type of the answer's JSON; None where it is no JSON that is told of."""
    media_type: str = "application/json"
    limit: int = QUESTION_BYTES
    """Bytes that the body may have."""
    judges_length: bool = False
    """Whether a longer body comes to the handler, cut to one byte more, for the core to refuse and count."""
    statuses: Mapping[int, str] = field(default_factory=dict[int, str])
    """Further answers than 200 and what every operation answers, with what they mean."""
