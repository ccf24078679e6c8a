"""Which commands are taken: each rule, its order, and the deadline."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.attempt import State
from bridge.errors import Code, Refused
from bridge.model import Task
from bridge.policy import (
    RATE_WINDOW,
    SKEW,
    Accept,
    Facts,
    Hopeless,
    Message,
    Permission,
    Replay,
    Rules,
    admit,
    check_task,
    read,
)
from drivers.base import Action, Method
from tests.support.clock import NOON
from tests.support.samples import make_attempt, make_command

LOCKS = {
    "front_door": Permission(allowed=frozenset({Action.LOCK, Action.UNLOCK}), supported=frozenset(Action)),
    "side_door": Permission(allowed=frozenset(Action), supported=frozenset({Action.LOCK, Action.UNLOCK})),
    "back_door": Permission(allowed=frozenset({Action.LOCK}), supported=frozenset({Action.UNLOCK})),
}
OFFLINE = Refused(Code.DEVICE_OFFLINE, "Not heard.")


def message(lock_id="front_door", *, payload=None, **fields):
    body = payload if payload is not None else json.dumps({"action": fields.pop("action", "unlock")}).encode()
    return Message(lock_id=lock_id, payload=body, method=Method.REMOTE_API, arrived=1000.0, **fields)


def rules(**fields):
    return Rules(**({"ttl": 30.0, "require_expiry": False, "rate_limit": 15, "queue_limit": 4} | fields))


def facts(**fields):
    known = {
        "wall": NOON,
        "clock_trusted": True,
        "earlier": None,
        "recent": 0,
        "waiting": 0,
        "hindrance": None,
    }
    return Facts(**(known | fields))


def refusal_of(call, *args):
    with pytest.raises(Refused) as caught:
        call(*args)
    return caught.value


class TestRead:
    def test_a_sound_command_is_read_with_everything_that_came_with_it(self):
        payload = b'{"action": "lock", "custom_id": "req_1", "expires_at": "2026-01-31T12:00:30Z"}'
        marks = {
            "expires_in": 20.0,
            "perhaps_queued": True,
            "unremembered": True,
            "request_key": "r",
            "packet_key": "p",
            "redelivered": True,
        }
        assert read(message(payload=payload, **marks), LOCKS) == make_command(
            Action.LOCK, custom_id="req_1", expires_at=NOON + timedelta(seconds=30), **marks
        )

    def test_the_method_is_that_of_the_door(self):
        given_here = Message("front_door", b'{"action": "lock"}', Method.BLUETOOTH_KEY, 5.0)
        command = read(given_here, LOCKS)
        assert (command.method, command.arrived) == (Method.BLUETOOTH_KEY, 5.0)

    def test_a_retained_command_is_refused_and_told_how_to_clear_it(self):
        refusal = refusal_of(read, message(retained=True), LOCKS)
        assert refusal.code is Code.RETAINED_COMMAND
        assert "empty retained message" in refusal.message

    def test_a_command_whose_reply_cannot_go_where_its_sender_wants_it_is_refused_for_that(self):
        misdirected = Refused(Code.INVALID_REQUEST, "Not there.")
        assert refusal_of(read, message("cellar", misdirected=misdirected), LOCKS) is misdirected
        retained = message(misdirected=misdirected, retained=True)
        assert refusal_of(read, retained, LOCKS).code is Code.RETAINED_COMMAND

    def test_a_malformed_command_is_refused(self):
        assert refusal_of(read, message(payload=b"unlock"), LOCKS).code is Code.INVALID_REQUEST

    def test_an_unknown_action_is_refused(self):
        assert refusal_of(read, message(action="toggle"), LOCKS).code is Code.INVALID_ACTION

    def test_an_unknown_lock_is_refused_by_name(self):
        refusal = refusal_of(read, message("cellar"), LOCKS)
        assert refusal.code is Code.LOCK_NOT_FOUND
        assert "cellar" in refusal.message

    def test_the_name_of_an_unknown_lock_is_not_repeated_at_length(self):
        assert len(refusal_of(read, message("x" * 10_000), LOCKS).message) < 200

    def test_an_unlatch_that_is_not_listed_is_refused_and_told_the_remedy(self):
        refusal = refusal_of(read, message(action="unlatch"), LOCKS)
        assert refusal.code is Code.ACTION_NOT_ALLOWED
        assert "`actions`" in refusal.message

    def test_an_action_that_the_driver_cannot_do_is_refused(self):
        assert refusal_of(read, message("side_door", action="unlatch"), LOCKS).code is Code.ACTION_NOT_SUPPORTED

    @pytest.mark.parametrize(
        ("broken", "code"),
        [
            (message("cellar", payload=b"{", retained=True), Code.RETAINED_COMMAND),
            (message("cellar", payload=b"{"), Code.INVALID_REQUEST),
            (message("cellar", action="toggle"), Code.INVALID_ACTION),
            (message("cellar", action="unlatch"), Code.LOCK_NOT_FOUND),
            (message("back_door", action="unlatch"), Code.ACTION_NOT_ALLOWED),
            (message("back_door", action="lock"), Code.ACTION_NOT_SUPPORTED),
        ],
        ids=lambda value: value.value if isinstance(value, Code) else "",
    )
    def test_the_first_rule_that_is_broken_is_the_answer(self, broken, code):
        assert refusal_of(read, broken, LOCKS).code is code


class TestAdmit:
    def test_a_sound_command_is_accepted_for_the_time_to_live(self):
        assert admit(make_command(), rules(), facts()) == Accept(1030.0)

    def test_the_deadline_counts_from_the_arrival(self):
        assert admit(make_command(arrived=7.5), rules(ttl=10.0), facts()) == Accept(17.5)

    def test_a_repetition_gets_the_earlier_attempt_whatever_else_is_wrong(self):
        earlier = make_attempt(State.CONFIRMED)
        repeated = make_command(
            expires_in=0.0, perhaps_queued=True, unremembered=True, expires_at=datetime(2000, 1, 1, tzinfo=UTC)
        )
        wrong = facts(earlier=earlier, recent=99, waiting=99, hindrance=OFFLINE, clock_trusted=False)
        assert admit(repeated, rules(require_expiry=True), wrong) == Replay(earlier)

    def test_a_message_expiry_shortens_the_deadline(self):
        assert admit(make_command(expires_in=5.0), rules(), facts()) == Accept(1005.0)

    def test_a_message_expiry_never_lengthens_it(self):
        assert admit(make_command(expires_in=3600.0), rules(), facts()) == Accept(1030.0)

    def test_expires_at_shortens_the_deadline(self):
        command = make_command(expires_at=NOON + timedelta(seconds=12))
        assert admit(command, rules(), facts()) == Accept(1012.0)

    def test_expires_at_in_another_time_zone_is_the_same_moment(self):
        command = make_command(expires_at=datetime.fromisoformat("2026-01-31T14:00:12+02:00"))
        assert admit(command, rules(), facts()) == Accept(1012.0)

    @pytest.mark.parametrize(
        "late",
        [
            {"expires_in": 0.0},
            {"expires_in": -1.0},
            {"expires_at": NOON},
            {"expires_at": NOON - timedelta(days=1)},
            {"expires_at": NOON - timedelta(seconds=1), "expires_in": 20.0},
            {"expires_at": NOON + timedelta(seconds=20), "expires_in": 0.0},
        ],
    )
    def test_a_command_past_its_deadline_is_refused(self, late):
        assert refusal_of(admit, make_command(**late), rules(), facts()).code is Code.COMMAND_EXPIRED

    @pytest.mark.parametrize("action", [Action.UNLOCK, Action.UNLATCH])
    def test_an_opening_command_with_expires_at_is_refused_while_the_clock_is_not_trusted(self, action):
        command = make_command(action, expires_at=NOON + timedelta(seconds=20), expires_in=20.0)
        assert refusal_of(admit, command, rules(), facts(clock_trusted=False)).code is Code.CLOCK_NOT_TRUSTED

    @pytest.mark.parametrize("moment", [NOON - timedelta(days=1), NOON + timedelta(seconds=5)])
    def test_a_lock_command_ignores_expires_at_while_the_clock_is_not_trusted(self, moment):
        command = make_command(Action.LOCK, expires_at=moment)
        assert admit(command, rules(), facts(clock_trusted=False)) == Accept(1030.0)

    def test_a_command_without_expiry_is_refused_where_one_is_required(self):
        assert refusal_of(admit, make_command(), rules(require_expiry=True), facts()).code is Code.EXPIRY_REQUIRED

    @pytest.mark.parametrize("expiry", [{"expires_in": 20.0}, {"expires_at": NOON + timedelta(seconds=20)}])
    def test_either_expiry_satisfies_the_requirement(self, expiry):
        assert admit(make_command(**expiry), rules(require_expiry=True), facts()) == Accept(1020.0)

    def test_an_expiry_that_cannot_be_judged_is_one_nevertheless(self):
        command = make_command(Action.LOCK, expires_at=NOON + timedelta(seconds=20))
        assert admit(command, rules(require_expiry=True), facts(clock_trusted=False)) == Accept(1030.0)

    def test_a_command_without_expiry_that_was_perhaps_queued_is_refused(self):
        refusal = refusal_of(admit, make_command(perhaps_queued=True), rules(), facts())
        assert refusal.code is Code.COMMAND_EXPIRED
        assert "no expiry" in refusal.message

    def test_a_queued_command_that_carries_what_is_left_of_its_expiry_is_accepted(self):
        assert admit(make_command(perhaps_queued=True, expires_in=3.0), rules(), facts()) == Accept(1003.0)

    @pytest.mark.parametrize("required", [True, False])
    def test_an_expiry_that_cannot_be_judged_does_not_vouch_for_a_queued_command(self, required):
        command = make_command(Action.LOCK, perhaps_queued=True, expires_at=NOON + timedelta(seconds=20))
        refusal = refusal_of(admit, command, rules(require_expiry=required), facts(clock_trusted=False))
        assert refusal.code is Code.COMMAND_EXPIRED
        assert "does not know the time" in refusal.message

    def test_a_command_that_may_have_been_carried_out_before_the_journal_was_lost_is_refused(self):
        refusal = refusal_of(admit, make_command(unremembered=True, expires_in=20.0), rules(), facts())
        assert refusal.code is Code.COMMAND_EXPIRED
        assert "send it again" in refusal.message

    @pytest.mark.parametrize(("recent", "taken"), [(14, True), (15, False), (99, False)])
    def test_the_fifteenth_command_in_a_minute_is_the_last(self, recent, taken):
        if taken:
            assert admit(make_command(), rules(), facts(recent=recent)) == Accept(1030.0)
            return
        refusal = refusal_of(admit, make_command(), rules(), facts(recent=recent))
        assert refusal.code is Code.RATE_LIMITED
        assert refusal.retry_after is not None
        assert 0 < refusal.retry_after <= RATE_WINDOW

    def test_a_rate_limit_of_nought_is_none(self):
        assert admit(make_command(), rules(rate_limit=0), facts(recent=10_000)) == Accept(1030.0)

    @pytest.mark.parametrize(("waiting", "taken"), [(3, True), (4, False)])
    def test_a_fifth_waiting_command_is_refused(self, waiting, taken):
        if taken:
            assert admit(make_command(), rules(), facts(waiting=waiting)) == Accept(1030.0)
            return
        refusal = refusal_of(admit, make_command(), rules(), facts(waiting=waiting))
        assert refusal.code is Code.DEVICE_BUSY
        assert refusal.retry_after is not None

    def test_a_hopeless_command_is_told_as_an_attempt_where_that_is_wanted(self):
        command = make_command(told_as_attempt=True)
        assert admit(command, rules(), facts(hindrance=OFFLINE)) == Hopeless(command.arrived + 30.0, OFFLINE)
        assert admit(command, rules(), facts()) == Accept(command.arrived + 30.0)
        assert refusal_of(admit, command, rules(), facts(waiting=4, hindrance=OFFLINE)).code is Code.DEVICE_BUSY

    def test_a_hopeless_command_is_refused_with_the_hindrance(self):
        assert refusal_of(admit, make_command(), rules(), facts(hindrance=OFFLINE)) is OFFLINE

    def test_the_first_rule_that_is_broken_is_the_answer(self):
        expired = make_command(expires_in=0.0)
        stages = [
            (expired, facts(recent=15, waiting=4, hindrance=OFFLINE), Code.COMMAND_EXPIRED),
            (make_command(), facts(recent=15, waiting=4, hindrance=OFFLINE), Code.RATE_LIMITED),
            (make_command(), facts(waiting=4, hindrance=OFFLINE), Code.DEVICE_BUSY),
            (make_command(), facts(hindrance=OFFLINE), Code.DEVICE_OFFLINE),
        ]
        assert [refusal_of(admit, command, rules(), known).code for command, known, _ in stages] == [
            code for _, _, code in stages
        ]


moments = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
seconds = st.floats(min_value=-1e9, max_value=1e9)


@given(
    arrived=st.floats(min_value=0, max_value=1e8),
    ttl=st.integers(min_value=1, max_value=60).map(float),
    expires_in=st.none() | seconds,
    expires_at=st.none() | moments,
    wall=moments,
    flags=st.tuples(*[st.booleans()] * 4),
    action=st.sampled_from(Action),
)
def test_no_deadline_exceeds_any_of_its_limits(*, arrived, ttl, expires_in, expires_at, wall, flags, action):
    trusted, queued, unremembered, required = flags
    command = make_command(
        action,
        arrived=arrived,
        expires_in=expires_in,
        expires_at=expires_at,
        perhaps_queued=queued,
        unremembered=unremembered,
    )
    try:
        decision = admit(command, rules(ttl=ttl, require_expiry=required), facts(wall=wall, clock_trusted=trusted))
    except Refused:
        return
    assert isinstance(decision, Accept)
    assert arrived <= decision.deadline <= arrived + ttl
    if expires_in is not None:
        assert decision.deadline <= arrived + expires_in
    if expires_at is not None and trusted:
        assert decision.deadline <= arrived + (expires_at - wall).total_seconds()
    assert not unremembered
    if action is not Action.LOCK and expires_at is not None:
        assert trusted
    if queued:
        assert expires_in is not None or (expires_at is not None and trusted)
    if required:
        assert expires_in is not None or expires_at is not None


@given(st.binary(max_size=200), st.booleans(), st.sampled_from([*LOCKS, "cellar"]))
def test_reading_raises_nothing_but_refusals(payload, retained, lock_id):
    try:
        command = read(message(lock_id, payload=payload, retained=retained), LOCKS)
    except Refused:
        return
    assert not retained
    assert command.action in LOCKS[lock_id].allowed & LOCKS[lock_id].supported


@pytest.mark.parametrize(("action", "lock_id"), list(itertools.product(Action, LOCKS)))
def test_an_action_is_read_only_where_it_is_both_allowed_and_supported(action, lock_id):
    permission = LOCKS[lock_id]
    asked = message(lock_id, action=action.value)
    if action in permission.allowed & permission.supported:
        assert read(asked, LOCKS).action is action
    else:
        assert refusal_of(read, asked, LOCKS).code in {Code.ACTION_NOT_ALLOWED, Code.ACTION_NOT_SUPPORTED}


class TestSignatures:
    """The rule's place in the order; what is good is for `signing` to say."""

    strict = Permission(frozenset({Action.LOCK}), frozenset(Action), require_signature=True)

    def test_what_is_allowed_is_told_to_nobody_who_has_not_signed(self):
        refusal = refusal_of(read, message(action="unlatch"), {"front_door": self.strict})
        assert refusal.code is Code.SIGNATURE_REQUIRED
        assert "lock-bridge signing-key create" in refusal.message

    def test_a_wrong_signature_is_refused_before_what_is_allowed_and_after_the_lock(self):
        body = {"action": "unlatch", "custom_id": "a", "expires_at": "2026-01-31T12:00:20Z"}
        payload = json.dumps(body | {"signature": f"1f0c9a3e:{'A' * 86}=="}).encode()
        assert refusal_of(read, message(payload=payload), LOCKS).code is Code.SIGNATURE_INVALID
        assert refusal_of(read, message("cellar", payload=payload), LOCKS).code is Code.LOCK_NOT_FOUND

    @pytest.mark.parametrize("method", set(Method) - {Method.BLUETOOTH_KEY})
    def test_the_gateway_itself_is_the_only_place_to_command_unsigned(self, method):
        asked = Message("front_door", b'{"action": "lock"}', method, 5.0)
        assert refusal_of(read, asked, {"front_door": self.strict}).code is Code.SIGNATURE_REQUIRED

    def test_a_signed_command_is_good_for_no_longer_than_max_ttl_and_what_clocks_may_differ(self):
        known = facts()
        for seconds, taken in ((45.0 + SKEW, True), (45.0 + SKEW + 0.001, False)):
            command = make_command(expires_at=NOON + timedelta(seconds=seconds), signed=True)
            if taken:
                assert admit(command, rules(max_ttl=45.0), known) == Accept(command.arrived + 30.0)
            else:
                assert refusal_of(admit, command, rules(max_ttl=45.0), known).code is Code.SIGNATURE_INVALID

    def test_an_unsigned_one_may_say_any_time(self):
        command = make_command(expires_at=NOON + timedelta(days=2))
        assert admit(command, rules(), facts()) == Accept(command.arrived + 30.0)

    @pytest.mark.parametrize("action", Action)
    def test_without_the_time_it_is_taken_for_a_recorded_one(self, action):
        command = make_command(action, expires_at=NOON + timedelta(seconds=10), signed=True)
        refusal = refusal_of(admit, command, rules(), facts(clock_trusted=False))
        assert refusal.code is Code.CLOCK_NOT_TRUSTED


class TestTasks:
    """`CONFIGURE_AUTO_LOCK` is for locks that can do it and may be locked."""

    command = make_command(Task.CONFIGURE_AUTO_LOCK)

    def test_a_lock_that_can_and_may_takes_it(self):
        permission = Permission(frozenset({Action.LOCK}), frozenset(Action), auto_lock=True)
        assert check_task(self.command, permission, "nuki") is self.command

    def test_a_driver_that_cannot_is_named(self):
        refusal = refusal_of(check_task, self.command, LOCKS["front_door"], "nuki")
        assert refusal.code is Code.ACTION_NOT_SUPPORTED
        assert refusal.message == "CONFIGURE_AUTO_LOCK is not supported: the driver 'nuki' cannot do it."

    @pytest.mark.parametrize(("method", "refused"), [(Method.REMOTE_API, True), (Method.BLUETOOTH_KEY, False)])
    def test_what_cannot_be_signed_is_taken_at_the_gateway_alone(self, method, refused):
        permission = Permission(frozenset({Action.LOCK}), frozenset(Action), auto_lock=True, require_signature=True)
        command = make_command(Task.CONFIGURE_AUTO_LOCK, method=method)
        if refused:
            assert refusal_of(check_task, command, permission, "nuki").code is Code.SIGNATURE_REQUIRED
        else:
            assert check_task(command, permission, "nuki") is command

    def test_a_lock_that_may_not_be_locked_may_not_lock_itself(self):
        permission = Permission(frozenset({Action.UNLOCK}), frozenset(Action), auto_lock=True)
        assert refusal_of(check_task, self.command, permission, "nuki").code is Code.ACTION_NOT_ALLOWED
