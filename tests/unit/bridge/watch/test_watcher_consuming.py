"""Who operated a lock whose log forgets what is read of it, with the real Yale driver and a virtual lock.

Each record is told once, across restarts and though reading consumes it, and only where the lock's owner says so.
"""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
import trio.testing

from bridge.watch.reckoning import PENDING
from drivers.base import Action, Advertisement
from drivers.virtual.operation import Operator, Origin
from drivers.yale.protocol.codes import Uuid
from tests.support.house import FRONT, House, until

CODES = {"482913": "Ada"}


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, driver="yale", pin_codes=CODES) as house:
        house.lock_fields["yale"] = {"consume_log": True}
        yield house


async def met(life):
    """Return once the lock was read and its link let go."""
    await until(lambda: life.device()["online"])
    await anyio.sleep(100)  # it was heard since, and looked at again


async def told(life, number=1):
    """Return the operations once so many are told, and nothing more is for a while."""
    await until(lambda: len(operations(life)) >= number)
    await anyio.sleep(60)
    return operations(life)


def operations(life):
    return [event for event in life.all_events if event["event_type"] == "lock.action_completed"]


def ways(events):
    return [(event["action"], event["performed_via"]) for event in events]


def phone(house, action=Action.UNLOCK):
    house.lock.operate(action, Operator(Origin.BLUETOOTH, 2, "a phone"))


def kept(house):
    """Return how many records the lock still has."""
    return sum(operation.index > house.twins[FRONT]._taken for operation in house.lock.log)


WAYS = {
    "manual_turn": lambda house: house.lock.manual_unlock(),
    "pin_code": lambda house: house.lock.keypad("482913"),
    "mobile_app": phone,
    "unknown": lambda house: house.lock.fob(),
}


class TestWays:
    @pytest.mark.parametrize("connection", ["on_demand", "always"])
    @pytest.mark.parametrize("via", WAYS)
    async def test_each_way_is_told_as_what_it_was(self, house, via, connection):
        house.lock_fields["connection"] = connection
        async with house.life() as life:
            await met(life)
            WAYS[via](house)
            (operation,) = await told(life)
            assert ways([operation]) == [("unlock", via)]
            assert not {"historic", "corrects", "custom_id"} & set(operation)
            assert ("access_code_id" in operation) is (via == "pin_code")
            assert life.device()["lock_state"] == "unlocked"
            assert kept(house) == 0

    async def test_a_wrong_code_is_told_as_nothing(self, house):
        async with house.life() as life:
            await met(life)
            assert not house.lock.keypad("000000")
            await anyio.sleep(60)
            house.lock.manual_unlock()
            assert ways(await told(life)) == [("unlock", "manual_turn")]

    async def test_no_code_is_in_any_event(self, house):
        async with house.life() as life:
            await met(life)
            house.lock.keypad("482913")
            await told(life)
            assert "482913" not in str(life.all_events)


class TestOptIn:
    @pytest.mark.parametrize("fields", [{}, {"yale": {"consume_log": True}, "read_log": False}])
    async def test_without_it_nothing_is_taken_and_nobody_is_guessed(self, house, fields):
        house.lock_fields.pop("yale")
        house.lock_fields.update(fields)
        async with house.life() as life:
            await met(life)
            house.lock.manual_unlock()
            assert ways(await told(life)) == [("unlock", "unknown")]
            await life.perform("lock")
            await anyio.sleep(60)
            assert kept(house) == 2

    async def test_what_was_there_before_it_is_nobodys_business(self, house):
        house.lock.manual_unlock()
        house.lock.manual_lock()
        async with house.life() as life:
            await met(life)
            await anyio.sleep(60)
            assert operations(life) == []
            assert kept(house) == 0


class TestOnce:
    async def test_what_was_done_while_the_bridge_was_away_is_told_once_and_as_historic(self, house):
        async with house.life() as life:
            await met(life)
        house.lock.manual_unlock()
        house.lock.manual_lock()
        await anyio.sleep(3600)
        async with house.life() as life:
            events = await told(life, 2)
            assert ways(events) == [("unlock", "manual_turn"), ("lock", "manual_turn")]
            assert all(event["historic"] for event in events)
        async with house.life() as life:
            await met(life)
            assert len(operations(life)) == 2

    async def test_records_are_taken_one_by_one_each_recorded_before_the_next(self, house):
        async with house.life() as life:
            await met(life)
        for _ in range(3):
            house.lock.manual_unlock()
            house.lock.manual_lock()
        async with house.last_moments("before_told") as life:
            await until(lambda: kept(house) < 6)
            assert kept(house) == 5
        assert kept(house) == 5
        async with house.life() as life:
            assert ways(await told(life, 5))[-1] == ("lock", "manual_turn")
            assert len(operations(life)) == 5, "the one that was under way when the process died, and no more, is lost"

    async def test_what_could_not_be_recorded_is_kept_and_told_later(self, house):
        async with house.life() as life:
            await met(life)
            with life.unwritable():
                house.lock.manual_unlock()
                await until(lambda: kept(house) == 0)
                house.lock.manual_lock()
                await anyio.sleep(30)
                assert kept(house) == 1, "no more is taken while nothing can be recorded"
            assert ways(await told(life, 2)) == [("unlock", "manual_turn"), ("lock", "manual_turn")]

    async def test_a_command_that_comes_meanwhile_loses_no_record(self, house):
        async with house.life() as life:
            await met(life)
            for _ in range(10):
                house.lock.manual_unlock()
                house.lock.manual_lock()
            await until(lambda: kept(house) < 20)
            attempt = await life.perform("unlock")
            assert attempt.code is None
            events = await told(life, 21)
            assert len(events) == 21
            assert [event["performed_via"] for event in events].count("manual_turn") == 20


class TestOurs:
    @pytest.mark.parametrize("connection", ["on_demand", "always"])
    async def test_our_own_operations_are_told_by_their_attempts_alone(self, house, connection):
        house.lock_fields["connection"] = connection
        async with house.life() as life:
            await met(life)
            for action in ("unlock", "lock", "unlock"):
                await life.perform(action)
            events = await told(life, 3)
            assert ways(events) == [("unlock", "remote_api"), ("lock", "remote_api"), ("unlock", "remote_api")]
            assert kept(house) == 0

    async def test_ours_are_ours_after_a_restart_too(self, house):
        async with house.life() as life:
            await met(life)
            await life.perform("unlock")
        assert kept(house) == 1
        async with house.life() as life:
            await met(life)
            assert ways(operations(life)) == [("unlock", "remote_api")]
            assert kept(house) == 0

    async def test_an_outcome_that_nobody_knows_is_not_a_phones_operation(self, house):
        async with house.life() as life:
            await met(life)
            house.lock.drop_after_write()
            await life.perform("unlock")
            await anyio.sleep(120)
            assert "mobile_app" not in str(life.all_events)
            assert kept(house) == 0

    async def test_a_success_that_was_read_back_is_ours_once_the_log_says_so(self, house):
        async with house.life() as life:
            await met(life)
            house.lock.drop_after_write()
            attempt = await life.perform("unlock")
            await until(lambda: len(operations(life)) == 2)
            first, second = operations(life)
            assert ways([first, second]) == [("unlock", "unknown"), ("unlock", "remote_api")]
            assert second["corrects"] == first["event_id"]
            assert first["action_id"] == second["action_id"] == attempt.action_id
            assert life.device()["last_operation"]["performed_via"] == "remote_api"

    async def test_however_often_we_command_it_between_two_looks_nothing_is_told_as_somebody_elses(self, house):
        async with house.life() as life:
            await met(life)
            for action in 12 * ("unlock", "lock"):
                await life.perform(action)
            assert kept(house) > PENDING, "nobody looked in between"
            assert ways(await told(life, 24)) == 12 * [("unlock", "remote_api"), ("lock", "remote_api")]
            assert kept(house) == 0

    async def test_a_phone_after_us_is_not_us(self, house):
        async with house.life() as life:
            await met(life)
            await life.perform("unlock")
            await told(life)
            phone(house, Action.LOCK)
            await told(life, 2)
            phone(house)
            assert ways(await told(life, 3))[1:] == [("lock", "mobile_app"), ("unlock", "mobile_app")]


class TestClocks:
    @pytest.mark.parametrize("off", [timedelta(days=-3), timedelta(days=3), timedelta(hours=-1)])
    async def test_a_lock_whose_clock_is_wrong_dates_nothing_wrong(self, house, off):
        house.lock.now = lambda: house.clock.wall() + off
        async with house.life() as life:
            await met(life)
            house.lock.manual_unlock()
            (operation,) = await told(life)
            assert ways([operation]) == [("unlock", "manual_turn")]
            assert "historic" not in operation
            at = house.clock.wall() - timedelta(minutes=5)
            assert operation["timestamp"] > at.isoformat()[:19]


class TestHints:
    async def test_a_change_is_noticed_by_the_advertisement_and_looked_at_once(self, house):
        async with house.life() as life:
            await met(life)
            before = len(house.radio.connects)
            house.lock.manual_unlock()
            await told(life)
            assert len(house.radio.connects) == before + 1
            await anyio.sleep(3600)
            assert len(house.radio.connects) == before + 1

    async def test_marks_of_different_kinds_in_turn_are_no_change(self, house):
        homekit = bytes([6, 0x31, 0, *range(6), 6, 0, 1, 0, 1, 2])
        async with house.life() as life:
            await met(life)
            frames = [
                Advertisement(house.twins[FRONT].address, manufacturer_data=data, service_uuids=(Uuid.SERVICE.value,))
                for data in ({465: bytes([house.twins[FRONT].toggle])}, {76: homekit}, {465: bytes(18)}, {})
            ]
            for _ in range(2):  # the first of a kind is looked at
                house.radio._heard.send(frames[1])
                await anyio.sleep(100)
            before = len(house.radio.connects)
            for frame in 20 * frames:
                house.radio._heard.send(frame)
                await anyio.sleep(5)
            assert len(house.radio.connects) == before
            house.radio._heard.send(
                Advertisement(
                    frames[1].address,
                    manufacturer_data={76: homekit[:11] + b"\x02" + homekit[12:]},
                    service_uuids=frames[1].service_uuids,
                )
            )
            await anyio.sleep(100)
            assert len(house.radio.connects) == before + 1
