"""From what a Sesame reports after the write to the outcome of an action."""

import pytest

from drivers.base import Action, Confirmed, Failed, Fault, LockState, Stage, Unknown
from drivers.sesame.course import Course, Next
from drivers.sesame.patience import RESPONSE_TIMEOUT, SETTLE_TIME
from drivers.sesame.protocol.codes import Flag, Item, Result
from drivers.sesame.protocol.mech import NO_TARGET, MechSetting, MechStatus
from drivers.sesame.protocol.messages import Response

SETTING = MechSetting(10, 266)


def status(position, flags, target=NO_TARGET):
    return MechStatus(3000, target, position, flags)


LOCKED = status(10, Flag.STOPPED | Flag.IN_LOCK_RANGE)
UNLOCKED = status(266, Flag.STOPPED | Flag.IN_UNLOCK_RANGE)
UNLOCKING = status(100, Flag(0), 266)
BETWEEN = status(100, Flag.STOPPED)
JAMMED = status(100, Flag.STOPPED | Flag.CRITICAL)
SLIPPED = status(10, Flag.STOPPED | Flag.IN_LOCK_RANGE | Flag.CLUTCH_FAILED)
ARRIVED_SLIPPING = status(266, Flag.STOPPED | Flag.IN_UNLOCK_RANGE | Flag.CLUTCH_FAILED)
TAKEN = Response(Item.UNLOCK, Result.SUCCESS)
BUSY = Response(Item.UNLOCK, Result.BUSY)
ASKED, QUIET = "the answer to what was asked", "nothing"


def follow(*steps, before=LOCKED):
    """Return the course of an unlock, and what it came to with the last step."""
    course, came = Course(Action.UNLOCK, before, SETTING), Next.WAIT
    for step in steps:
        assert isinstance(came, Next), "it had its outcome before"
        match step:
            case MechStatus():
                came = course.reported(step)
            case Response():
                came = course.answered(step)
            case _:
                came = course.quiet() if step is QUIET else course.asked()
    return course, came


@pytest.mark.parametrize(
    "steps",
    [
        (TAKEN, UNLOCKING, UNLOCKED),
        (TAKEN, UNLOCKED),
        (TAKEN, UNLOCKING, JAMMED, UNLOCKING, UNLOCKED),
        (TAKEN, UNLOCKING, BETWEEN, QUIET, UNLOCKED),
        (UNLOCKING, UNLOCKED, TAKEN, QUIET, ASKED),
        (TAKEN, UNLOCKING, QUIET, ASKED, UNLOCKED),
    ],
)
def test_the_target_that_the_lock_reports_after_its_response_is_success(steps):
    _, outcome = follow(*steps)
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.lock_state is LockState.UNLOCKED


@pytest.mark.parametrize("steps", [(TAKEN,), (UNLOCKED,), (UNLOCKING,), (TAKEN, LOCKED), (TAKEN, UNLOCKING, JAMMED)])
def test_until_then_it_waits(steps):
    assert follow(*steps)[1] is Next.WAIT


def test_the_response_alone_proves_nothing():
    _, outcome = follow(TAKEN, QUIET, ASKED)
    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.ACCEPTED
    assert outcome.message == "The lock came to rest locked."


def test_a_lock_that_is_where_it_should_be_and_stays_there_did_it():
    _, outcome = follow(TAKEN, QUIET, ASKED, before=UNLOCKED)
    assert isinstance(outcome, Confirmed)


def test_a_refusal_is_a_failure():
    _, outcome = follow(BUSY)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.vendor_code) == (Fault.REFUSED, Result.BUSY)
    assert outcome.snapshot.lock_state is LockState.LOCKED


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ((TAKEN, UNLOCKING, JAMMED, QUIET, ASKED), Fault.JAMMED),
        ((TAKEN, JAMMED, QUIET, ASKED), Fault.JAMMED),
        ((TAKEN, UNLOCKING, SLIPPED, QUIET, ASKED), Fault.MECHANISM),
        ((TAKEN, UNLOCKING, ARRIVED_SLIPPING, QUIET, ASKED), Fault.MECHANISM),
    ],
)
def test_a_trouble_that_stays_is_a_failure(steps, fault):
    _, outcome = follow(*steps)
    assert isinstance(outcome, Failed)
    assert outcome.fault is fault


def test_a_jam_of_before_is_not_this_actions_doing():
    _, outcome = follow(TAKEN, JAMMED, QUIET, ASKED, before=JAMMED)
    assert isinstance(outcome, Unknown)


def test_a_jam_of_before_that_is_there_after_a_movement_is():
    _, outcome = follow(TAKEN, UNLOCKING, JAMMED, QUIET, ASKED, before=JAMMED)
    assert isinstance(outcome, Failed)


@pytest.mark.parametrize(
    ("steps", "stage"),
    [
        ((QUIET, QUIET), Stage.WRITTEN),
        ((QUIET, ASKED), Stage.WRITTEN),
        ((TAKEN, QUIET, QUIET), Stage.ACCEPTED),
        ((TAKEN, UNLOCKING, BETWEEN, QUIET, ASKED), Stage.MOVING),
        ((TAKEN, UNLOCKING, LOCKED, QUIET, ASKED), Stage.MOVING),
    ],
)
def test_what_was_not_seen_is_unknown(steps, stage):
    _, outcome = follow(*steps)
    assert isinstance(outcome, Unknown)
    assert outcome.stage is stage


def test_a_motor_that_still_turns_is_waited_for():
    assert follow(TAKEN, UNLOCKING, QUIET, ASKED)[1] is Next.WAIT
    assert follow(TAKEN, UNLOCKING, QUIET, ASKED, QUIET)[1] is Next.ASK


def test_quiet_is_asked_into_once():
    assert follow(TAKEN, QUIET)[1] is Next.ASK


def test_a_motor_that_gave_up_is_watched_for_a_moment_only():
    course, _ = follow(TAKEN)
    assert course.patience == RESPONSE_TIMEOUT
    course, _ = follow(TAKEN, UNLOCKING)
    assert course.patience == RESPONSE_TIMEOUT
    course, _ = follow(TAKEN, UNLOCKING, BETWEEN)
    assert course.patience == RESPONSE_TIMEOUT
    course, _ = follow(TAKEN, UNLOCKING, JAMMED)
    assert course.patience == SETTLE_TIME
    course, _ = follow(TAKEN, UNLOCKING, JAMMED, QUIET)
    assert course.patience == RESPONSE_TIMEOUT
    course, _ = follow(TAKEN, before=JAMMED)
    assert course.patience == RESPONSE_TIMEOUT


def test_the_link_lost_leaves_the_stage():
    course, _ = follow(TAKEN, UNLOCKING)
    assert course.lost("Gone.") == Unknown(Stage.MOVING, "Gone.")
