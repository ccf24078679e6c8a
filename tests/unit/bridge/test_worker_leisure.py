"""What a worker does when nobody asks for anything, with the real driver and a virtual lock, under virtual time."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.watch import watcher
from drivers.virtual.faults import Trouble
from tests.support.house import FRONT, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class TestLeisure:
    async def test_a_lock_that_nobody_asked_for_is_read_and_let_go(self, house):
        async with house.life() as life:
            await until(lambda: life.device()["lock_state"] == "locked")
            link = house.radio.links[-1]
            await until(lambda: not link.is_open)
            assert anyio.current_time() == pytest.approx(10, abs=0.1)

    async def test_a_link_that_is_to_be_kept_is_kept(self, house):
        house.lock_fields["connection"] = "always"
        async with house.life():
            await anyio.sleep(600)
            assert house.radio.links[-1].is_open
        assert len(house.radio.connects) == 1

    async def test_a_link_that_is_to_be_kept_is_made_again_when_it_ends(self, house):
        house.lock_fields["connection"] = "always"
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            await anyio.sleep(2 * watcher.STANDING_PAUSE_LIMIT)
            house.radio.links[-1].drop()
            await anyio.sleep(2 * watcher.STANDING_PAUSE)
            assert house.radio.links[-1].is_open
            assert life.device()["online"]
        assert len(house.radio.connects) == 2

    async def test_a_link_that_ends_again_and_again_is_made_ever_more_rarely(self, house):
        house.lock_fields["connection"] = "always"

        async def drop(link) -> None:
            await anyio.sleep(1)
            link.drop()

        async with anyio.create_task_group() as tasks:
            house.radio.on_link = lambda link: tasks.start_soon(drop, link)
            async with house.life() as life:
                await anyio.sleep(3600)
                assert 50 < len(house.radio.connects) < 80
                assert life.device()["online"]

    async def test_a_link_that_is_to_be_kept_is_made_again_once_the_lock_is_back(self, house):
        house.lock_fields["connection"] = "always"
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            house.lock.offline()
            house.radio.links[-1].drop()
            await until(lambda: not life.device()["online"])
            await anyio.sleep(24 * 3600)
            house.lock.online()
            await anyio.sleep(watcher.STANDING_PAUSE_LIMIT)
            assert house.radio.links[-1].is_open
            assert life.device()["online"]

    async def test_a_link_that_lingers_is_let_go_when_another_lock_needs_its_place(self, house):
        house.lock_fields["linger"] = 300
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            await anyio.sleep(5)
            assert house.radio.links[-1].is_open
            house.radio.crowded.set()
            await anyio.sleep(0.1)
            assert not house.radio.links[-1].is_open
            assert life.device()["online"]

    async def test_after_a_command_a_link_is_let_go_at_once_when_another_lock_needs_its_place(self, house):
        house.lock_fields["linger"] = 300
        async with house.life() as life:
            await life.perform()
            assert house.radio.links[-1].is_open
            house.radio.crowded.set()
            await anyio.sleep(0.1)
            assert not house.radio.links[-1].is_open

    async def test_a_lock_that_the_air_lost_is_read_again_once_it_is_heard(self, house):
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            await anyio.sleep(20)
            house.radio.silent = True
            house.lock.offline()
            await until(lambda: life.device().get("offline_reason") == "out_of_range")
            await anyio.sleep(3600)
            assert len(house.radio.connects) == 1
            house.radio.silent = False
            house.lock.online()
            await anyio.sleep(2)
            assert life.device()["online"]
        assert len(house.radio.connects) == 2

    async def test_a_lock_that_cannot_be_read_is_tried_again_ever_more_rarely(self, house):
        house.radio.refusals = 1000
        async with house.life() as life:
            await anyio.sleep(watcher.RETRY_PAUSE)
            assert len(house.radio.connects) == 1
            assert life.device()["offline_reason"] == "held_by_another"
            await anyio.sleep(2)
            assert len(house.radio.connects) == 2
            await anyio.sleep(24 * 3600)
            assert 20 < len(house.radio.connects) < 40
            house.radio.refusals = 0
            await anyio.sleep(watcher.RETRY_PAUSE_LIMIT)
            assert life.device()["online"]

    async def test_a_latch_that_springs_back_is_noticed(self, house):
        async with house.life() as life:
            await life.perform("unlatch")
            connects = len(house.radio.connects)
            assert life.device()["lock_state"] == "unlatched"
            await until(lambda: life.device()["lock_state"] == "unlocked")
            assert len(house.radio.connects) == connects

    async def test_a_lock_that_comes_back_is_read_as_soon_as_it_is_heard(self, house):
        house.lock.offline()
        async with house.life() as life:
            await anyio.sleep(2 * 3600)
            assert len(house.radio.connects) == 1
            house.lock.online()
            await anyio.sleep(2)
            assert life.device()["online"]

    async def test_a_lock_that_is_not_found_at_leisure_does_not_keep_a_link(self, house):
        house.radio.delays.append(watcher.LOOK_TIME - 1)
        house.lock.faults.arm(Trouble.LOSE_INDICATION, times=None)
        async with house.life() as life:
            await anyio.sleep(watcher.LOOK_TIME + 1)
            assert not house.radio.links[-1].is_open
            assert not life.device()["online"]

    @pytest.mark.parametrize("delay", [0.0, 0.5, 14.0])
    async def test_a_command_does_not_wait_for_a_read_at_leisure(self, house, delay):
        house.radio.stuck.add(house.twins[FRONT].address)
        async with house.life() as life:
            await anyio.sleep(delay)
            house.radio.stuck.clear()
            before = anyio.current_time()
            attempt = await life.perform()
            assert attempt.state == "confirmed"
            assert anyio.current_time() - before < 1.1

    async def test_a_link_that_died_while_it_lingered_is_not_tried_again(self, house):
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            house.radio.links[-1].drop()
            await anyio.sleep(1)
            before = anyio.current_time()
            attempt = await life.perform()
            assert attempt.state == "confirmed"
            assert anyio.current_time() - before < 0.5 + house.lock.motor_time
        assert len(house.radio.connects) == 2

    async def test_a_link_that_died_while_it_lingered_costs_one_more_connect(self, house):
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            house.radio.links[-1].drop()
            attempt = await life.perform()
            assert attempt.state == "confirmed"
        assert len(house.radio.connects) == 2
