"""A lock is connected to while the command for it is being recorded, under virtual time."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.errors import Refused
from bridge.worker import RETRY_PAUSE
from tests.support.house import FRONT, TTL, House, check, until

DISK = 2.0
"""Seconds that the disk takes here for a read or a write."""


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path) as house:
        yield house


async def at_rest(life):
    """Wait until the first look at the lock is over and its link given up."""
    await until(lambda: life.states.known(FRONT) and not life.bridge.workers[FRONT]._sessions.open)


def connected(life):
    return life.bridge.workers[FRONT]._sessions.open


async def test_a_command_that_took_long_to_be_recorded_finds_the_lock_connected_to_and_untouched(house):
    async with house.life() as life:
        await at_rest(life)
        written = []
        house.radio.on_link = lambda link: setattr(link, "on_write", lambda _, data: written.append(data) or (data,))
        house.radio.delays.append(1.5 * DISK)
        house.disk_delay = DISK
        before = anyio.current_time()
        receipt = await life.submit(start=False)
        await until(lambda: connected(life))
        assert anyio.current_time() - before < 3 * DISK  # one after the other it were 2 for the disk and 1.5 to connect
        await anyio.sleep(1)
        assert connected(life)
        house.disk_delay = 0.0
        connects, untouched = len(house.radio.connects), not written
        life.bridge.dispatcher.start(receipt)
        attempt = await life.ended(receipt)
        check(house, life, attempt)
        assert attempt.state == "confirmed"
        assert untouched
        assert len(house.radio.connects) == connects


async def test_a_lock_is_given_no_less_than_no_time_for_a_command_that_was_recorded_too_late(house, monkeypatch):
    given = []
    connect = house.radio.connect

    async def noting(address, *, within):
        given.append(within)
        return await connect(address, within=within)

    async with house.life() as life:
        await at_rest(life)
        monkeypatch.setattr(house.radio, "connect", noting)
        worker = life.bridge.workers[FRONT]
        worker.expect(house.clock.boottime() - 1)
        await until(lambda: given)
        worker.dismiss()
    assert given == [0.0]


async def test_a_command_that_was_enqueued_while_its_lock_is_connected_to_goes_on_from_there(house):
    async with house.life() as life:
        await at_rest(life)
        house.radio.delays.append(5.0)
        connects = len(house.radio.connects)
        attempt = await life.perform()
        assert attempt.state == "confirmed"
        assert len(house.radio.connects) == connects + 1


async def test_a_command_that_is_refused_has_no_lock_connected_to(house):
    house.commands = {"rate_limit": 1}
    async with house.life() as life:
        await life.perform("lock")
        await at_rest(life)
        connects = len(house.radio.connects)
        with pytest.raises(Refused):
            await life.submit("lock")
        await anyio.sleep(10)
        assert len(house.radio.connects) == connects


async def test_a_link_that_was_made_for_a_command_that_could_not_be_recorded_is_given_up(house):
    async with house.life() as life:
        await at_rest(life)
        house.disk_delay = DISK
        connects = len(house.radio.connects)
        with life.unwritable(), pytest.raises(Refused):
            await life.submit()
        assert len(house.radio.connects) == connects + 1
        house.disk_delay = 0.0
        await at_rest(life)
        assert (await life.perform()).state == "confirmed"


async def test_why_a_lock_was_not_reached_is_told_though_there_was_no_time_to_try_again(house):
    async with house.life() as life:
        await at_rest(life)
        house.radio.refusals = 1
        house.disk_delay = TTL / 2 - RETRY_PAUSE / 3  # for reading and for writing
        receipt = await life.submit()
        house.disk_delay = 0.0
        attempt = await life.ended(receipt)
        check(house, life, attempt)
        assert (attempt.code, attempt.message) == ("DEVICE_OFFLINE", "The lock refused.")
    assert not house.movements


async def test_what_kept_a_lock_from_being_reached_for_an_unrecorded_command_is_not_told_of_a_later_one(house):
    async with house.life() as life:
        await at_rest(life)
        life.bridge.workers[FRONT].rekey(None)
        house.disk_delay = DISK
        with life.unwritable(), pytest.raises(Refused):
            await life.submit()
        house.disk_delay = 0.0
        life.bridge.workers[FRONT].rekey(house.credentials[FRONT])
        assert (await life.perform()).state == "confirmed"


async def test_a_second_command_that_comes_while_the_first_is_recorded_is_carried_out_after_it(house):
    async with house.life() as life:
        await at_rest(life)
        house.disk_delay = DISK
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(life.perform, "unlock")
            await anyio.sleep(DISK / 2)
            tasks.start_soon(life.perform, "lock")
        assert [movement.action.value for movement in house.movements] == ["unlock", "lock"]
