from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Confirmed, Failed, Fault, LockState, Stage, Unknown
from drivers.nuki.course import Course, Next
from drivers.nuki.protocol.codes import Bolt, Command, Completion, Door, ErrorCode, Trigger, Turn
from drivers.nuki.protocol.commands import Challenge, ErrorReport, KeyturnerStates, Status

ACCEPTED, COMPLETE = Status(1), Status(0)
START = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)


def states(bolt, *, at=0, action=0, completion=0, trigger=Trigger.SYSTEM, door=Door.CLOSED):
    return KeyturnerStates(2, bolt, 0, START + timedelta(seconds=at), 0, 200, 0, 0, action, trigger, completion, door)


def error(code, failed=Command.LOCK_ACTION):
    return ErrorReport(code, failed)


def follow(turn, *messages):
    """Feed a course; return the steps it asked for, the last one being the outcome if there is one."""
    course = Course(turn)
    steps = []
    for message in messages:
        steps.append(course.quiet() if message == "quiet" else course.observe(message))
        if not isinstance(steps[-1], Next):
            break
    return course, steps


def outcome(turn, *messages):
    _, steps = follow(turn, *messages)
    assert not isinstance(steps[-1], Next), steps
    assert len(steps) == len(messages), "decided too early"
    return steps[-1]


MOVES = {
    Turn.LOCK: (Bolt.LOCKING, Bolt.LOCKED, LockState.LOCKED),
    Turn.UNLOCK: (Bolt.UNLOCKING, Bolt.UNLOCKED, LockState.UNLOCKED),
    Turn.UNLATCH: (Bolt.UNLATCHING, Bolt.UNLATCHED, LockState.UNLATCHED),
}


@pytest.mark.parametrize("turn", MOVES)
def test_the_documented_course_confirms(turn):
    moving, end, target = MOVES[turn]
    found = outcome(turn, ACCEPTED, states(moving), states(end), COMPLETE)
    assert isinstance(found, Confirmed)
    assert found.snapshot.lock_state is target


@pytest.mark.parametrize("turn", MOVES)
def test_a_state_before_complete_is_not_yet_an_end(turn):
    moving, end, _ = MOVES[turn]
    course, steps = follow(turn, ACCEPTED, states(moving), states(end))
    assert steps[-1] is Next.WAIT
    assert course.stage is Stage.MOVING


def test_complete_without_a_state_asks_and_the_answer_decides():
    _, steps = follow(Turn.UNLOCK, ACCEPTED, COMPLETE)
    assert steps[-1] is Next.ASK
    assert isinstance(outcome(Turn.UNLOCK, ACCEPTED, COMPLETE, states(Bolt.UNLOCKED)), Confirmed)


def test_complete_elsewhere_is_unknown():
    found = outcome(Turn.UNLOCK, ACCEPTED, states(Bolt.UNLOCKING), states(Bolt.LOCKED), COMPLETE, states(Bolt.LOCKED))
    assert found == Unknown(Stage.MOVING, "The lock came to rest locked.")


def test_a_complete_that_was_not_preceded_by_acceptance_is_not_ours():
    course, steps = follow(Turn.UNLOCK, COMPLETE, states(Bolt.UNLOCKED), COMPLETE)
    assert steps == [Next.WAIT] * 3
    assert course.stage is Stage.WRITTEN


def test_a_target_reported_before_acceptance_proves_nothing():
    _, steps = follow(Turn.UNLOCK, states(Bolt.UNLOCKED), ACCEPTED, COMPLETE)
    assert steps == [Next.WAIT, Next.WAIT, Next.ASK]


def test_a_lost_acceptance_does_not_matter_once_the_motor_turns():
    assert isinstance(outcome(Turn.LOCK, states(Bolt.LOCKING), states(Bolt.LOCKED), COMPLETE), Confirmed)


def test_complete_before_the_end_state_waits_for_rest():
    found = outcome(Turn.LOCK, ACCEPTED, COMPLETE, states(Bolt.LOCKING), states(Bolt.LOCKED))
    assert isinstance(found, Confirmed)


def test_a_doubled_complete_asks_once():
    _, steps = follow(Turn.LOCK, ACCEPTED, COMPLETE, COMPLETE, states(Bolt.LOCKED))
    assert steps[1:3] == [Next.ASK, Next.WAIT]


def test_a_late_report_tells_nothing():
    course, steps = follow(Turn.UNLOCK, ACCEPTED, states(Bolt.UNLOCKING, at=5), states(Bolt.UNLOCKED, at=1), COMPLETE)
    assert steps[-1] is Next.ASK
    assert course.is_late(states(Bolt.UNLOCKED, at=4))
    assert not course.is_late(states(Bolt.UNLOCKED, at=5))
    assert not course.is_late(KeyturnerStates(2, Bolt.LOCKED, 0, None, 0, 0))


def test_reports_of_a_clock_that_was_never_set_count():
    undated = [KeyturnerStates(2, bolt, 0, None, 0, 0) for bolt in (Bolt.LOCKING, Bolt.LOCKED)]
    assert isinstance(outcome(Turn.LOCK, ACCEPTED, *undated, COMPLETE), Confirmed)


def test_silence_after_the_write_is_unknown():
    assert outcome(Turn.LOCK, "quiet").stage is Stage.WRITTEN


def test_silence_after_acceptance_asks_once():
    course, steps = follow(Turn.LOCK, ACCEPTED, "quiet", "quiet")
    assert steps[1] is Next.ASK
    assert steps[2].stage is course.stage is Stage.ACCEPTED


def test_a_lost_complete_is_made_up_for_by_a_read():
    found = outcome(Turn.LOCK, ACCEPTED, states(Bolt.LOCKING), states(Bolt.LOCKED), "quiet", states(Bolt.LOCKED))
    assert isinstance(found, Confirmed)


def test_a_lock_that_still_moves_is_waited_for():
    _, steps = follow(Turn.LOCK, ACCEPTED, "quiet", states(Bolt.LOCKING), "quiet", states(Bolt.LOCKED))
    assert steps[1:4] == [Next.ASK, Next.WAIT, Next.ASK]
    assert isinstance(steps[4], Confirmed)


def test_a_lock_that_is_accepted_and_stands_still_is_unknown():
    assert outcome(Turn.UNLOCK, ACCEPTED, "quiet", states(Bolt.LOCKED)).stage is Stage.ACCEPTED


def test_a_lock_that_is_too_busy_to_be_read_is_waited_for():
    busy = error(ErrorCode.BUSY, Command.REQUEST_DATA)
    _, steps = follow(Turn.LOCK, ACCEPTED, "quiet", busy, "quiet", states(Bolt.LOCKED))
    assert steps[2:4] == [Next.WAIT, Next.ASK]
    assert isinstance(steps[4], Confirmed)


def test_a_lock_that_refuses_to_be_read_is_unknown():
    assert outcome(Turn.LOCK, ACCEPTED, "quiet", error(0x20, Command.KEYTURNER_STATES)).stage is Stage.ACCEPTED


@pytest.mark.parametrize(
    "stray", [error(0x45, Command.REQUEST_LOG), error(0x20, Command.REQUEST_DATA), Challenge(b""), Status(9)]
)
def test_what_is_not_about_the_action_changes_nothing(stray):
    found = outcome(Turn.LOCK, stray, ACCEPTED, stray, states(Bolt.LOCKING), stray, states(Bolt.LOCKED), COMPLETE)
    assert isinstance(found, Confirmed)


def test_a_jam_at_the_end_is_a_failure():
    found = outcome(
        Turn.LOCK, ACCEPTED, states(Bolt.LOCKING), states(Bolt.MOTOR_BLOCKED), "quiet", states(Bolt.MOTOR_BLOCKED)
    )
    assert (found.fault, found.snapshot.lock_state) == (Fault.JAMMED, LockState.JAMMED)


def test_a_jam_under_an_open_door_is_an_obstruction():
    jam = states(Bolt.MOTOR_BLOCKED, door=Door.OPEN)
    assert outcome(Turn.LOCK, ACCEPTED, jam, COMPLETE, jam).fault is Fault.OBSTRUCTED


def test_a_jam_that_frees_itself_is_no_failure():
    moves = [states(bolt) for bolt in (Bolt.LOCKING, Bolt.MOTOR_BLOCKED, Bolt.LOCKING, Bolt.LOCKED)]
    assert isinstance(outcome(Turn.LOCK, ACCEPTED, *moves, COMPLETE), Confirmed)


def test_a_refusal_at_once_is_a_failure_with_the_vendors_code():
    found = outcome(Turn.LOCK, error(ErrorCode.BUSY))
    assert (found.fault, found.vendor_code, found.snapshot) == (Fault.REFUSED, 0x45, None)


def test_a_failure_on_the_way_tells_where_the_bolt_ended():
    found = outcome(
        Turn.LOCK,
        ACCEPTED,
        states(Bolt.LOCKING),
        error(ErrorCode.MOTOR_BLOCKED),
        states(Bolt.MOTOR_BLOCKED, door=Door.OPEN),
    )
    assert (found.fault, found.vendor_code) == (Fault.OBSTRUCTED, 0x42)
    assert found.snapshot.lock_state is LockState.JAMMED


@pytest.mark.parametrize("end", ["quiet", error(0x45, Command.REQUEST_DATA), error(0x20, Command.REQUEST_DATA)])
def test_a_failure_stays_one_if_the_state_is_not_told(end):
    found = outcome(Turn.LOCK, ACCEPTED, error(ErrorCode.CLUTCH_FAILURE), end)
    assert (found.fault, found.snapshot) == (Fault.MECHANISM, None)


def test_a_failure_stays_one_if_the_link_ends():
    course, steps = follow(Turn.LOCK, ACCEPTED, states(Bolt.LOCKING), error(ErrorCode.MOTOR_LOW_VOLTAGE))
    assert steps[-1] is Next.ASK
    found = course.lost("Gone.")
    assert isinstance(found, Failed)
    assert found.fault is Fault.LOW_BATTERY


def test_a_failure_while_asking_does_not_ask_again():
    _, steps = follow(Turn.LOCK, ACCEPTED, "quiet", error(ErrorCode.MOTOR_BLOCKED))
    assert steps[-1] is Next.WAIT


def test_a_rejected_nonce_leaves_the_outcome_unknown():
    assert outcome(Turn.LOCK, error(ErrorCode.BAD_NONCE)).stage is Stage.WRITTEN


@pytest.mark.parametrize(
    ("completion", "fault"),
    [
        (Completion.INCOMPLETE, Fault.NOT_FULLY_EXTENDED),
        (Completion.LOW_MOTOR_VOLTAGE, Fault.LOW_BATTERY),
        (Completion.CANCELLED, Fault.REFUSED),
    ],
)
def test_the_locks_record_of_this_action_tells_why_it_failed(completion, fault):
    end = states(Bolt.UNDEFINED, action=Turn.LOCK, completion=completion)
    found = outcome(Turn.LOCK, ACCEPTED, states(Bolt.LOCKING), end, COMPLETE, end)
    assert (found.fault, found.vendor_code) == (fault, completion)


def test_a_target_with_a_record_of_failure_is_read_again():
    stale = states(Bolt.LOCKED, action=Turn.LOCK, completion=Completion.INCOMPLETE)
    fresh = states(Bolt.LOCKED, action=Turn.LOCK)
    assert isinstance(outcome(Turn.LOCK, ACCEPTED, stale, COMPLETE, fresh), Confirmed)
    assert outcome(Turn.LOCK, ACCEPTED, stale, COMPLETE, stale).fault is Fault.NOT_FULLY_EXTENDED


@pytest.mark.parametrize(
    "record",
    [
        {"action": Turn.UNLOCK, "completion": Completion.INCOMPLETE},
        {"action": Turn.LOCK, "completion": Completion.INCOMPLETE, "trigger": Trigger.BUTTON},
        {"action": Turn.LOCK, "completion": Completion.UNKNOWN},
    ],
)
def test_a_record_of_something_else_says_nothing(record):
    assert isinstance(outcome(Turn.LOCK, ACCEPTED, states(Bolt.LOCKED, **record), COMPLETE), Confirmed)


def test_a_record_without_complete_says_nothing():
    failed = states(Bolt.UNLOCKED, action=Turn.LOCK, completion=Completion.INCOMPLETE)
    assert isinstance(outcome(Turn.LOCK, ACCEPTED, "quiet", failed), Unknown)


def test_old_firmware_keeps_no_record():
    old = KeyturnerStates(2, Bolt.LOCKED, 0, None, 0, 0, 1, 2, Turn.LOCK, Trigger.SYSTEM)
    assert isinstance(outcome(Turn.LOCK, ACCEPTED, old, COMPLETE), Confirmed)


def test_an_unlatch_is_proved_by_having_been_seen():
    moves = [states(bolt) for bolt in (Bolt.UNLATCHING, Bolt.UNLATCHED, Bolt.UNLOCKED)]
    found = outcome(Turn.UNLATCH, ACCEPTED, *moves, COMPLETE)
    assert found.snapshot.lock_state is LockState.UNLATCHED


@pytest.mark.parametrize("end", ["lost", "quiet"])
def test_an_unlatch_that_was_seen_is_proved_even_if_nothing_follows(end):
    course, _ = follow(Turn.UNLATCH, ACCEPTED, states(Bolt.UNLATCHED), "quiet")
    found = course.lost("Gone.") if end == "lost" else course.quiet()
    assert isinstance(found, Confirmed)


def test_an_unlatch_that_was_seen_is_proved_by_a_read_that_comes_after_it():
    assert isinstance(
        outcome(Turn.UNLATCH, ACCEPTED, states(Bolt.UNLATCHED), "quiet", states(Bolt.UNLOCKED)), Confirmed
    )


def test_an_unlatch_that_was_not_seen_is_proved_by_the_locks_record():
    sprung_back = states(Bolt.UNLOCKED, action=Turn.UNLATCH)
    began = (ACCEPTED, states(Bolt.UNLATCHING))
    assert isinstance(outcome(Turn.UNLATCH, *began, COMPLETE, sprung_back), Confirmed)
    assert isinstance(outcome(Turn.UNLATCH, *began, "quiet", sprung_back), Unknown)
    assert isinstance(outcome(Turn.UNLATCH, *began, COMPLETE, states(Bolt.UNLOCKED, action=Turn.UNLOCK)), Unknown)
    assert isinstance(outcome(Turn.UNLATCH, *began, COMPLETE, states(Bolt.LOCKED, action=Turn.UNLATCH)), Unknown)


def test_a_record_of_an_unlatch_whose_beginning_was_not_seen_may_be_of_an_earlier_one():
    assert isinstance(outcome(Turn.UNLATCH, ACCEPTED, COMPLETE, states(Bolt.UNLOCKED, action=Turn.UNLATCH)), Unknown)


def test_what_the_lock_said_before_it_was_last_read_is_late():
    course = Course(Turn.LOCK, START)
    course.observe(ACCEPTED)
    assert course.observe(states(Bolt.LOCKED, at=-1)) is Next.WAIT
    assert course.observe(COMPLETE) is Next.ASK
    assert isinstance(course.observe(states(Bolt.UNLOCKED, at=1)), Unknown)


def test_unlatched_is_not_what_an_unlock_asked_for():
    assert isinstance(outcome(Turn.UNLOCK, ACCEPTED, states(Bolt.UNLATCHED), COMPLETE, states(Bolt.UNLATCHED)), Unknown)


messages = st.lists(
    st.one_of(
        st.just("quiet"),
        st.builds(Status, st.integers(0, 2)),
        st.builds(error, st.sampled_from([0x42, 0x45, 0x22, 0x20]), st.sampled_from([0x0D, 0x01, 0x0C, 0x31])),
        st.builds(
            states,
            st.sampled_from(list(Bolt)),
            at=st.integers(0, 3),
            action=st.integers(0, 3),
            completion=st.sampled_from([0, 1, 8]),
        ),
    ),
    max_size=12,
)


@given(turn=st.sampled_from(list(MOVES)), given_messages=messages)
def test_no_course_confirms_what_was_not_reported(turn, given_messages):
    _, steps = follow(turn, *given_messages)
    if not steps or not isinstance(steps[-1], Confirmed):
        return
    heard = given_messages[: len(steps)]
    bolts = [message.lock_state for message in heard if isinstance(message, KeyturnerStates)]
    reached = MOVES[turn][1] in bolts
    if turn is Turn.UNLOCK:
        reached = reached or Bolt.UNLOCKED_LOCK_N_GO in bolts
    if turn is Turn.UNLATCH:
        reached = reached or any(
            isinstance(m, KeyturnerStates) and m.last_action == Turn.UNLATCH and m.last_completion == 0 for m in heard
        )
    assert reached
    moving = {Bolt.LOCKING, Bolt.UNLOCKING, Bolt.UNLATCHING}
    assert ACCEPTED in heard or moving & set(bolts)
