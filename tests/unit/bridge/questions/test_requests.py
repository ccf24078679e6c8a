"""What can be asked, and where a list goes on."""

import base64
import inspect
import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seam.routes.action_attempts import AbstractActionAttempts
from seam.routes.devices import AbstractDevices
from seam.routes.events import AbstractEvents
from seam.routes.locks import AbstractLocks

from bridge.errors import Objection, Unanswered
from bridge.questions.requests import (
    MOST,
    QUESTIONS,
    GetActionAttempt,
    GetEvent,
    GetLock,
    ListActionAttempts,
    ListEvents,
    ListLocks,
    OthersEvents,
    OthersLocks,
    read,
)
from bridge.wire import answer, text

KINDS = (GetActionAttempt, GetLock, ListActionAttempts, ListEvents, ListLocks)
SINCE = "2026-01-31T12:00:00Z"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({name for kind in KINDS for name in kind.model_fields})


def objection(kind, body):
    with pytest.raises(Unanswered) as caught:
        read(kind, body)
    return caught.value


class TestReading:
    def test_an_empty_question_for_a_list_asks_for_all(self):
        assert read(ListActionAttempts, {}) == ListActionAttempts(limit=500)
        assert read(ListLocks, {"_strict": True}) == ListLocks()

    @pytest.mark.parametrize("body", [{"device_id": "x"}, {"name": "x"}, {"device_id": "x", "name": "y"}])
    def test_a_lock_is_asked_for_by_its_id_or_its_name(self, body):
        assert read(GetLock, body).model_dump(exclude_none=True) == body

    @pytest.mark.parametrize("name", ["event_id", "event_type", "device_id"])
    def test_an_event_is_asked_for_by_its_identity_or_what_it_is_like(self, name):
        assert read(GetEvent, {name: "x"}).model_dump(exclude_none=True) == {name: "x"}

    @pytest.mark.parametrize(("limit", "size"), [(1, 1), (MOST, MOST), (MOST + 1, MOST), ("7", 7), (10**30, MOST)])
    def test_a_page_has_an_end(self, limit, size):
        assert read(ListLocks, {"limit": limit}).size == size

    @pytest.mark.parametrize("body", [None, [], "text", 7, [["limit", 1]]])
    def test_only_an_object_is_a_question(self, body):
        assert objection(ListLocks, body).objection is Objection.INVALID_INPUT

    @pytest.mark.parametrize(
        ("kind", "body", "path"),
        [
            (GetActionAttempt, {}, ("action_attempt_id",)),
            (GetActionAttempt, {"action_attempt_id": None}, ("action_attempt_id",)),
            (GetActionAttempt, {"action_attempt_id": ""}, ("action_attempt_id",)),
            (GetActionAttempt, {"action_attempt_id": "x" * 129}, ("action_attempt_id",)),
            (GetActionAttempt, {"action_attempt_id": "x", "sync": True}, ("sync",)),
            (ListActionAttempts, {"limit": 0}, ("limit",)),
            (ListActionAttempts, {"limit": -1}, ("limit",)),
            (ListActionAttempts, {"limit": True}, ("limit",)),
            (ListActionAttempts, {"limit": "many"}, ("limit",)),
            (ListActionAttempts, {"action_attempt_ids": "x"}, ("action_attempt_ids",)),
            (ListActionAttempts, {"action_attempt_ids": ["x", 7]}, ("action_attempt_ids", "1")),
            (ListActionAttempts, {"device_id": "\ud800"}, ("device_id",)),
            (GetLock, {}, ()),
            (GetEvent, {}, ()),
            (ListEvents, {}, ()),
            (ListEvents, {"since": 0}, ("since",)),
            (ListEvents, {"since": "yesterday"}, ("since",)),
            (ListEvents, {"since": "2026-01-31T12:00:00"}, ("since",)),
            (ListEvents, {"between": [SINCE]}, ("between", "1")),
            (ListEvents, {"since": SINCE, "unstable_offset": -1}, ("unstable_offset",)),
            (ListLocks, {"created_before": "tomorrow"}, ("created_before",)),
            (ListLocks, {"custom_metadata_has": "front"}, ("custom_metadata_has",)),
        ],
    )
    def test_each_mistake_is_named_by_its_field(self, kind, body, path):
        found = objection(kind, body)
        assert found.objection is Objection.INVALID_INPUT
        assert list(found.mistakes) == [path]
        assert found.message.startswith(f'"{path[0]}": ' if path else '"')

    def test_every_mistake_is_found(self):
        found = objection(ListActionAttempts, {"limit": 0, "device_id": 1, "colour": "red"})
        assert set(found.mistakes) == {("limit",), ("device_id",), ("colour",)}

    @given(st.sampled_from(KINDS), JSON | st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON, max_size=4))
    def test_whatever_is_asked_is_read_or_answered(self, kind, body):
        try:
            read(kind, body)
        except Unanswered as reason:
            text.encode(answer.error(reason, "r1"))


class TestWhatSeamKnows:
    @pytest.mark.parametrize("client", [AbstractEvents, AbstractDevices, AbstractLocks, AbstractActionAttempts])
    @pytest.mark.parametrize("verb", ["list", "get"])
    def test_every_parameter_of_its_client_is_known(self, client, verb):
        parameters = inspect.signature(getattr(client, verb)).parameters.keys() - {"self", "wait_for_action_attempt"}
        name = client.__name__.removeprefix("Abstract").replace("ActionAttempts", "action_attempts").lower()
        assert parameters <= QUESTIONS[f"{name}/{verb}"].model_fields.keys()

    @pytest.mark.parametrize("name", OthersLocks.model_fields)
    def test_who_asks_for_locks_by_what_there_is_not_asks_in_vain(self, name):
        assert read(ListLocks, {name: "x"}).vain
        assert not read(ListLocks, {name: None}).vain

    @pytest.mark.parametrize("name", OthersEvents.model_fields)
    def test_who_asks_for_events_by_what_there_is_not_asks_in_vain(self, name):
        value = ["x"] if name.endswith("s") else "x"
        assert read(ListEvents, {"since": SINCE, name: value}).vain
        assert not read(ListEvents, {"since": SINCE, name: None}).vain

    def test_metadata_are_text(self):
        asked = {"a": "x", "b": True, "c": False, "d": None, "e": ""}
        told = read(ListLocks, {"custom_metadata_has": asked}).custom_metadata_has
        assert told == {"a": "x", "b": "true", "c": "false", "d": None}


class TestBounds:
    """Events are dated to the millisecond, and what is asked for lies strictly between."""

    MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1))  # noqa: DTZ001 - hypothesis adds the zone

    @given(MOMENTS, MOMENTS)
    def test_the_first_moment_is_one_that_is_shown_as_later(self, since, dated):
        shown = dated.replace(microsecond=dated.microsecond // 1000 * 1000)
        first, end = ListEvents(since=since).bounds
        assert (dated.timestamp() >= first) == (shown > since)
        assert end == math.inf

    @given(MOMENTS, MOMENTS)
    def test_the_last_moment_is_one_that_is_shown_as_earlier(self, until, dated):
        shown = dated.replace(microsecond=dated.microsecond // 1000 * 1000)
        _, end = ListEvents(between=(datetime(1970, 1, 1, tzinfo=UTC), until)).bounds
        assert (dated.timestamp() < end) == (shown < until)

    def test_both_bounds_hold(self):
        noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
        hour = timedelta(hours=1)
        asked = ListEvents(since=noon, between=(noon - hour, noon + hour))
        assert asked.bounds == (noon.timestamp() + 0.001, (noon + hour).timestamp())

    @pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00"])
    def test_the_ends_of_time_can_be_asked_for(self, moment):
        assert read(ListEvents, {"since": moment}).bounds


class TestNaming:
    @pytest.mark.parametrize("fields", [{"event_type": "x"}, {"event_types": ["x"]}, {"event_ids": ["x"]}])
    def test_events_are_named_by_type_or_identity(self, fields):
        assert read(ListEvents, {"since": SINCE, **fields}).names_events

    def test_and_by_nothing_else(self):
        assert not read(ListEvents, {"since": SINCE, "device_id": "x"}).names_events


class TestCursor:
    @given(st.integers(0, 10**18 - 1), st.integers(1, 1000))
    def test_it_leads_back_to_its_place(self, place, limit):
        cursor = ListLocks(limit=limit).cursor(place)
        assert read(ListLocks, {"limit": limit, "page_cursor": cursor, "_strict": True}).place(0) == place

    def test_without_one_a_list_begins_at_its_start(self):
        assert ListLocks().place(5) == 5

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            (ListActionAttempts, {"limit": 3}),
            (ListActionAttempts, {"device_id": "x"}),
            (ListActionAttempts, {"action_attempt_ids": []}),
            (ListLocks, {}),
        ],
    )
    def test_it_belongs_to_its_question(self, kind, body):
        cursor = ListActionAttempts().cursor(1)
        with pytest.raises(Unanswered) as caught:
            read(kind, {**body, "page_cursor": cursor}).place(0)
        assert caught.value.objection is Objection.MISMATCHED_PAGE_PARAMETERS

    @pytest.mark.parametrize(
        "said", ["", "nothing", "{digest}", "{digest}:", "{digest}:-1", "{digest}:x", "{digest}:" + "9" * 19]
    )
    def test_what_is_none_is_told(self, said):
        digest = base64.urlsafe_b64decode(ListLocks().cursor(1)).decode().partition(":")[0]
        self.is_none(base64.urlsafe_b64encode(said.format(digest=digest).encode()).decode())

    @pytest.mark.parametrize("cursor", ["*", "a", "ä", base64.urlsafe_b64encode(b"\xff:1").decode()])
    def test_what_is_not_even_text_is_told(self, cursor):
        self.is_none(cursor)

    def is_none(self, cursor):
        with pytest.raises(Unanswered) as caught:
            read(ListLocks, {"page_cursor": cursor}).place(0)
        assert caught.value.objection is Objection.INVALID_INPUT
        assert list(caught.value.mistakes) == [("page_cursor",)]

    def test_it_says_nothing_of_what_was_asked(self):
        cursor = ListLocks(manufacturer="nuki").cursor(1)
        assert "nuki" not in base64.urlsafe_b64decode(cursor).decode()
        assert json.dumps(cursor) == f'"{cursor}"'
