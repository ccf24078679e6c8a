"""Rows of the journal are what was put into them."""

import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.attempt import State
from bridge.errors import Code
from bridge.journal import rows
from bridge.model import Attempt, Event
from drivers.base import Action, Method, Stage
from tests.support.clock import NOON
from tests.support.samples import make_attempt

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
moments = st.integers(0, 4 * 10**15).map(lambda micro: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro))
attempts = st.builds(
    Attempt,
    seq=st.just(1),
    action_id=texts,
    attempt_id=st.uuids(),
    lock_id=texts,
    action=st.sampled_from(Action),
    method=st.sampled_from(Method),
    custom_id=st.none() | texts,
    boot_id=texts,
    deadline=st.floats(0, 1e9),
    accepted_at=moments,
    state=st.sampled_from(State),
    stage=st.none() | st.sampled_from(Stage),
    code=st.none() | st.sampled_from(Code),
    message=st.none() | texts,
    changed=st.none() | st.booleans(),
    ended_at=st.none() | moments,
)


def fresh():
    """An empty journal in memory."""
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    folder = resources.files("bridge.journal").joinpath("migrations")
    for script in sorted(folder.iterdir(), key=lambda script: script.name):
        db.executescript(script.read_text())
    return db


@pytest.fixture
def db():
    db = fresh()
    yield db
    db.close()


def columns(attempt):
    """An attempt as its row."""
    return {
        "action_id": attempt.action_id,
        "attempt_id": str(attempt.attempt_id),
        "lock_id": attempt.lock_id,
        "action": attempt.action,
        "method": attempt.method,
        "custom_id": attempt.custom_id,
        "boot_id": attempt.boot_id,
        "arrived": 0.0,
        "deadline": attempt.deadline,
        "accepted_at": attempt.accepted_at.timestamp(),
        "state": attempt.state,
        "stage": attempt.stage,
        "code": attempt.code,
        "message": attempt.message,
        "changed": attempt.changed,
        "ended_at": attempt.ended_at.timestamp() if attempt.ended_at else None,
    }


@given(attempts)
def test_an_attempt_is_read_as_it_was_put(attempt):
    db = fresh()
    try:
        assert rows.insert(db, "attempt", columns(attempt)) == 1
        assert rows.attempt(db.execute("SELECT * FROM attempt").fetchone()) == attempt
    finally:
        db.close()


@pytest.mark.parametrize("column", ["action", "method", "state", "stage", "code"])
def test_a_row_that_says_what_there_is_not_is_no_attempt(db, column):
    rows.insert(db, "attempt", columns(make_attempt()) | {column: "nonsense"})
    with pytest.raises(ValueError, match="nonsense"):
        rows.attempt(db.execute("SELECT * FROM attempt").fetchone())


def test_a_column_of_the_wrong_type_is_refused(db):
    with pytest.raises(sqlite3.IntegrityError):
        rows.insert(db, "attempt", columns(make_attempt()) | {"deadline": "soon"})


@pytest.mark.parametrize("name", ["action_id", "attempt_id"])
def test_no_two_attempts_share_an_identity(db, name):
    first = columns(make_attempt())
    rows.insert(db, "attempt", first)
    second = columns(make_attempt(action_id="act_2", attempt_id=uuid.uuid4())) | {name: first[name]}
    with pytest.raises(sqlite3.IntegrityError):
        rows.insert(db, "attempt", second)


def test_a_place_is_never_given_twice(db):
    place = rows.insert(db, "attempt", columns(make_attempt()))
    db.execute("DELETE FROM attempt")
    assert rows.insert(db, "attempt", columns(make_attempt())) > place


def test_events_are_read_as_they_were_put_with_their_places(db):
    told = [
        Event(uuid.uuid4(), "lock.unlocked", "front_door", {"name": "Tür", "n": [1, None]}, uuid.uuid4(), "req_1"),
        Event(uuid.uuid4(), "bridge.journal_reset", None, {}),
    ]
    rows.insert_events(db, told, NOON.timestamp())
    found = [rows.event(row) for row in db.execute("SELECT * FROM event ORDER BY seq")]
    assert [event.seq for event in found] == [1, 2]
    assert [(event.event_id, event.event_type, event.lock_id, event.body) for event in found] == [
        (event.event_id, event.event_type, event.lock_id, event.body) for event in told
    ]
    assert [(event.attempt_id, event.custom_id) for event in found] == [(told[0].attempt_id, "req_1"), (None, None)]
    assert {row["created_at"] for row in db.execute("SELECT created_at FROM event")} == {NOON.timestamp()}


def test_an_event_is_recorded_once(db):
    event = Event(uuid.uuid4(), "lock.unlocked", "front_door", {})
    with pytest.raises(sqlite3.IntegrityError):
        rows.insert_events(db, [event, event], 0.0)


def test_a_kept_value_stays_what_it_was_first(db):
    assert rows.keep_fact(db, "epoch", "first") == "first"
    assert rows.keep_fact(db, "epoch", "second") == "first"
    assert rows.keep_fact(db, "other", "second") == "second"
