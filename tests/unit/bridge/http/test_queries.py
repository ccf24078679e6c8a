"""Questions from the parameters of a query."""

import pytest

from bridge.errors import Unanswered
from bridge.http import queries
from bridge.questions.requests import ListActionAttempts, ListEvents, ListLocks, read


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ([("limit", "5"), ("_strict", "true")], {"limit": "5", "_strict": "true"}),
        ([("action_attempt_ids", "a"), ("action_attempt_ids", "b")], {"action_attempt_ids": ["a", "b"]}),
        ([("action_attempt_ids[]", "a"), ("action_attempt_ids[]", "b")], {"action_attempt_ids": ["a", "b"]}),
        ([("action_attempt_ids", "a,b")], {"action_attempt_ids": ["a", "b"]}),
        ([("action_attempt_ids", "")], {"action_attempt_ids": []}),
        ([("device_id", "a,b")], {"device_id": "a,b"}),
        ([("device_id[]", "a")], {"device_id[]": "a"}),
    ],
)
def test_a_list_is_written_in_any_of_the_usual_ways(parameters, found):
    assert queries.fields(ListActionAttempts, parameters) == found


def test_two_moments_are_a_list_too():
    given = queries.fields(ListEvents, [("between", "2026-01-01T00:00:00Z"), ("between", "2026-01-02T00:00:00Z")])
    assert read(ListEvents, given).between is not None


def test_an_object_is_written_key_by_key():
    written = [("custom_metadata_has.lock_id", "front"), ("custom_metadata_has.room", ""), ("limit", "1")]
    given = queries.fields(ListLocks, written)
    assert given == {"limit": "1", "custom_metadata_has": {"lock_id": "front", "room": None}}
    assert queries.query(given) == "custom_metadata_has.lock_id=front&custom_metadata_has.room=&limit=1"


@pytest.mark.parametrize("key", ["custom_metadata_has", "custom_metadata_has.", "limit.lock_id"])
def test_what_is_no_object_is_not_made_one(key):
    given = queries.fields(ListLocks, [("custom_metadata_has.lock_id", "front"), (key, "x")])
    assert given[key] == "x"
    with pytest.raises(Unanswered):
        read(ListLocks, given)


@pytest.mark.parametrize("name", ["limit", "custom_metadata_has.lock_id"])
def test_what_is_no_list_is_given_once(name):
    with pytest.raises(Unanswered, match=f'"{name}": it is given twice'):
        queries.fields(ListLocks, [(name, "1"), (name, "2")])


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ({"limit": 2, "device_id": None}, "limit=2"),
        ({"ids": ["a", "b&"], "page_cursor": "x="}, "ids=a&ids=b%26&page_cursor=x%3D"),
        ({"ids": []}, "ids="),
    ],
)
def test_the_same_can_be_asked_by_a_query(given, query):
    assert queries.query(given) == query
