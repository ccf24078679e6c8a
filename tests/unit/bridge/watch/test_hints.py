"""Which hints are worth a look, and when."""

from __future__ import annotations

import math

import pytest

from bridge.watch.hints import PAUSE, QUIET, Hints
from drivers.base import Sighting

LIMIT = 900.0
HINT, NONE, SILENCE = (Sighting("Lock", changed=changed) for changed in (True, False, None))


@pytest.fixture
def hints():
    return Hints(LIMIT, polled=True)


def look(hints, now, *, found=False):
    hints.looked(hints.marks, now)
    hints.weighed(now, found=found)


def pauses(hints, number, *, found=False):
    """Return for how long a hint that stays rests after each of so many looks, each made as soon as it may be."""
    now, rests = 0.0, []
    for _ in range(number):
        look(hints, now, found=found)
        hints.heard(HINT, now)
        rests.append(hints.due(now) - now)
        now = hints.due(now)
    return rests


def test_without_a_hint_nothing_is_due(hints):
    assert not hints.heard(NONE, 0)
    assert not hints.heard(SILENCE, 0)
    assert hints.due(0) is None


def test_a_hint_is_due_at_once_and_news_once(hints):
    assert hints.heard(HINT, 100)
    assert not hints.heard(HINT, 101)
    assert not hints.heard(SILENCE, 102)
    assert hints.due(103) == 103


def test_a_hint_that_stays_though_nothing_is_found_rests_ever_longer_up_to_the_limit(hints):
    assert pauses(hints, 9) == [10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_a_hint_after_which_something_is_found_rests_a_moment_however_often(hints):
    assert pauses(hints, 20, found=True) == [PAUSE] * 20


def test_what_was_found_does_not_end_the_distrust_of_a_hint_that_stays(hints):
    pauses(hints, 4)
    look(hints, 1000, found=True)
    hints.heard(HINT, 1000)
    assert hints.due(1000) == 1000 + PAUSE


def test_a_quiet_time_ends_all_distrust(hints):
    pauses(hints, 3)
    quiet_from = 30 + 40 + QUIET
    hints.heard(NONE, quiet_from - 1)
    hints.heard(HINT, quiet_from - 1)
    assert hints.due(0) > 0
    hints.heard(NONE, quiet_from + 1)
    hints.heard(HINT, quiet_from + 1)
    assert hints.due(0) == 0


def test_a_look_after_a_quiet_time_begins_anew(hints):
    pauses(hints, 6)
    look(hints, 10_000)
    hints.heard(HINT, 10_000)
    assert hints.due(10_000) == 10_000 + PAUSE


def test_where_nothing_is_polled_a_hint_that_stays_is_not_believed_for_ever():
    hints = Hints(LIMIT, polled=False)
    now = 0.0
    for _ in range(8):
        look(hints, now)
        hints.heard(HINT, now)
        now = hints.due(now)
    assert now == math.inf


def test_marks_hint_when_they_differ_from_those_of_the_last_look(hints):
    assert not hints.heard(Sighting("Lock", marks={"count": "1"}), 0)
    assert hints.heard(Sighting("Lock", marks={"count": "2"}), 1)
    before = hints.marks
    hints.heard(Sighting("Lock", marks={"count": "3"}), 2)  # while it is looked at
    hints.looked(before, 3)
    assert hints.due(3) == 3 + PAUSE
    hints.looked(hints.marks, 4)
    assert hints.due(4) is None


def test_marks_of_a_kind_that_was_not_told_before_are_no_hint(hints):
    hints.heard(Sighting("Lock", marks={"count": "1"}), 0)
    assert not hints.heard(Sighting("Lock", marks={"toggle": "0"}), 1)
    assert hints.due(1) is None
