"""The answers to questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Objection, Unanswered
from bridge.wire import answer, text


class TestError:
    @pytest.mark.parametrize(
        ("objection", "status"),
        [
            (Objection.INVALID_INPUT, 400),
            (Objection.MISMATCHED_PAGE_PARAMETERS, 400),
            (Objection.RETAINED_COMMAND, 400),
            (Objection.ACTION_ATTEMPT_NOT_FOUND, 404),
            (Objection.DEVICE_NOT_FOUND, 404),
            (Objection.NOT_FOUND, 404),
            (Objection.RATE_LIMITED, 429),
            (Objection.STORAGE_UNAVAILABLE, 503),
        ],
    )
    def test_it_has_a_type_a_message_and_the_request(self, objection, status):
        assert objection.status == status
        assert answer.error(Unanswered(objection, "Why."), "r1") == {
            "error": {"type": objection.value, "message": "Why.", "request_id": "r1"},
            "ok": False,
        }

    def test_it_says_what_was_not_found(self):
        reason = Unanswered(Objection.DEVICE_NOT_FOUND, "Why.", data={"device_id": "x"})
        assert answer.error(reason, "r1")["error"]["data"] == {"device_id": "x"}

    def test_mistakes_are_told_by_field_and_place(self):
        mistakes = {("limit",): "too small", ("ids", "0"): "empty", ("ids", "2"): "long", (): "neither"}
        reason = Unanswered(Objection.INVALID_INPUT, "Why.", mistakes=mistakes)
        assert answer.error(reason, "r1")["error"]["validation_errors"] == {
            "_errors": ["neither"],
            "limit": {"_errors": ["too small"]},
            "ids": {"_errors": [], "0": {"_errors": ["empty"]}, "2": {"_errors": ["long"]}},
        }

    def test_a_flood_of_mistakes_is_not_repeated(self):
        mistakes = {(f"{number}{'x' * 60_000}",): "unknown" for number in range(100)}
        told = answer.validation_errors(mistakes)
        assert len(told) == 1 + answer.MOST_ERRORS
        assert len(text.encode(told)) < 4096


class TestPagination:
    def test_the_last_page(self):
        assert answer.pagination(None) == {"next_page_cursor": None, "has_next_page": False, "next_page_url": None}

    def test_any_other(self):
        assert answer.pagination("abc") == {"next_page_cursor": "abc", "has_next_page": True, "next_page_url": None}


class TestFitting:
    @given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=40), st.integers(0, 8192))
    def test_as_many_as_there_is_room_for_and_one_at_least(self, items, room):
        number = answer.fitting(items, room)
        assert len(text.encode(items[:number])) <= max(0, room - answer.OVERHEAD) + 1 or number <= 1
        if number < len(items):
            assert number >= 1
            assert len(text.encode(items[: number + 1])) > room - answer.OVERHEAD
