"""What the course of an action comes to, step by step."""

import pytest

from drivers.base import Action, Confirmed, DoorState, Failed, Fault, LockState, Snapshot, Stage, Unknown
from drivers.switchbot.course import STILL_LOOKS, Course, Next
from drivers.switchbot.protocol.errors import Status
from drivers.switchbot.protocol.frames import Answer
from drivers.switchbot.protocol.report import Bolt, Report

DONE = Answer(Status.OK)
AIMS = {
    Action.LOCK: (LockState.LOCKING, LockState.LOCKED, LockState.UNLOCKED),
    Action.UNLOCK: (LockState.UNLOCKING, LockState.UNLOCKED, LockState.LOCKED),
}
EACH_ACTION = pytest.mark.parametrize("action", AIMS)


BOLTS = {
    LockState.LOCKED: Bolt.LOCKED,
    LockState.UNLOCKED: Bolt.UNLOCKED,
    LockState.LOCKING: Bolt.LOCKING,
    LockState.UNLOCKING: Bolt.UNLOCKING,
    LockState.JAMMED: Bolt.LOCKING_BLOCKED,
    LockState.PARTIALLY_LOCKED: Bolt.LATCHED,
    LockState.UNKNOWN: 15,
}


def snap(state, door=DoorState.UNKNOWN):
    return Snapshot(state, door)


def at(state, door=DoorState.UNKNOWN):
    """A report of a state, and what it means."""
    calibrated = state is not LockState.UNCALIBRATED
    return Report(BOLTS.get(state, Bolt.UNLOCKED), calibrated), snap(state, door)


def course(action=Action.UNLOCK, *, night_latch=None):
    return Course(action, night_latch=night_latch)


def taken(action=Action.UNLOCK, **options):
    found = course(action, **options)
    assert found.answered(DONE) is Next.WAIT
    return found


def moved(action=Action.UNLOCK, **options):
    found = taken(action, **options)
    assert found.reported(*at(AIMS[action][0])) is Next.WAIT
    assert found.stage is Stage.MOVING
    return found


@EACH_ACTION
@pytest.mark.parametrize("low", [Status.OK, Status.LOW_BATTERY])
def test_a_report_of_the_target_is_looked_after_and_the_look_confirms(action, low):
    _, target, _ = AIMS[action]
    found = course(action)
    assert found.answered(Answer(low)) is Next.WAIT
    assert found.stage is Stage.ACCEPTED
    assert found.reported(*at(target)) is Next.LOOK
    assert found.looked(*at(target)) == Confirmed(snap(target))


@EACH_ACTION
def test_a_report_before_the_receipt_tells_nothing_of_the_end(action):
    found = course(action)
    assert found.receipt_due
    assert found.reported(*at(AIMS[action][1])) is Next.WAIT
    assert found.reported(*at(AIMS[action][0])) is Next.WAIT
    assert found.stage is Stage.MOVING
    assert found.answered(DONE) is Next.WAIT
    assert not found.receipt_due
    assert found.stage is Stage.MOVING


@EACH_ACTION
def test_a_motor_at_work_is_waited_for(action):
    moving, target, _ = AIMS[action]
    found = taken(action)
    assert found.looked(*at(moving)) is Next.WAIT
    assert found.stage is Stage.MOVING
    assert found.looked(*at(target)) == Confirmed(snap(target))


@EACH_ACTION
def test_a_bolt_that_came_to_rest_elsewhere_is_unknown(action):
    found = moved(action)
    elsewhere = AIMS[action][2]
    assert found.reported(*at(elsewhere)) is Next.LOOK
    assert found.looked(*at(elsewhere)) == Unknown(Stage.MOVING, f"The lock came to rest {elsewhere}.")


@EACH_ACTION
def test_a_bolt_that_does_not_move_is_looked_at_a_few_times(action):
    found = taken(action)
    elsewhere = AIMS[action][2]
    assert found.reported(*at(elsewhere)) is Next.WAIT
    for _ in range(STILL_LOOKS - 1):
        assert found.looked(*at(elsewhere)) is Next.WAIT
    assert found.looked(*at(elsewhere)) == Unknown(Stage.ACCEPTED, f"The lock came to rest {elsewhere}.")


def test_a_command_that_was_never_answered_is_looked_after_once():
    assert course().looked(*at(LockState.LOCKED)) == Unknown(Stage.WRITTEN, "The lock came to rest locked.")
    assert course().looked(*at(LockState.UNLOCKED)) == Confirmed(snap(LockState.UNLOCKED))


@pytest.mark.parametrize("state", [LockState.UNCALIBRATED, LockState.UNKNOWN])
@EACH_ACTION
def test_a_lock_that_does_not_know_proves_nothing(action, state):
    assert isinstance(moved(action).looked(*at(state)), Unknown)


LATCHED = Report(Bolt.LATCHED)
PULLED = Report(Bolt.UNLOCKED), snap(LockState.UNLATCHED)
BACK = LATCHED, snap(LockState.UNLOCKED)


class TestTheLatch:
    @pytest.mark.parametrize(
        ("night_latch", "ends"),
        [(None, {Bolt.UNLOCKED, Bolt.LATCHED}), (True, {Bolt.LATCHED}), (False, {Bolt.UNLOCKED})],
    )
    @pytest.mark.parametrize("bolt", [Bolt.LOCKED, Bolt.UNLOCKED, Bolt.LATCHED, Bolt.HALF_LOCKED])
    def test_how_an_unlocking_ends_depends_on_whether_the_lock_pulls_it(self, night_latch, ends, bolt):
        found = moved(night_latch=night_latch).looked(Report(bolt), snap(LockState.PARTIALLY_LOCKED))
        assert isinstance(found, Confirmed if bolt in ends else Unknown)

    def test_that_is_pulled_is_seen_so(self):
        found = taken(Action.UNLATCH, night_latch=True)
        assert found.reported(*at(LockState.UNLOCKING)) is Next.WAIT
        assert found.reported(*PULLED) is Next.LOOK
        assert found.looked(*PULLED) == Confirmed(PULLED[1])

    def test_that_is_back_when_it_is_looked_at_was_pulled_if_the_lock_said_so(self):
        found = taken(Action.UNLATCH, night_latch=True)
        found.reported(*at(LockState.UNLOCKING))
        found.reported(*PULLED)
        assert found.looked(*BACK) == Confirmed(PULLED[1])

    def test_that_was_pulled_before_the_receipt_was_pulled_by_another(self):
        found = course(Action.UNLATCH, night_latch=True)
        found.reported(*PULLED)
        found.answered(DONE)
        found.reported(*at(LockState.UNLOCKING))
        for _ in range(STILL_LOOKS - 1):
            assert found.looked(*BACK) is Next.WAIT
        assert isinstance(found.looked(*BACK), Unknown)

    def test_of_which_nothing_was_said_was_not_pulled(self):
        found = taken(Action.UNLATCH, night_latch=True)
        found.reported(*at(LockState.UNLOCKING))
        assert [found.looked(*BACK) for _ in range(STILL_LOOKS)] == [
            *[Next.WAIT] * (STILL_LOOKS - 1),
            Unknown(Stage.MOVING, "The lock came to rest unlocked."),
        ]

    def test_may_be_pulled_after_the_bolt_is_back(self):
        found = taken(Action.UNLATCH, night_latch=True)
        found.reported(*at(LockState.UNLOCKING))
        assert found.looked(*BACK) is Next.WAIT
        assert found.reported(*PULLED) is Next.LOOK
        assert found.looked(*PULLED) == Confirmed(PULLED[1])

    def test_that_is_pulled_proves_no_unlocking_that_was_to_leave_it(self):
        assert isinstance(moved(night_latch=True).looked(*PULLED), Unknown)

    def test_a_bolt_that_is_not_fully_out_is_not_locked(self):
        found = moved(Action.LOCK).looked(*at(LockState.PARTIALLY_LOCKED))
        assert isinstance(found, Failed)
        assert found.fault is Fault.NOT_FULLY_EXTENDED

    def test_a_bolt_that_was_not_fully_out_is_waited_for(self):
        assert taken(Action.LOCK).looked(*at(LockState.PARTIALLY_LOCKED)) is Next.WAIT


class TestABlockedBolt:
    def test_is_failure_once_it_is_seen_so_again(self):
        found = moved(Action.LOCK)
        assert found.reported(*at(LockState.JAMMED)) is Next.WAIT
        failed = found.looked(*at(LockState.JAMMED))
        assert (failed.fault, failed.snapshot) == (Fault.JAMMED, snap(LockState.JAMMED))

    def test_is_looked_at_twice_where_it_was_not_reported(self):
        found = taken(Action.LOCK)
        assert found.looked(*at(LockState.JAMMED)) is Next.WAIT
        assert isinstance(found.looked(*at(LockState.JAMMED)), Failed)

    def test_may_come_free(self):
        found = moved(Action.LOCK)
        found.reported(*at(LockState.JAMMED))
        assert found.looked(*at(LockState.LOCKING)) is Next.WAIT
        assert found.looked(*at(LockState.JAMMED)) is Next.WAIT
        assert isinstance(found.looked(*at(LockState.LOCKED)), Confirmed)

    def test_with_the_door_open_meets_something(self):
        found = moved(Action.LOCK)
        found.reported(*at(LockState.JAMMED))
        assert found.looked(*at(LockState.JAMMED, DoorState.OPEN)).fault is Fault.OBSTRUCTED


class TestARefusal:
    @pytest.mark.parametrize(
        ("status", "fault"),
        [
            (Status.BUSY, Fault.REFUSED),
            (Status.ERROR, Fault.REFUSED),
            (Status.UNSUPPORTED, Fault.REFUSED),
            (Status.WRONG_KEY, Fault.NOT_AUTHORIZED),
            (0x55, Fault.UNCATEGORIZED),
        ],
    )
    def test_is_failure_where_the_bolt_stands_elsewhere(self, status, fault):
        found = course()
        assert found.answered(Answer(status)) is Next.LOOK
        failed = found.looked(*at(LockState.LOCKED))
        assert (failed.fault, failed.vendor_code) == (fault, status)

    def test_is_failure_where_the_motor_does_something_else(self):
        found = course()
        found.answered(Answer(Status.BUSY))
        assert isinstance(found.looked(*at(LockState.LOCKING)), Failed)

    def test_is_not_believed_where_the_motor_does_what_was_asked_for(self):
        found = course()
        found.answered(Answer(Status.BUSY))
        assert found.looked(*at(LockState.UNLOCKING)) is Next.WAIT
        assert isinstance(found.looked(*at(LockState.UNLOCKED)), Unknown)

    def test_proves_no_success(self):
        found = course()
        found.answered(Answer(Status.BUSY))
        assert isinstance(found.looked(*at(LockState.UNLOCKED)), Unknown)


def test_what_is_not_heard_any_more_is_unknown():
    assert moved().lost("gone") == Unknown(Stage.MOVING, "gone")
