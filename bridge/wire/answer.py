"""The answers to questions: what was asked for, or why there is none.

Source: Seam API, "Pagination" and "Errors".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from bridge.errors import Unanswered
from bridge.wire import seam, text
from bridge.wire.device import Device

MOST_ERRORS = 20
"""How many mistakes of a question are named."""
LONGEST_NAME = 64
"""Characters of a name in the question that are repeated."""
OVERHEAD = 1024
"""Bytes that are enough for all of a list's answer but its items."""


class Pagination(TypedDict):
    """Where a list goes on."""

    next_page_cursor: str | None
    has_next_page: bool
    next_page_url: str | None


class ActionAttemptAnswer(TypedDict):
    """One attempt."""

    action_attempt: seam.ActionAttempt
    ok: Literal[True]


class ActionAttemptsAnswer(TypedDict):
    """A page of attempts."""

    action_attempts: list[seam.ActionAttempt]
    pagination: Pagination
    ok: Literal[True]


class LockAnswer(TypedDict):
    """One lock, by both of its names."""

    lock: Device
    device: Device
    ok: Literal[True]


class LocksAnswer(TypedDict):
    """Locks, by both of their names; where there are more, where they go on."""

    locks: list[Device]
    devices: list[Device]
    pagination: NotRequired[Pagination]
    ok: Literal[True]


class DeviceAnswer(TypedDict):
    """One device."""

    device: Device
    ok: Literal[True]


class DevicesAnswer(TypedDict):
    """A page of devices."""

    devices: list[Device]
    pagination: Pagination
    ok: Literal[True]


class EventAnswer(TypedDict):
    """One event, as it was published."""

    event: dict[str, Any]
    ok: Literal[True]


class EventsAnswer(TypedDict):
    """Events, as they were published; where there are more, where they go on."""

    events: list[dict[str, Any]]
    pagination: NotRequired[Pagination]
    ok: Literal[True]


class WorkspaceAnswer(TypedDict):
    """The workspace."""

    workspace: seam.Workspace
    ok: Literal[True]


class Error(TypedDict):
    """Why a question is not answered."""

    type: str
    message: str
    validation_errors: NotRequired[dict[str, Any]]
    data: NotRequired[dict[str, Any]]
    request_id: str


class ErrorBody(TypedDict):
    """The answer that is none."""

    error: Error
    ok: Literal[False]


def error(reason: Unanswered, request_id: str) -> ErrorBody:
    """Build the answer to a question that is not answered."""
    body: Error = {"type": reason.objection.value, "message": reason.message, "request_id": request_id}
    if reason.mistakes:
        body["validation_errors"] = validation_errors(reason.mistakes)
    if reason.data:
        body["data"] = dict(reason.data)
    return {"error": body, "ok": False}


def validation_errors(mistakes: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    """Build the tree of mistakes: by the name of a field, then by the place in its list; each has its `_errors`."""
    tree: dict[str, Any] = {"_errors": []}
    for path, sentence in list(mistakes.items())[:MOST_ERRORS]:
        node = tree
        for name in path:
            node = node.setdefault(name[:LONGEST_NAME], {"_errors": []})
        node["_errors"].append(sentence)
    return tree


def pagination(cursor: str | None) -> Pagination:
    """Build what tells of the next page; None if this is the last one."""
    return {"next_page_cursor": cursor, "has_next_page": cursor is not None, "next_page_url": None}


def fitting(items: Sequence[object], room: int) -> int:
    """Count the items that an answer of `room` bytes can hold; one at least, or a list would never end."""
    left = room - OVERHEAD
    for number, item in enumerate(items):
        left -= len(text.encode(item)) + 1
        if left < 0:
            return max(1, number)
    return len(items)
