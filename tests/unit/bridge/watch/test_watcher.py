"""What is noticed and told of others' operations, with the real driver and a virtual lock, under virtual time."""

from __future__ import annotations

import json
from datetime import timedelta

import anyio
import pytest
import trio.testing

from drivers.base import Action
from drivers.virtual.faults import Trouble
from tests.support.house import BASE, FRONT, House, until
from tests.support.watched import of, operations, phone, settled, told, with_pin, without_pin

CODE = "482913"
WRONG = "999111"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, pin_codes={CODE: "Ada"}) as house:
        yield house


WAYS = {
    "manual_turn": (lambda house: house.lock.manual_unlock(), "unlock", {"method": "manual"}),
    "pin_code": (lambda house: house.lock.keypad(CODE), "unlock", {"method": "keycode"}),
    "bluetooth_key": (lambda house: house.lock.fob(), "unlock", {"method": "remote", "is_via_bluetooth": True}),
    "mobile_app": (phone, "unlock", {"method": "remote", "is_via_bluetooth": True}),
}


class TestWays:
    @pytest.mark.parametrize("connection", ["on_demand", "always"])
    @pytest.mark.parametrize("via", WAYS)
    async def test_each_way_of_operating_is_told_as_what_it_was(self, house, via, connection):
        house.lock_fields["connection"] = connection
        operate, action, method = WAYS[via]
        async with house.life() as life:
            await settled(life)
            operate(house)
            (operation,) = await told(life)
            assert (
                operation.items()
                >= {
                    "device_id": FRONT,
                    "action": action,
                    "status": "success",
                    "performed_via": via,
                    "was_confirmed_by_device": True,
                }.items()
            )
            assert operation["action_id"].startswith("act_")
            assert not {"custom_id", "action_attempt_id", "historic", "corrects"} & set(operation)
            (moved,) = of(life, "lock.unlocked")
            assert moved.items() >= method.items()
            assert ("access_code_id" in moved) is ("access_code_id" in operation) is (via == "pin_code")
            assert life.device()["lock_state"] == "unlocked"
            assert life.device()["last_operation"] == {
                "action": action,
                "performed_via": via,
                "at": operation["timestamp"],
            }

    async def test_a_lock_that_locks_itself(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.auto_lock = 30.0
            house.lock.manual_unlock()
            first, second = await told(life, 2)
            assert [first["performed_via"], second["performed_via"]] == ["manual_turn", "auto_lock"]
            assert of(life, "lock.locked")[0]["method"] == "automatic"
            assert life.device()["lock_state"] == "locked"

    async def test_the_arrow_key_of_a_keypad_needs_no_code(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.manual_unlock()
            await told(life)
            house.lock.keypad_lock()
            operation = (await told(life, 2))[-1]
            assert (operation["action"], operation["performed_via"]) == ("lock", "manual_turn")

    async def test_a_wrong_code_is_denied_access_and_nothing_else(self, house):
        async with house.life() as life:
            await settled(life)
            for number in (1, 2):
                house.lock.keypad(WRONG)
                await until(lambda number=number: len(of(life, "lock.access_denied")) == number)
            await anyio.sleep(60)
            assert len(life.events) == 2
            assert {event["reason"]["reason_code"] for event in life.events} == {"unknown_code"}

    async def test_a_motor_that_fails_somebody_is_told_as_their_failure(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.jam()
            house.lock.keypad(CODE)
            (operation,) = await told(life)
            assert (operation["status"], operation["error_code"]) == ("failed", "LOCK_JAMMED")
            assert (operation["performed_via"], operation["was_confirmed_by_device"]) == ("pin_code", False)
            assert life.device()["lock_state"] == "jammed"
            assert not of(life, "lock.unlocked", "lock.locked")
            assert "last_operation" not in life.device()

    async def test_no_code_and_no_name_is_in_any_event(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.keypad(WRONG)
            house.lock.keypad(CODE)
            await told(life)
            phone(house, Action.LOCK)
            await told(life, 2)
            everything = json.dumps([life.all_events, life.rows("SELECT value FROM fact")])
            for secret in (CODE, WRONG, "Ada"):
                assert secret not in everything

    async def test_one_code_has_one_identity(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.keypad(CODE)
            await told(life)
            house.lock.manual_lock()
            await told(life, 2)
            house.lock.keypad(CODE)
            first, _, third = await told(life, 3)
            assert first["access_code_id"] == third["access_code_id"]

    async def test_the_retained_state_changes_without_any_command(self, house):
        async with house.life() as life:
            connection = life.connect()
            await settled(life)
            house.lock.manual_unlock()
            await told(life)
            states = [sent.body for sent in connection.on(f"{BASE}/locks/{FRONT}/state")]
            assert states[-1]["lock_state"] == "unlocked"
            assert states[-1]["last_operation"]["performed_via"] == "manual_turn"
            assert all(sent.retain for sent in connection.on(f"{BASE}/locks/{FRONT}/state"))


class TestOnceOnly:
    async def test_the_past_of_a_lock_is_nobodys_business_when_it_is_first_met(self, house):
        for _ in range(3):
            house.lock.manual_unlock()
            house.lock.manual_lock()
        async with house.life() as life:
            await settled(life)
            await anyio.sleep(600)
            assert not life.events

    async def test_what_was_done_while_the_bridge_was_away_is_told_once_and_as_historic(self, house):
        async with house.life() as life:
            await settled(life)
        house.lock.keypad(CODE)
        await anyio.sleep(3600)
        for _ in range(3):
            async with house.life() as life:
                (operation,) = await told(life)
                assert (operation["performed_via"], operation["historic"]) == ("pin_code", True)
                (moved,) = of(life, "lock.unlocked")
                assert moved["historic"] is True
                assert moved["occurred_at"] < moved["created_at"]
                assert life.device()["last_operation"]["performed_via"] == "pin_code"

    async def test_more_than_a_page_is_told_in_its_order(self, house):
        async with house.life() as life:
            await settled(life)
        for _ in range(15):
            house.lock.manual_unlock()
            house.lock.manual_lock()
        async with house.life() as life:
            found = await told(life, 30)
            assert [each["action"] for each in found] == ["unlock", "lock"] * 15
            assert len({each["action_id"] for each in found}) == len({each["event_id"] for each in found}) == 30

    async def test_two_operations_between_two_looks_are_two(self, house):
        async with house.life() as life:
            await settled(life)
            house.radio.delays.append(5.0)
            house.lock.manual_unlock()
            await anyio.sleep(1)
            phone(house, Action.LOCK)
            found = await told(life, 2)
            assert [(each["action"], each["performed_via"]) for each in found] == [
                ("unlock", "manual_turn"),
                ("lock", "mobile_app"),
            ]

    async def test_what_was_read_and_not_told_is_told_in_the_next_life(self, house):
        async with house.life() as life:
            await settled(life)
        house.lock.fob()
        async with house.last_moments("before_told"):
            pass
        async with house.life() as life:
            (operation,) = await told(life)
            assert operation["performed_via"] == "bluetooth_key"

    async def test_what_could_not_be_recorded_is_told_later(self, house):
        async with house.life() as life:
            await settled(life)
            with life.unwritable():
                house.lock.fob()
                await anyio.sleep(100)
                assert not life.events
            (operation,) = await told(life)
            assert operation["performed_via"] == "bluetooth_key"

    async def test_a_log_that_began_anew_is_followed_from_its_end(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.manual_unlock()
            house.lock.manual_lock()
            await told(life, 2)
            house.lock.log.clear()
            house.lock._operations = 0
            house.lock.now = lambda: house.clock.wall() + timedelta(hours=3)
            for _ in range(2):
                house.lock.manual_unlock()
                house.lock.manual_lock()
            await anyio.sleep(60)
            assert len(operations(life)) == 2
            house.lock.fob()
            operation = (await told(life, 3))[-1]
            assert (operation["action"], operation["performed_via"]) == ("unlock", "bluetooth_key")
            assert "historic" not in operation

    async def test_a_clock_of_the_lock_that_is_wrong_dates_nothing_wrong(self, house):
        house.lock.now = lambda: house.clock.wall() - timedelta(days=400)
        async with house.life() as life:
            await settled(life)
            house.lock.fob()
            (operation,) = await told(life)
            assert "historic" not in operation
            assert operation["timestamp"].startswith("2026-01-31T12:00:2")


class TestOurs:
    async def test_our_own_operations_are_told_by_their_attempts_alone(self, house):
        async with house.life() as life:
            await settled(life)
            for action in ("unlock", "lock", "unlatch"):
                await life.perform(action)
                await anyio.sleep(30)
            assert [each["performed_via"] for each in operations(life)] == ["remote_api"] * 3
        async with house.life() as life:
            await settled(life)
            assert len(operations(life)) == 3
            assert life.device()["last_operation"]["action"] == "unlatch"

    async def test_a_hand_that_interferes_with_our_motor_is_told_beside_our_failure(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.faults.arm(Trouble.KNOB)
            attempt = await life.perform("unlock")
            assert attempt.state == "failed"
            ours, theirs = await told(life, 2)
            assert (ours["status"], ours["action_id"]) == ("failed", attempt.action_id)
            assert (theirs["action"], theirs["performed_via"]) == ("lock", "manual_turn")

    @pytest.mark.parametrize("pin", [True, False])
    async def test_what_somebody_did_just_before_our_command_is_told_too(self, house, pin):
        if not pin:
            without_pin(house)
        async with house.life() as life:
            await settled(life)
            house.lock.motor_time = 0
            house.radio.stuck.add(house.twins[FRONT].address)
            house.lock.fob()
            await anyio.sleep(5)
            house.radio.stuck.clear()
            await life.perform("lock")
            found = await told(life, 2)
            assert {(each["action"], each["performed_via"]) for each in found} == {
                ("unlock", "bluetooth_key" if pin else "unknown"),
                ("lock", "remote_api"),
            }
            assert life.device()["last_operation"]["performed_via"] == "remote_api"

    async def test_a_death_after_our_outcome_tells_nothing_twice(self, house):
        without_pin(house)
        async with house.life() as life:
            await settled(life)
        async with house.last_moments("after_outcome") as life:
            receipt = await life.submit("unlock")
        async with house.life() as life:
            await life.ended(receipt)
            await settled(life)
            assert len(operations(life)) == 1
            assert life.device()["last_operation"]["performed_via"] == "remote_api"

    async def test_an_outcome_that_nobody_knows_is_not_somebody_elses_operation(self, house):
        without_pin(house)
        async with house.life() as life:
            await settled(life)
            house.lock.faults.arm(Trouble.STALL)
            attempt = await life.perform("unlock")
            assert attempt.state == "unknown"
            await anyio.sleep(100)
            assert len(operations(life)) == 1


class TestUnknown:
    async def test_without_a_log_a_turn_by_hand_is_known_from_the_locks_own_report(self, house):
        without_pin(house)
        async with house.life() as life:
            await settled(life)
            house.lock.manual_unlock()
            (operation,) = await told(life)
            assert operation["performed_via"] == "manual_turn"

    @pytest.mark.parametrize("by", ["no pin", "not to be read", "wrong pin", "log off"])
    async def test_where_the_log_is_not_read_nobody_is_guessed(self, house, by):
        match by:
            case "no pin":
                without_pin(house)
            case "not to be read":
                house.lock_fields["read_log"] = False
            case "wrong pin":
                house.twins[FRONT].pin = 4321
            case _:
                house.twins[FRONT].logging = False
        async with house.life() as life:
            await settled(life)
            house.lock.fob()
            (operation,) = await told(life)
            assert (operation["action"], operation["performed_via"]) == ("unlock", "unknown")
            assert of(life, "lock.unlocked")[0]["method"] == "unknown"
            house.lock.keypad_lock()
            await told(life, 2)
        assert house.twins[FRONT].wrong_pins <= 1

    async def test_a_log_that_is_read_later_corrects_what_was_told(self, house):
        without_pin(house)
        async with house.life() as life:
            await settled(life)
            house.lock.keypad(CODE)
            await told(life)
            house.lock.manual_lock()
            await told(life, 2)
            house.lock.fob()
            first, _, third = await told(life, 3)
            assert [first["performed_via"], third["performed_via"]] == ["unknown", "unknown"]
        with_pin(house)
        async with house.life() as life:
            await until(lambda: len(operations(life)) == 5)
            await anyio.sleep(60)
            corrections = operations(life)[3:]
            assert [each["performed_via"] for each in corrections] == ["pin_code", "bluetooth_key"]
            for before, after in zip((first, third), corrections, strict=True):
                assert after["corrects"] == before["event_id"]
                assert after["action_id"] == before["action_id"]
                assert after["event_id"] != before["event_id"]
            methods = [event["method"] for event in of(life, "lock.unlocked")]
            assert methods == ["unknown", "unknown", "keycode", "remote"]
            assert "access_code_id" in corrections[0]
            assert life.device()["last_operation"]["performed_via"] == "bluetooth_key"

    async def test_a_link_lost_while_the_log_is_read_delays_the_name_and_nothing_else(self, house):
        async with house.life() as life:
            await settled(life)

            def weak(link):
                house.radio.on_link = lambda _link: None
                writes = []

                def write(_characteristic, data):
                    writes.append(data)
                    if len(writes) == 3:
                        link.drop()
                    return (data,)

                link.on_write = write

            house.radio.on_link = weak
            house.lock.motor_time = 0
            house.lock.fob()
            first, second = await told(life, 2)
            assert (first["performed_via"], second["performed_via"]) == ("unknown", "bluetooth_key")
            assert second["corrects"] == first["event_id"]
            assert second["action_id"] == first["action_id"]

    async def test_an_outcome_that_was_somebody_elses_is_put_right_by_the_log(self, house):
        async with house.life() as life:
            await settled(life)
            house.lock.faults.arm(Trouble.DROP_BEFORE_WRITE)
            receipt = await life.submit("unlock")
            await until(lambda: life.rows("SELECT state FROM attempt") == [("committed",)])
            house.lock.keypad(CODE)
            attempt = await life.ended(receipt)
            assert (attempt.state, attempt.method) == ("confirmed", "unknown")
            first, second = await told(life, 2)
            assert (first["performed_via"], first["action_id"]) == ("unknown", attempt.action_id)
            assert (second["performed_via"], second["corrects"]) == ("pin_code", first["event_id"])
            assert second["action_id"] == attempt.action_id
            assert [event["method"] for event in of(life, "lock.unlocked")] == ["unknown", "keycode"]
            assert life.device()["last_operation"]["performed_via"] == "pin_code"
