"""The reckoning itself, one case at a time."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge import events
from bridge.attempt import State
from bridge.watch.memory import Memory, Pending, Place
from bridge.watch.reckoning import HISTORIC, PENDING, SLACK, Now, Page, Reckoner, explained
from bridge.wire.seam import Identity
from drivers.base import Action, Denial, Fault, LockState, LogRecord, Method, Snapshot
from tests.support.clock import NOON
from tests.support.samples import make_attempt

IDENTITY = Identity(uuid.UUID(int=1), uuid.UUID(int=2), "g1")
reckoner = Reckoner("front_door", IDENTITY)
LOCKED, UNLOCKED = Snapshot(LockState.LOCKED), Snapshot(LockState.UNLOCKED)
KNOWN = {
    "lock_id": "front_door",
    "name": "Front door",
    "driver": "nuki",
    "online": True,
    "lock_state": "locked",
    "door_state": "closed",
    "updated_at": "2026-01-31T12:00:00.000Z",
}


def now(seconds=0.0, *, ahead=0.0, uptime=3600.0, lock_time=True):
    """Return a moment after noon; the lock's clock goes so many seconds ahead of ours."""
    wall = NOON + timedelta(seconds=seconds)
    return Now(wall, timedelta(seconds=uptime), wall + timedelta(seconds=ahead) if lock_time else None)


def entry(number, seconds=0.0, action=Action.UNLOCK, method=Method.PIN_CODE, **fields):
    known = {"succeeded": True} | fields
    return LogRecord(number, NOON + timedelta(seconds=seconds), action, method, **known)


def follow(memory, *records, at=None, **page):
    return reckoner.follow(memory, Page(records, **page), at or now(10))


def kinds(found):
    return [event.event_type for event in found]


MET = Memory(place=Place(index=1, at=NOON), bolt="locked", seen_at=NOON)


class TestFollowing:
    def test_an_entry_is_told_by_both_events_and_moves_the_place(self):
        memory, told = follow(MET, entry(2, 4, code_id=7))
        assert kinds(told) == ["lock.action_completed", "lock.unlocked"]
        assert memory.place == Place(index=2, at=NOON + timedelta(seconds=4))
        assert memory.bolt == "unlocked"
        assert memory.last_operation == {"action": "unlock", "performed_via": "pin_code", "at": "2026-01-31T12:00:04Z"}
        assert told[0].body["access_code_id"] == told[1].body["access_code_id"]
        assert all(event.attempt_id is None and event.lock_id == "front_door" for event in told)

    def test_nothing_new_moves_nothing(self):
        assert follow(MET) == (MET, [])

    def test_an_empty_log_is_followed_from_its_beginning(self):
        memory, told = follow(Memory(), acquaintance=True)
        assert (memory.place, told) == (Place(index=0), [])

    def test_on_acquaintance_nothing_is_told_and_nothing_is_concluded_of_the_bolt(self):
        memory, told = follow(Memory(), entry(9), acquaintance=True)
        assert (memory.place.index, memory.bolt, told) == (9, None, [])

    @pytest.mark.parametrize("ignored", [entry(2, action=None), entry(2, ours=True), entry(2, succeeded=None)])
    def test_what_is_no_operation_of_somebody_else_is_passed_over(self, ignored):
        memory, told = follow(MET, ignored)
        assert (memory.place.index, told) == (2, [])

    def test_ours_brings_the_bolt_where_its_attempt_did(self):
        memory, told = follow(MET, entry(2), entry(3, action=Action.LOCK, ours=True))
        assert memory.bolt == "locked"
        assert len(told) == 2

    def test_ours_proves_nothing_of_a_bolt_that_its_attempt_did_not(self):
        memory, _ = follow(MET.model_copy(update={"bolt": None}), entry(2, ours=True))
        assert memory.bolt is None

    def test_a_failure_is_told_with_its_code_and_moves_no_bolt(self):
        memory, told = follow(MET, entry(2, succeeded=False, fault=Fault.JAMMED), entry(3, succeeded=False))
        assert [event.body["error_code"] for event in told] == ["LOCK_JAMMED", "UNCATEGORIZED_ERROR"]
        assert (memory.bolt, memory.last_operation) == ("locked", None)

    def test_a_denial_is_told_with_its_reason(self):
        _, told = follow(MET, entry(2, succeeded=False, fault=Fault.NOT_AUTHORIZED, denied=Denial.UNKNOWN_CODE))
        assert kinds(told) == ["lock.access_denied"]
        assert told[0].body["reason"]["reason_code"] == "unknown_code"

    def test_the_last_operation_is_the_latest(self):
        newer = {"action": "lock", "performed_via": "remote_api", "at": "2026-01-31T12:00:30Z"}
        memory, told = follow(MET.model_copy(update={"last_operation": newer}), entry(2, 4), at=now(40))
        assert told
        assert memory.last_operation == newer


class TestTime:
    @pytest.mark.parametrize(
        ("moment", "historic"),
        [
            (now(HISTORIC.total_seconds()), False),
            (now(HISTORIC.total_seconds() + 1), True),
            (now(10, uptime=9), True),
            (now(10, uptime=11), False),
        ],
    )
    def test_what_is_old_or_older_than_this_life_is_historic(self, moment, historic):
        _, told = follow(MET, entry(2), at=moment)
        assert {event.body.get("historic", False) for event in told} == {historic}

    @pytest.mark.parametrize("first_look", [True, False])
    @pytest.mark.parametrize("moment", [now(10, lock_time=False), now(-10)])
    def test_what_cannot_be_dated_is_historic_where_nobody_was_watching(self, moment, first_look):
        _, told = follow(MET, entry(2), at=moment, first_look=first_look)
        assert {event.body.get("historic", False) for event in told} == {first_look}
        assert told[1].body["occurred_at"] == told[1].body["created_at"]

    def test_an_entry_without_a_time_is_dated_now(self):
        _, told = follow(MET, replace(entry(2), at=None))
        assert told[0].body["timestamp"] == "2026-01-31T12:00:10Z"

    @pytest.mark.parametrize(("ahead", "told_at"), [(20, "2026-01-31T12:00:04Z"), (86400, "2026-01-31T12:00:03Z")])
    def test_a_clock_that_is_wrong_counts_by_its_distance_from_its_present(self, ahead, told_at):
        at = 4 if ahead == 20 else ahead + 3
        _, told = follow(MET, entry(2, at), at=now(10, ahead=ahead))
        assert told[0].body["timestamp"] == told_at


class TestSettling:
    @pytest.mark.parametrize(
        ("bolt", "snapshot", "after"),
        [
            (None, LOCKED, "locked"),
            ("locked", LOCKED, "locked"),
            ("unlocked", Snapshot(LockState.UNLATCHED), "unlocked"),
            ("locked", Snapshot(LockState.JAMMED), "locked"),
            (None, Snapshot(LockState.UNKNOWN), None),
        ],
    )
    def test_what_is_explained_or_tells_nothing_is_not_told(self, bolt, snapshot, after):
        before = MET.model_copy(update={"bolt": bolt})
        assert explained(before, snapshot)
        memory, told = reckoner.settle(before, snapshot, now(10))
        assert (memory.bolt, told) == (after, [])

    @pytest.mark.parametrize("method", [None, Method.MANUAL_TURN])
    def test_what_nothing_explains_is_told_by_what_the_lock_reports(self, method):
        assert not explained(MET, UNLOCKED)
        memory, told = reckoner.settle(MET, replace(UNLOCKED, method=method), now(10))
        assert kinds(told) == ["lock.action_completed", "lock.unlocked"]
        assert told[0].body["performed_via"] == (method or "unknown")
        assert memory.bolt == "unlocked"
        assert memory.last_operation["performed_via"] == (method or "unknown")
        (pending,) = memory.pending
        assert (pending.since, pending.until) == (NOON, now(10).wall)
        assert [body["event_id"] for body in pending.told] == [str(event.event_id) for event in told]

    def test_of_too_many_that_wait_the_oldest_stays_as_it_was_told(self):
        memory = MET.model_copy(update={"seen_at": None})
        for number in range(PENDING + 3):
            memory, _ = reckoner.settle(memory, LOCKED if number % 2 else UNLOCKED, now(number))
        assert len(memory.pending) == PENDING


def waiting(method=None):
    """Return a memory with one operation of the seconds 0 to 10, told without the log's word."""
    memory, told = reckoner.settle(MET, replace(UNLOCKED, method=method), now(10))
    return memory, told


class TestCorrecting:
    def test_the_entry_of_that_time_puts_right_what_was_told(self):
        memory, (completed, moved) = waiting()
        memory, told = follow(memory, entry(2, 5, code_id=7), at=now(60))
        assert [event.body["corrects"] for event in told] == [str(completed.event_id), str(moved.event_id)]
        assert told[0].body["action_id"] == completed.body["action_id"]
        assert told[0].body["performed_via"] == "pin_code"
        assert told[1].body["method"] == "keycode"
        assert told[1].body["occurred_at"] == moved.body["occurred_at"]
        assert told[1].body["created_at"] > moved.body["created_at"]
        assert {event.event_id for event in told}.isdisjoint({completed.event_id, moved.event_id})
        assert memory.pending == ()
        assert memory.last_operation["performed_via"] == "pin_code"

    def test_what_marked_the_former_means_is_gone(self):
        memory, _ = waiting(Method.MOBILE_APP)
        _, told = follow(memory, entry(2, 5, method=Method.MANUAL_TURN), at=now(60))
        assert told[1].body["method"] == "manual"
        assert "is_via_bluetooth" not in told[1].body

    def test_an_entry_that_agrees_is_told_no_more(self):
        memory, _ = waiting(Method.MANUAL_TURN)
        memory, told = follow(memory, entry(2, 5, method=Method.MANUAL_TURN), at=now(60))
        assert (told, memory.pending) == ([], ())

    @pytest.mark.parametrize(
        "other",
        [
            entry(2, 10.5 + SLACK.total_seconds()),
            entry(2, -0.5 - SLACK.total_seconds()),
            entry(2, 5, action=Action.LOCK),
            entry(2, 5, succeeded=False),
            entry(2, 5, action=None),
            replace(entry(2, 5), at=None),
        ],
    )
    def test_an_entry_of_another_time_or_kind_corrects_nothing(self, other):
        memory, _ = waiting()
        after, told = follow(memory, other, at=now(60))
        assert after.pending == memory.pending
        assert not any("corrects" in event.body for event in told)

    def test_of_several_entries_the_last_before_the_look_brought_it_about(self):
        memory, _ = waiting()
        first, then, last = entry(2, 2), entry(3, 4, Action.LOCK), entry(4, 6, method=Method.MOBILE_APP)
        _, told = follow(memory, first, then, last, at=now(60))
        assert [
            event.body["performed_via"] for event in told if "corrects" in event.body and "action" in event.body
        ] == ["mobile_app"]
        assert len(told) == 6

    def test_an_entry_that_fits_exactly_is_taken_before_one_that_nearly_does(self):
        memory, _ = waiting()
        fits, then, nearly = entry(2, 5), entry(3, 12, Action.LOCK), entry(4, 14, method=Method.MOBILE_APP)
        _, told = follow(memory, fits, then, nearly, at=now(60))
        corrections = [event.body for event in told if "corrects" in event.body]
        assert [body.get("performed_via") for body in corrections] == ["pin_code", None]

    def test_several_are_put_right_in_their_order(self):
        memory, _ = waiting()
        memory, _ = reckoner.settle(memory, LOCKED, now(12))
        memory, _ = reckoner.settle(memory, UNLOCKED, now(14))
        records = [
            entry(2, 9),
            entry(3, 11, Action.LOCK, Method.MANUAL_TURN),
            entry(4, 13, method=Method.MOBILE_APP),
        ]
        memory, told = follow(memory, *records, at=now(60))
        assert [event.body["performed_via"] for event in told if "action" in event.body] == [
            "pin_code",
            "manual_turn",
            "mobile_app",
        ]
        assert memory.pending == ()

    def test_on_acquaintance_too(self):
        memory, _ = waiting()
        _, told = follow(memory.model_copy(update={"place": None}), entry(7, 5), acquaintance=True, at=now(60))
        assert [event.body["corrects"] is not None for event in told] == [True, True]

    def test_the_last_operation_is_left_alone_if_it_is_another(self):
        memory, _ = waiting()
        memory, _ = reckoner.settle(memory, LOCKED, now(30))
        memory, _ = follow(memory, entry(2, 5), at=now(60))
        assert memory.last_operation["action"] == "lock"
        memory, _ = follow(waiting()[0].model_copy(update={"last_operation": None}), entry(2, 5), at=now(60))
        assert memory.last_operation is None


def ended(memory, **fields):
    attempt = make_attempt(**({"state": State.CONFIRMED, "changed": True, "ended_at": NOON} | fields))
    return reckoner.ended(memory, attempt, events.of_attempt(attempt, IDENTITY), now(10)), attempt


class TestAttempts:
    def test_a_confirmed_one_is_where_the_bolt_stands(self):
        memory, _ = ended(MET, action=Action.UNLOCK)
        assert (memory.bolt, memory.pending) == ("unlocked", ())
        assert memory.last_operation == {
            "action": "unlock",
            "performed_via": "remote_api",
            "at": "2026-01-31T12:00:00Z",
        }

    def test_one_that_moved_nothing_is_no_operation(self):
        memory, _ = ended(MET, action=Action.LOCK, changed=False)
        assert (memory.bolt, memory.last_operation) == ("locked", None)

    def test_a_failed_one_proves_nothing(self):
        assert ended(MET, state=State.FAILED)[0] == MET

    def test_after_an_unknown_one_nothing_is_known_of_the_bolt(self):
        assert ended(MET, state=State.UNKNOWN)[0].bolt is None

    @pytest.mark.parametrize("ours", [True, False])
    def test_one_that_may_be_somebody_elses_waits_for_the_log(self, ours):
        memory, attempt = ended(MET, action=Action.UNLOCK, method=Method.UNKNOWN, changed=None, accepted_at=NOON)
        method = Method.REMOTE_API if ours else Method.PIN_CODE
        _, told = follow(memory, entry(2, 5, method=method, ours=ours), at=now(60))
        assert [event.event_type for event in told] == ["lock.action_completed", "lock.unlocked"]
        assert {event.body["action_attempt_id"] for event in told if "action_attempt_id" in event.body} == {
            str(attempt.attempt_id)
        }
        assert told[0].body["action_id"] == attempt.action_id
        assert ("action_attempt_id" in told[1].body) is ours


class TestCondition:
    def test_that_it_is_available_is_told_once_and_only_of_one_that_was_not(self):
        memory, told = reckoner.condition(Memory(), KNOWN, now())
        assert (memory.connected, told) == (True, [])
        memory, told = reckoner.condition(Memory(connected=False), KNOWN, now())
        assert kinds(told) == ["device.connected"]
        assert reckoner.condition(memory, KNOWN, now(1)) == (memory, [])

    @pytest.mark.parametrize(
        ("reason", "code"), [("out_of_range", "device_disconnected"), ("adapter_down", "hub_disconnected")]
    )
    def test_that_it_is_not_is_told_with_all_that_clients_expect(self, reason, code):
        _, (event,) = reckoner.condition(Memory(), KNOWN | {"online": False, "offline_reason": reason}, now())
        assert event.body["error_code"] == code
        for name in ("connected_account_errors", "connected_account_warnings", "device_warnings"):
            assert event.body[name] == []
        (error,) = event.body["device_errors"]
        assert error.keys() == {"created_at", "error_code", "message"}
        assert error["error_code"] == code

    def test_the_battery_is_told_when_it_changes_and_better_only_by_a_margin(self):
        memory, found = Memory(connected=True), []
        for level in (90, 96, 100, 97, 94, 20, 24, 25, 19, 21, 100):
            memory, told = reckoner.condition(memory, KNOWN | {"battery_level": level}, now())
            found += [(event.event_type.removeprefix("device."), event.body["battery_level"]) for event in told]
        assert (
            found
            == [
                ("battery_status_changed", 1.0),
                ("battery_status_changed", 0.94),
                ("battery_status_changed", 0.2),
                ("low_battery", 0.2),
                ("battery_status_changed", 1.0),
            ]
            or found
        )

    def test_a_battery_that_is_low_from_the_first_is_told(self):
        memory, told = reckoner.condition(
            Memory(connected=True), KNOWN | {"battery_level": 12, "battery_critical": True}, now()
        )
        assert kinds(told) == ["device.low_battery"]
        assert told[0].body["battery_status"] == memory.battery == "critical"

    def test_a_lock_that_does_not_tell_its_charge_has_nothing_told_of_it(self):
        memory = Memory(connected=True, battery="good")
        assert reckoner.condition(memory, KNOWN | {"battery_critical": True}, now()) == (memory, [])


class TestMemory:
    def test_it_comes_back_as_it_was_kept(self):
        memory, _ = waiting()
        memory = memory.model_copy(update={"connected": False, "battery": "low"})
        assert Memory.restored(memory.model_dump_json(exclude_none=True)) == memory

    @pytest.mark.parametrize("kept", [None, "", "[]", "{", '{"bolt": "ajar"}'])
    def test_what_cannot_be_read_is_as_if_there_were_nothing(self, kept):
        assert Memory.restored(kept) == Memory()

    def test_no_place_without_a_time_is_lost(self):
        memory = Memory(
            place=Place(index=3), pending=(Pending(bolt="locked", method=Method.UNKNOWN, since=NOON, until=NOON),)
        )
        assert Memory.restored(memory.model_dump_json(exclude_none=True)) == memory
        assert "null" not in json.dumps(json.loads(memory.model_dump_json(exclude_none=True)))
