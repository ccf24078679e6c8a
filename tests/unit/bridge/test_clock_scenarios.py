"""A clock that is wrong, is set, or stands still while the machine sleeps: nothing moves late, nothing is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
import trio.testing

from bridge import availability, crash
from bridge.attempt import State
from bridge.errors import Refused
from bridge.journal.journal import ATTEMPT_MEMORY, CUSTOM_ID_MEMORY, EVENT_MEMORY
from tests.support.clock import MachineClock
from tests.support.house import BACK, BASE, FRONT, TTL, House, until

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIFTY_YEARS = 50 * 365.25 * 86400
HOURS = -5 * 3600.0
STEPS = pytest.mark.parametrize("step", [FIFTY_YEARS, HOURS], ids=["50 years forward", "hours back"])
ACTIONS = f"{BASE}/locks/{FRONT}/actions"
REPLY = f"{ACTIONS}/reply"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    """A house whose bridge began without knowing the time."""
    async with House.standing(tmp_path, FRONT, BACK) as house:
        house.clock = MachineClock()
        yield house


def moment(clock, seconds):
    """What the wall clock shows in so many seconds, as a sender writes it."""
    return (clock.wall() + timedelta(seconds=seconds)).isoformat()


async def is_answered(connection, packet):
    """Return the reply to a delivered command."""
    await until(lambda: packet in connection.acked)
    return connection.on(REPLY)[-1].body


class TestWithoutAClock:
    async def test_a_command_without_expires_at_works(self, house):
        async with house.life() as life:
            assert (await life.perform()).state is State.CONFIRMED
            assert (await life.perform("lock")).state is State.CONFIRMED
        assert len(house.movements) == 2

    @pytest.mark.parametrize("action", ["unlock", "unlatch"])
    @pytest.mark.parametrize("seconds", [-FIFTY_YEARS, 10, FIFTY_YEARS])
    async def test_what_opens_is_refused_with_expires_at(self, house, action, seconds):
        house.clock.step_wall(2 * FIFTY_YEARS, synchronised=False)
        async with house.life() as life:
            with pytest.raises(Refused) as refusal:
                await life.submit(action, expires_at=moment(house.clock, seconds))
            assert refusal.value.code == "CLOCK_NOT_TRUSTED"
            await anyio.sleep(60)
        assert not house.movements

    @pytest.mark.parametrize("seconds", [-FIFTY_YEARS, 10, FIFTY_YEARS])
    async def test_a_lock_with_expires_at_has_the_time_to_live(self, house, seconds):
        house.clock.step_wall(2 * FIFTY_YEARS, synchronised=False)
        house.lock.turn("unlocked")
        async with house.life() as life:
            receipt = await life.submit("lock", expires_at=moment(house.clock, seconds))
            assert receipt.attempt.deadline == pytest.approx(house.clock.boottime() + TTL, abs=0.1)
            assert (await life.ended(receipt)).state is State.CONFIRMED

    async def test_expires_at_counts_once_the_time_is_known(self, house):
        async with house.life() as life:
            house.clock.step_wall(FIFTY_YEARS)
            with pytest.raises(Refused) as refusal:
                await life.submit(expires_at=moment(house.clock, -1))
            assert refusal.value.code == "COMMAND_EXPIRED"
            receipt = await life.submit(expires_at=moment(house.clock, 5))
            assert receipt.attempt.deadline == pytest.approx(house.clock.boottime() + 5, abs=0.1)


class TestAStep:
    @STEPS
    async def test_p3_what_waits_neither_expires_nor_lives_longer(self, house, step):
        house.radio.stuck.add(house.twins[FRONT].address)
        async with house.life() as life:
            in_time, late = await life.submit(lock_id=BACK, start=False), await life.submit()
            house.clock.step_wall(step)
            life.bridge.dispatcher.start(in_time)
            assert (await life.ended(in_time)).state is State.CONFIRMED
            ended = await life.ended(late)
            assert (ended.state, ended.code) == (State.FAILED, "DEVICE_OFFLINE")
            assert house.clock.boottime() == pytest.approx(late.attempt.deadline, abs=1)
            house.radio.stuck.clear()
            await anyio.sleep(120)
        assert not house.movements

    @STEPS
    async def test_a_step_while_the_motor_turns_changes_nothing(self, house, step):
        house.lock.motor_time = 10
        async with house.life() as life:
            receipt = await life.submit()
            await until(lambda: house.movements)
            house.clock.step_wall(step)
            assert (await life.ended(receipt)).state is State.CONFIRMED
            await anyio.sleep(60)
        assert len(house.movements) == 1

    @STEPS
    async def test_a_custom_id_is_still_known(self, house, step):
        async with house.life() as life:
            first = await life.perform(custom_id="req_1")
            house.clock.step_wall(step)
            again = await life.submit(custom_id="req_1")
            assert (again.replayed, again.attempt.action_id) == (True, first.action_id)
        async with house.life() as life:
            assert (await life.submit(custom_id="req_1")).replayed
            await anyio.sleep(60)
        assert len(house.movements) == 1

    @STEPS
    async def test_a_custom_id_is_forgotten_after_a_day_as_boot_time_has_it(self, house, step):
        async with house.life() as life:
            first = await life.perform(custom_id="req_1")
            house.clock.step_wall(step)
            await anyio.sleep(CUSTOM_ID_MEMORY + 60)
            again = await life.submit(custom_id="req_1")
            assert not again.replayed
            assert again.attempt.action_id != first.action_id

    @STEPS
    async def test_events_keep_their_order_and_none_that_waits_is_dropped(self, house, step):
        async with house.life() as life:
            first = await life.perform()
            with pytest.raises(Refused):
                await life.submit("dance")
            house.clock.step_wall(step)
            second = await life.perform("lock")
            waiting = life.rows("SELECT seq FROM event WHERE sent = 0 ORDER BY seq")
            await life.bridge.journal.prune()
            await anyio.sleep(7200)  # the clean-up by itself
            assert life.rows("SELECT seq FROM event WHERE sent = 0 ORDER BY seq") == waiting
            connection = life.connect()
            await until(lambda: not life.rows("SELECT * FROM event WHERE sent = 0"))
            told = [sent.body for sent in connection.on(f"{BASE}/events/")]
        assert [event["event_type"] for event in told].count("bridge.command_refused") == 1
        done = [event["action_id"] for event in told if event["event_type"] == "lock.action_completed"]
        assert done == [first.action_id, second.action_id]

    async def test_what_another_boot_told_without_a_clock_waits_until_it_is_sent(self, house):
        async with house.life() as life:
            await life.perform()
            with pytest.raises(Refused):
                await life.submit("dance")
            waiting = life.rows("SELECT seq FROM event ORDER BY seq")
        house.clock.reboot(wall=EPOCH)
        async with house.life() as life:
            house.clock.step_wall(FIFTY_YEARS)
            await life.bridge.journal.prune()
            assert life.rows("SELECT seq FROM event WHERE sent = 0 ORDER BY seq") == waiting
            connection = life.connect()
            await until(lambda: not life.rows("SELECT * FROM event WHERE sent = 0"))
            assert len(connection.on(f"{BASE}/events/")) == len(waiting)

    async def test_in_the_end_all_is_forgotten(self, house, monkeypatch):
        monkeypatch.setattr(availability, "LOOK", 3600.0)  # it lasts for weeks
        async with house.life() as life:
            await life.perform(custom_id="req_1")
            connection = life.connect()
            await until(lambda: not life.rows("SELECT * FROM event WHERE sent = 0"))
            assert connection.done
        house.clock.reboot(wall=EPOCH)
        async with house.life() as life:
            house.clock.step_wall(FIFTY_YEARS)
            await anyio.sleep(CUSTOM_ID_MEMORY + 60)
            again = await life.submit(custom_id="req_1", start=False)
            assert not again.replayed
            await anyio.sleep(max(ATTEMPT_MEMORY, EVENT_MEMORY) + 7200)
            assert life.rows("SELECT custom_id FROM attempt WHERE ended_at IS NOT NULL") == []
            assert life.rows("SELECT * FROM event") == []


class TestASuspendedMachine:
    async def test_p3_a_command_that_waits_for_its_lock_is_over_when_the_machine_wakes(self, house):
        async with house.life() as life:
            house.radio.delays.append(10)
            receipt = await life.submit()
            await until(lambda: house.radio.connects)
            house.clock.suspend(3600)
            ended = await life.ended(receipt)
            assert (ended.state, ended.code) == (State.FAILED, "ACTION_TIMEOUT")
            await anyio.sleep(60)
        assert not house.movements

    async def test_a_command_behind_another_is_over_when_the_machine_wakes(self, house):
        house.lock.motor_time = 5
        async with house.life() as life:
            first, second = await life.submit(), await life.submit("lock")
            await until(lambda: house.movements)
            house.clock.suspend(3600)
            assert (await life.ended(first)).state is State.CONFIRMED
            ended = await life.ended(second)
            assert (ended.state, ended.code) == (State.FAILED, "ACTION_TIMEOUT")
        assert len(house.movements) == 1

    @pytest.mark.parametrize(("seconds", "moved"), [(TTL + 1, 0), (3600, 0), (1, 1)])
    async def test_p3_nothing_is_written_after_a_sleep_at_the_commit_point(self, house, monkeypatch, seconds, moved):
        async with house.life() as life:
            monkeypatch.setattr(
                crash, "point", lambda name: house.clock.suspend(seconds) if name == "after_commit" else None
            )
            ended = await life.perform()
            await anyio.sleep(60)
        assert (ended.state is State.CONFIRMED, len(house.movements)) == (bool(moved), moved)

    async def test_a_sleep_while_the_commit_is_written_counts(self, house):
        async with house.life() as life:
            receipt = await life.submit(start=False)
            house.disk_delay = 5
            life.bridge.dispatcher.start(receipt)
            committed = f"SELECT 1 FROM attempt WHERE seq = {receipt.attempt.seq} AND state = 'committed'"
            await anyio.sleep(4)
            assert not life.rows(committed)
            house.clock.suspend(TTL)
            ended = await life.ended(receipt)
            assert (ended.state, ended.code) == (State.FAILED, "ACTION_TIMEOUT")
        assert not house.movements

    async def test_a_sleep_while_the_motor_turns_leaves_its_outcome(self, house):
        house.lock.motor_time = 5
        async with house.life() as life:
            receipt = await life.submit()
            await until(lambda: house.movements)
            house.clock.suspend(3600)
            assert (await life.ended(receipt)).state is State.CONFIRMED
        assert len(house.movements) == 1

    async def test_what_had_arrived_before_a_sleep_is_not_taken_as_new_after_it(self, house):
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            house.clock.suspend(3600)
            packet = connection.deliver(ACTIONS, {"action": "unlock"})
            connection.deliver(ACTIONS, {"action": "unlock"}, expires_in=20)
            await anyio.sleep(60)
            assert not connection.acked
            assert not life.rows("SELECT * FROM attempt")
            # The broker keeps what was not acknowledged, and knows how old it is.
            connection = life.connect(session_present=True, generation=2)
            packet = connection.deliver(ACTIONS, {"action": "unlock"}, dup=True, packet_id=packet)
            assert (await is_answered(connection, packet))["error_code"] == "COMMAND_EXPIRED"
            packet = connection.deliver(ACTIONS, {"action": "unlock"}, dup=True, expires_in=0)
            assert (await is_answered(connection, packet))["error_code"] == "COMMAND_EXPIRED"
            await anyio.sleep(60)
        assert not house.movements

    async def test_after_a_sleep_a_new_connection_serves(self, house):
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            house.clock.suspend(3600)
            connection.deliver(ACTIONS, {"action": "unlock"})
            connection = life.connect(generation=2)
            packet = connection.deliver(ACTIONS, {"action": "unlock"})
            assert (await is_answered(connection, packet))["status"] == "pending"
            await until(lambda: house.movements)


async def test_a_command_that_waited_in_the_bridge_is_as_old_as_it_is(house):
    async with house.life() as life:
        connection = life.connect()
        await until(lambda: connection.subscriptions)
        house.disk_delay = TTL / 2
        first = connection.deliver(ACTIONS, {"action": "lock", "custom_id": "first"})
        second = connection.deliver(ACTIONS, {"action": "unlock", "custom_id": "second"})
        arrived = house.clock.boottime()
        await until(lambda: {first, second} <= set(connection.acked))
        house.disk_delay = 0
        deadlines = [deadline for (deadline,) in life.rows("SELECT deadline FROM attempt ORDER BY seq")]
        assert deadlines == [pytest.approx(arrived + TTL, abs=0.1)] * len(deadlines)
        assert deadlines
        await anyio.sleep(120)
    assert not house.movements


class TestAReboot:
    @pytest.mark.parametrize("wall", [EPOCH, EPOCH + timedelta(seconds=FIFTY_YEARS)], ids=["1970", "known"])
    async def test_p3_nothing_that_was_not_committed_is_resumed(self, house, wall):
        async with house.life() as life:
            receipts = [await life.submit(start=False, custom_id="req_1"), await life.submit("lock", start=False)]
        house.clock.reboot(wall=wall)
        async with house.life() as life:
            for receipt in receipts:
                ended = await life.ended(receipt)
                assert (ended.state, ended.code) == (State.FAILED, "ACTION_TIMEOUT")
            await anyio.sleep(60)
        assert not house.movements

    @pytest.mark.parametrize("synchronised", [False, True])
    async def test_p2_what_was_done_without_a_clock_is_not_done_again_for_a_repetition(self, house, synchronised):
        async with house.life() as life:
            connection = life.connect()
            packet = connection.deliver(ACTIONS, {"action": "unlock"})
            assert (await is_answered(connection, packet))["status"] == "pending"
            await life.perform("lock", custom_id="req_1")
            moved = len(house.movements)
        house.clock.reboot(wall=EPOCH)
        async with house.life() as life:
            if synchronised:
                house.clock.step_wall(FIFTY_YEARS)
            assert (await life.submit("lock", custom_id="req_1")).replayed
            connection = life.connect(session_present=True)
            again = connection.deliver(ACTIONS, {"action": "unlock"}, dup=True, packet_id=packet, expires_in=20)
            assert (await is_answered(connection, again))["replayed"]
            await anyio.sleep(60)
        assert len(house.movements) == moved
