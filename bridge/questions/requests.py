"""What can be asked, field by field, and the cursor that a list goes on from. Pure.

Rules:
1. A field that is not known is refused: a filter with a typing mistake would otherwise answer with everything.
2. A cursor belongs to the very question whose answer it came with.
3. Every filter of Seam's is known. One by what there is not here, such as a space, lets nothing through.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, Strict, ValidationError, model_validator

from bridge.errors import Objection, Unanswered
from bridge.wire import text

MOST = 500
"""Items on a page; more may be asked for, and come on the next pages."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_PLACE = 18
"""Digits; a place in the journal is a signed 64-bit integer."""


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("it is not a string")  # noqa: TRY004 - what pydantic makes a mistake of
    return text.parse_time(value)


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("it is not a number")  # noqa: TRY004 - as above
    return value


def _said(metadata: dict[str, str | bool | None]) -> dict[str, str | None]:
    """Return metadata as a query says it, in which everything is text."""
    return {
        key: str(value).lower() if isinstance(value, bool) else value for key, value in metadata.items() if value != ""
    }


Id = Annotated[str, Field(min_length=1, max_length=128)]
"""Any identity: the shape of ids is nothing to rely on."""
Ids = Annotated[tuple[Id, ...], Field(max_length=10_000)]
FewIds = Annotated[tuple[Id, ...], Field(max_length=100)]
"""Of what there is one or none of."""
Moment = Annotated[datetime, BeforeValidator(_moment)]
"""RFC 3339 with an offset."""
Limit = Annotated[int, Field(gt=0), BeforeValidator(_number)]
Cursor = Annotated[str, Field(max_length=256)]
Offset = Annotated[int, Field(ge=0), BeforeValidator(_number)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=40)], str | Annotated[bool, Strict()] | None],
    Field(max_length=50),
    AfterValidator(_said),
]
"""What is to stand under each key; null where nothing may, and an empty string says nothing."""


def _any_of(*names: str) -> dict[str, Any]:
    """Return what tells a JSON schema's reader that one of these fields is required, and not null."""
    return {"anyOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]}


class Question(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What every question has in common."""


class ListQuestion(Question, frozen=True):
    """What every question for a list has in common."""

    limit: Limit = MOST
    page_cursor: Cursor | None = None

    @property
    def size(self) -> int:
        """How many items a page holds at most."""
        return min(self.limit, MOST)

    def cursor(self, place: int) -> str:
        """Return the cursor with which this list goes on from a place."""
        return base64.urlsafe_b64encode(f"{self._digest()}:{place}".encode()).decode()

    def place(self, start: int) -> int:
        """Return the place that this page begins at, `start` for the first one.

        Raises:
            Unanswered: the cursor is none, or belongs to another question.
        """
        if self.page_cursor is None:
            return start
        try:
            said = base64.b64decode(self.page_cursor, altchars=b"-_", validate=True).decode("ascii")
        except ValueError:
            raise _unreadable_cursor() from None
        digest, _, place = said.partition(":")
        if not place.isdecimal() or len(place) > _LONGEST_PLACE:
            raise _unreadable_cursor()
        if digest != self._digest():
            raise Unanswered(
                Objection.MISMATCHED_PAGE_PARAMETERS,
                "The page_cursor came with the answer to another question; ask with the same parameters.",
            )
        return int(place)

    def _digest(self) -> str:
        asked = f"{type(self).__name__} {self.model_dump_json(exclude={'page_cursor'})}"
        return hashlib.sha256(asked.encode()).hexdigest()[:16]


class GetActionAttempt(Question, frozen=True):
    """`action_attempts/get`."""

    action_attempt_id: Id


class ListActionAttempts(ListQuestion, frozen=True):
    """`action_attempts/list`."""

    action_attempt_ids: Ids | None = None
    device_id: Id | None = None


class GetLock(Question, frozen=True, json_schema_extra=_any_of("device_id", "name")):
    """`locks/get`."""

    device_id: Id | None = None
    name: Id | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.device_id is None and self.name is None:
            raise ValueError('"device_id" or "name" is required')
        return self


class GetDevice(GetLock, frozen=True):
    """`devices/get`."""


class OthersLocks(Question, frozen=True):
    """Filters by what no lock here has."""

    connect_webview_id: Id | None = None
    customer_key: Id | None = None
    space_id: Id | None = None
    unstable_location_id: Id | None = None
    user_identifier_key: Id | None = None


class ListLocks(ListQuestion, OthersLocks, frozen=True):
    """`locks/list`."""

    device_ids: Ids | None = None
    device_type: Id | None = None
    device_types: Ids | None = None
    manufacturer: Id | None = None
    connected_account_id: Id | None = None
    connected_account_ids: FewIds | None = None
    created_before: Moment | None = None
    custom_metadata_has: Metadata | None = None
    search: Annotated[str, Field(max_length=128)] | None = None

    @property
    def vain(self) -> bool:
        """Whether it asks for what there is not here."""
        return _gives_any(self, OthersLocks)


class ListDevices(ListLocks, frozen=True):
    """`devices/list`."""


class GetEvent(Question, frozen=True, json_schema_extra=_any_of("event_id", "event_type", "device_id")):
    """`events/get`: the one with this identity, or the latest that is like this."""

    event_id: Id | None = None
    event_type: Id | None = None
    device_id: Id | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.event_id is None and self.event_type is None and self.device_id is None:
            raise ValueError('"event_id", "event_type" or "device_id" is required')
        return self


class GetWorkspace(Question, frozen=True):
    """`workspaces/get`."""


class OthersEvents(Question, frozen=True):
    """Filters by what no event here tells of."""

    access_code_id: Id | None = None
    access_code_ids: FewIds | None = None
    access_grant_id: Id | None = None
    access_grant_ids: FewIds | None = None
    access_method_id: Id | None = None
    access_method_ids: FewIds | None = None
    acs_access_group_id: Id | None = None
    acs_credential_id: Id | None = None
    acs_encoder_id: Id | None = None
    acs_entrance_id: Id | None = None
    acs_system_id: Id | None = None
    acs_system_ids: FewIds | None = None
    acs_user_id: Id | None = None
    connect_webview_id: Id | None = None
    customer_key: Id | None = None
    space_id: Id | None = None
    space_ids: FewIds | None = None
    user_identity_id: Id | None = None


class ListEvents(ListQuestion, OthersEvents, frozen=True, json_schema_extra=_any_of("since", "between")):
    """`events/list`."""

    since: Moment | None = None
    between: tuple[Moment, Moment] | None = None
    event_type: Id | None = None
    event_types: Ids | None = None
    device_id: Id | None = None
    device_ids: Ids | None = None
    event_ids: Ids | None = None
    connected_account_id: Id | None = None
    connected_account_ids: FewIds | None = None
    unstable_offset: Offset = 0
    """Events that the first page leaves out."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.since is None and self.between is None:
            raise ValueError('"since" or "between" is required')
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The first moment that is included and the first that no longer is, in seconds of wall time.

        What is asked for lies strictly between, as events are dated: to the millisecond.
        """
        begin, end = self.between or (None, None)
        since = max(_milliseconds(moment) for moment in (self.since, begin) if moment is not None)
        return (math.floor(since) + 1) / 1000, math.inf if end is None else math.ceil(_milliseconds(end)) / 1000

    @property
    def skipped(self) -> int:
        """How many events are passed over; a cursor is beyond them already."""
        return 0 if self.page_cursor is not None else self.unstable_offset

    @property
    def vain(self) -> bool:
        """Whether it asks for what there is not here."""
        return _gives_any(self, OthersEvents)

    @property
    def names_events(self) -> bool:
        """Whether it says which events, by type or identity."""
        return any(given is not None for given in (self.event_type, self.event_types, self.event_ids))


QUESTIONS: Mapping[str, type[Question]] = MappingProxyType(
    {
        "action_attempts/get": GetActionAttempt,
        "action_attempts/list": ListActionAttempts,
        "locks/get": GetLock,
        "locks/list": ListLocks,
        "devices/get": GetDevice,
        "devices/list": ListDevices,
        "events/get": GetEvent,
        "events/list": ListEvents,
        "workspaces/get": GetWorkspace,
    }
)
"""What can be asked, by method, and what each takes."""


def _gives_any(question: Question, filters: type[Question]) -> bool:
    return any(getattr(question, name) is not None for name in filters.model_fields)


def _milliseconds(moment: datetime) -> Fraction:
    """Return wall time since 1970, exactly."""
    return Fraction((moment - _EPOCH) // timedelta(microseconds=1), 1000)


_Q = TypeVar("_Q", bound=Question)


def read(kind: type[_Q], body: object) -> _Q:
    """Read a question; `_strict`, which Seam's clients send, means nothing here.

    Args:
        kind: what is asked.
        body: decoded JSON, or the parameters of a query, in which numbers are text.

    Raises:
        Unanswered: with `invalid_input` and every mistake that was found.
    """
    if not isinstance(body, Mapping):
        raise Unanswered(Objection.INVALID_INPUT, "The question is not a JSON object.")
    fields: dict[Any, Any] = dict(body)  # pyright: ignore[reportUnknownArgumentType] # checked field by field below
    fields.pop("_strict", None)
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        mistakes = {
            tuple(str(part) for part in found["loc"]): found["msg"].removeprefix("Value error, ")
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        }
    raise invalid(mistakes)


def invalid(mistakes: Mapping[tuple[str, ...], str]) -> Unanswered:
    """Return the objection to a question with mistakes; its message names the first one."""
    path, sentence = next(iter(mistakes.items()))
    return Unanswered(Objection.INVALID_INPUT, f"{_named(path)}{sentence}.", mistakes=mistakes)


def _named(path: tuple[str, ...]) -> str:
    return f'"{path[0][:64]}": ' if path else ""


def _unreadable_cursor() -> Unanswered:
    return invalid({("page_cursor",): "it is none that this bridge has given"})
