"""In what order a worker does things, and how it ends, with the real driver and a virtual lock, under virtual time."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.errors import Refused
from tests.support.house import BACK, FRONT, check, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class TestStorage:
    async def test_a_journal_that_cannot_take_the_commit_keeps_the_bolt_where_it_is(self, house):
        async with house.life() as life:
            receipt = await life.submit()
            with life.unwritable():
                await anyio.sleep(10)
                assert not house.movements
                assert life.rows("SELECT state FROM attempt") == [("accepted",)]
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "STORAGE_UNAVAILABLE")
        assert not house.movements

    async def test_an_outcome_is_held_until_it_can_be_written(self, house):
        async with house.life() as life:
            receipt = await life.submit()
            await until(lambda: house.movements)
            with life.unwritable():
                await anyio.sleep(600)
                assert life.rows("SELECT state FROM attempt") == [("committed",)]
                assert not life.events
                assert life.device()["lock_state"] == "unlocking"
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert attempt.state == "confirmed"
            assert life.device()["lock_state"] == "unlocked"
        assert len(house.movements) == 1


class TestOrder:
    async def test_a_locks_commands_are_carried_out_in_their_order(self, house):
        async with house.life() as life:
            receipts = [await life.submit(action) for action in ("unlock", "lock", "unlatch", "lock", "unlock")]
            for receipt in receipts:
                attempt = await life.ended(receipt)
                check(house, life, attempt)
                assert attempt.state == "confirmed"
            told = [event["action_id"] for event in life.events if "action_id" in event]
            assert told == [receipt.attempt.action_id for receipt in receipts]
        tags = [movement.tag for movement in house.movements]
        assert tags == [receipt.attempt.tag for receipt in receipts]

    async def test_more_than_the_limit_do_not_wait(self, house):
        house.lock.motor_time = 5
        async with house.life() as life:
            await life.submit()
            await until(lambda: house.movements)
            for action in ("lock", "unlock", "lock", "unlock"):
                await life.submit(action)
            with pytest.raises(Refused) as refusal:
                await life.submit("lock")
            assert refusal.value.code == "DEVICE_BUSY"
            assert life.bridge.workers[FRONT].waiting == 4

    async def test_a_stuck_lock_delays_no_other(self, two_doors):
        house = two_doors
        house.radio.stuck.add(house.twins[FRONT].address)
        async with house.life() as life:
            stuck = await life.submit(lock_id=FRONT)
            attempt = await life.perform(lock_id=BACK)
            assert attempt.state == "confirmed"
            assert anyio.current_time() < 2
            assert not (await life.attempt(stuck)).state.terminal


class TestTheEnd:
    async def test_told_to_stop_it_finishes_what_is_past_the_commit(self, house):
        async with house.life() as life:
            first, second = await life.submit("unlock"), await life.submit("lock")
            await until(lambda: house.movements)
            await life.bridge.stop()
            attempt = await life.attempt(first)
            check(house, life, attempt)
            assert attempt.state == "confirmed"
            assert (await life.attempt(second)).state == "accepted"
        assert len(house.movements) == 1

    async def test_told_to_stop_it_begins_nothing_more(self, house):
        house.radio.delays.extend([5, 5])
        async with house.life() as life:
            receipt = await life.submit()
            await anyio.sleep(1)
            await life.bridge.stop()
            await anyio.sleep(10)
            assert (await life.attempt(receipt)).state == "accepted"
            assert anyio.current_time() < 20
        assert not house.movements

    async def test_told_to_stop_it_does_not_wait_for_ever_for_a_journal_that_cannot_be_written(self, house):
        """Each of those that wait has its outcome without any exchange with the lock."""
        async with house.life() as life:
            receipts = [await life.submit(expires_in=3) for _ in range(3)]
            house.radio.stuck.add(house.twins[FRONT].address)
            house.radio.links.clear()
            life.lock_journal()
            await anyio.sleep(5)
            with anyio.fail_after(30):
                await life.bridge.stop()
                await life.bridge.workers[FRONT].stopped.wait()
            life.unlock_journal()
            assert {(await life.attempt(receipt)).state for receipt in receipts} == {"accepted"}

    @pytest.mark.parametrize("name", ["after_commit", "before_outcome", "after_outcome"])
    async def test_dying_anywhere_loses_and_doubles_nothing(self, house, name):
        async with house.last_moments(name) as life:
            receipt = await life.submit()
        moved = len(house.movements)
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert attempt.state == ("confirmed" if moved else "unknown")
            await anyio.sleep(60)
        assert len(house.movements) == moved == (name != "after_commit")
