"""The course of one operation, from the frames that a lock may say."""

from __future__ import annotations

import pytest

from drivers.base import Action, Confirmed, DoorState, Failed, Fault, LockState, Snapshot, Stage, Unknown
from drivers.yale.course import LOOKS, SILENCES, Course, Next
from drivers.yale.protocol.codes import Bolt, Door, Flag, Op, Result, Subject, Variant
from drivers.yale.protocol.frames import Frame


def acknowledged(op=Op.UNLOCK, variant=Variant.PLAIN):
    return Frame.of(Flag.ACKNOWLEDGED, op, {4: bytes([variant])})


def ended(code=Result.SUCCESS, op=Op.UNLOCK):
    return Frame.of(Flag.RESULT, op, {15: bytes([code])})


def at(bolt, subject=Subject.LOCK, door=0):
    return Frame.of(Flag.RESULT, Op.STATUS, {4: bytes([subject]), 8: bytes([bolt, door])})


def door(state):
    return at(state, Subject.DOOR)


def follow(course, *frames):
    """Return what each frame led to, and the last of it."""
    return [course.observe(frame) for frame in frames][-1]


@pytest.fixture
def course():
    return Course(Action.UNLOCK)


@pytest.fixture
def unlatch():
    course = Course(Action.UNLATCH)
    course.observe(acknowledged(variant=Variant.UNLATCH))
    return course


def test_the_request_is_the_actions():
    assert [(c.request.op, c.request.about) for c in map(Course, Action)] == [
        (Op.LOCK, Variant.PLAIN),
        (Op.UNLOCK, Variant.PLAIN),
        (Op.UNLOCK, Variant.UNLATCH),
    ]


def test_a_target_reported_and_a_result_confirm(course):
    assert follow(course, acknowledged(), at(Bolt.UNLOCKING)) is Next.WAIT
    assert course.stage is Stage.MOVING
    outcome = follow(course, at(Bolt.UNLOCKED), ended())
    assert outcome == Confirmed(Snapshot(LockState.UNLOCKED))


def test_a_result_without_the_target_is_asked_about(course):
    assert follow(course, acknowledged(), ended()) is Next.ASK
    assert course.stage is Stage.ACCEPTED
    assert isinstance(follow(course, at(Bolt.UNLOCKED)), Confirmed)


def test_a_second_result_tells_nothing(course):
    assert follow(course, acknowledged(), ended(), ended(Result.TIMEOUT)) is Next.WAIT
    assert isinstance(follow(course, at(Bolt.UNLOCKED)), Confirmed)


def test_a_bolt_that_still_moves_is_waited_for(course):
    assert follow(course, acknowledged(), ended(), at(Bolt.UNLOCKING)) is Next.WAIT
    assert isinstance(follow(course, at(Bolt.UNLOCKED)), Confirmed)


def test_what_came_before_the_acknowledgement_tells_nothing(course):
    assert follow(course, at(Bolt.UNLOCKED), acknowledged()) is Next.WAIT
    assert follow(course, ended()) is Next.ASK
    assert course.stage is Stage.ACCEPTED


@pytest.mark.parametrize(
    "frame",
    [
        acknowledged(Op.LOCK),
        acknowledged(variant=Variant.UNLATCH),
        ended(op=Op.LOCK),
        Frame.of(Flag.REQUEST, Op.UNLOCK, {}),
        Frame.of(Flag.ACKNOWLEDGED, Op.STATUS, {4: bytes([Subject.LOCK]), 8: bytes([Bolt.UNLOCKED])}),
        at(Bolt.UNLOCKED, Subject.BATTERY),
    ],
)
def test_what_is_not_of_this_operation_tells_nothing(course, frame):
    assert follow(course, frame) is Next.WAIT
    assert course.stage is Stage.WRITTEN


@pytest.mark.parametrize(
    ("bolt", "outcome"),
    [
        (Bolt.UNLOCKED, Confirmed(Snapshot(LockState.UNLOCKED))),
        (Bolt.LOCKED, Unknown(Stage.WRITTEN, "The lock came to rest locked.")),
    ],
)
def test_a_result_without_an_acknowledgement_is_decided_by_the_bolts_place(course, bolt, outcome):
    step = follow(course, ended())
    for _ in range(LOOKS):
        if step is Next.ASK:
            step = follow(course, at(bolt))
    assert step == outcome


def test_a_failure_without_an_acknowledgement_may_be_anothers(course):
    assert follow(course, ended(Result.BUSY)) is Next.ASK
    assert follow(course, at(Bolt.LOCKED)) == Unknown(
        Stage.WRITTEN, "The lock reported a failure, and not of which operation."
    )


def test_a_jam_without_an_acknowledgement_is_one(course):
    follow(course, ended(Result.TIMEOUT))
    outcome = follow(course, at(Bolt.JAMMED))
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.JAMMED


@pytest.mark.parametrize(
    ("code", "where", "fault"),
    [
        (Result.TIMEOUT, DoorState.UNKNOWN, Fault.JAMMED),
        (Result.TIMEOUT, DoorState.OPEN, Fault.OBSTRUCTED),
        (Result.LOW_BATTERY, DoorState.OPEN, Fault.LOW_BATTERY),
        (0x99, DoorState.CLOSED, Fault.UNCATEGORIZED),
    ],
)
def test_a_failure_is_told_by_its_code_and_with_the_bolts_place(code, where, fault):
    course = Course(Action.UNLOCK, where)
    assert follow(course, acknowledged(), ended(code)) is Next.ASK
    outcome = follow(course, at(Bolt.JAMMED))
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.vendor_code) == (fault, code)
    assert outcome.snapshot == Snapshot(LockState.JAMMED, where)


def test_a_door_that_opens_on_the_way_is_seen(course):
    outcome = follow(course, acknowledged(), door(Door.OPEN), ended(Result.TIMEOUT), at(Bolt.JAMMED))
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.OBSTRUCTED


def test_lock_and_door_in_one_report_count(course):
    follow(course, acknowledged(), at(Bolt.UNLOCKED, Subject.BOTH, Door.AJAR))
    assert follow(course, ended()) == Confirmed(Snapshot(LockState.UNLOCKED, DoorState.OPEN))


def test_a_failure_counts_though_nothing_more_is_heard(course):
    follow(course, acknowledged(), ended(Result.TIMEOUT))
    outcome = course.lost("gone")
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.JAMMED


@pytest.mark.parametrize("code", [Result.SUCCESS, Result.TIMEOUT])
def test_a_result_without_an_acknowledgement_proves_nothing_once_the_link_is_gone(course, code):
    follow(course, ended(code))
    assert course.lost("gone") == Unknown(Stage.WRITTEN, "gone")


def test_a_bolt_stuck_with_success_is_looked_at_twice(course):
    assert follow(course, acknowledged(), ended(), at(Bolt.JAMMED)) is Next.ASK
    outcome = follow(course, at(Bolt.JAMMED))
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.vendor_code) == (Fault.JAMMED, None)


def test_a_bolt_that_came_free_is_none_that_is_stuck(course):
    assert follow(course, acknowledged(), at(Bolt.JAMMED)) is Next.WAIT
    assert isinstance(follow(course, at(Bolt.UNLOCKED), ended()), Confirmed)


class TestSilence:
    def test_a_command_that_nothing_came_of_is_unknown(self, course):
        assert isinstance(course.quiet(), Unknown)

    def test_a_lock_that_accepted_is_asked_until_it_is_given_up(self, course):
        follow(course, acknowledged())
        for _ in range(SILENCES):
            assert course.quiet() is Next.ASK
            assert follow(course, at(Bolt.LOCKED)) is Next.WAIT
        assert course.quiet() == Unknown(Stage.ACCEPTED, "The lock did not report the end of the action.")

    def test_a_motor_that_turns_is_waited_for(self, course):
        follow(course, acknowledged())
        for _ in range(3 * SILENCES):
            assert course.quiet() is Next.ASK
            assert follow(course, at(Bolt.UNLOCKING)) is Next.WAIT
        assert isinstance(follow(course, at(Bolt.UNLOCKED)), Confirmed)

    def test_without_a_result_the_target_is_proven_by_asking(self, course):
        assert follow(course, acknowledged(), at(Bolt.UNLOCKED)) is Next.WAIT
        assert course.quiet() is Next.ASK
        assert isinstance(follow(course, at(Bolt.UNLOCKED)), Confirmed)

    def test_without_a_result_a_jam_is_proven_by_asking_twice(self, course):
        follow(course, acknowledged())
        course.quiet()
        assert follow(course, at(Bolt.JAMMED)) is Next.ASK
        assert isinstance(follow(course, at(Bolt.JAMMED)), Failed)


class TestUnlatch:
    def test_the_moment_counts(self, unlatch):
        outcome = follow(unlatch, at(Bolt.UNLATCHING), at(Bolt.UNLATCHED), at(Bolt.UNLOCKED), ended())
        assert outcome == Confirmed(Snapshot(LockState.UNLATCHED))

    def test_the_moment_counts_though_the_link_is_lost(self, unlatch):
        follow(unlatch, at(Bolt.UNLATCHED))
        assert unlatch.lost("gone") == Confirmed(Snapshot(LockState.UNLATCHED))

    def test_the_moment_counts_where_the_lock_is_asked(self, unlatch):
        follow(unlatch, at(Bolt.UNLATCHED))
        unlatch.quiet()
        assert follow(unlatch, at(Bolt.UNLOCKED)) == Confirmed(Snapshot(LockState.UNLATCHED))

    def test_a_moment_that_was_missed_is_proven_by_the_motor_and_the_result(self, unlatch):
        follow(unlatch, at(Bolt.UNLATCHING), ended())
        assert follow(unlatch, at(Bolt.UNLOCKED)) == Confirmed(Snapshot(LockState.UNLOCKED))

    def test_an_unlocked_bolt_alone_proves_no_unlatch(self, unlatch):
        follow(unlatch, ended())
        for _ in range(LOOKS):
            step = follow(unlatch, at(Bolt.UNLOCKED))
        assert isinstance(step, Unknown)
