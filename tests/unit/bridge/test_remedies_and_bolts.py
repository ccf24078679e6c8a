"""A bolt never moves while the radio is treated, and the radio is never treated while a bolt may move."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge import radios
from bridge.ble.radio import RadioDown
from drivers.virtual.faults import Trouble
from tests.support.house import FRONT, TTL, check, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def interlock(life):
    return life.bridge.workers[FRONT]._interlock


async def test_a_bolt_counts_as_moving_from_the_commit_point_to_the_recorded_outcome(house):
    async with house.life() as life:
        assert not interlock(life).moving
        receipt = await life.submit()
        await until(lambda: life.rows("SELECT state FROM attempt") == [("committed",)])
        assert interlock(life).moving
        attempt = await life.ended(receipt)
        check(house, life, attempt)
        await until(lambda: not interlock(life).moving)


async def test_a_bolt_whose_end_was_not_seen_counts_as_moving_until_that_is_resolved(house):
    async with house.life() as life:
        house.lock.faults.arm(Trouble.DROP_BEFORE_WRITE)
        await life.submit()
        await until(lambda: life.rows("SELECT state FROM attempt") == [("committed",)])
    async with house.life() as life:
        await until(lambda: interlock(life).moving)
        await until(lambda: life.rows("SELECT state FROM attempt") != [("committed",)])
        await until(lambda: not interlock(life).moving)
    assert not house.movements


async def test_an_attempt_waits_before_its_commit_point_while_the_radio_is_treated(house):
    async with house.life() as life:
        with interlock(life).treat():
            receipt = await life.submit()
            await anyio.sleep(TTL / 2)
            assert life.rows("SELECT state FROM attempt") == [("accepted",)]
            assert not house.movements
        attempt = await life.ended(receipt)
        check(house, life, attempt)
        assert (attempt.state, attempt.changed) == ("confirmed", True)
    assert len(house.movements) == 1


async def test_an_attempt_whose_time_passes_during_a_treatment_moves_nothing(house):
    async with house.life() as life:
        with interlock(life).treat():
            attempt = await life.ended(await life.submit())
            check(house, life, attempt)
            assert attempt.state == "failed"
        await anyio.sleep(TTL)
    assert not house.movements


async def test_a_radio_that_nothing_helps_ends_the_bridge_but_not_before_a_bolt_came_to_rest(house, monkeypatch):
    class Helpless:
        async def run(self, _progress):
            await moving.wait()
            raise RadioDown("It hangs.")

    moving = anyio.Event()
    monkeypatch.setattr(radios, "caretaker", lambda *_: Helpless())
    with pytest.RaisesGroup(RadioDown, flatten_subgroups=True):
        async with house.life() as life:
            await life.submit()
            await until(lambda: life.rows("SELECT state FROM attempt") == [("committed",)])
            moving.set()
            await anyio.sleep(TTL)
    monkeypatch.undo()
    async with house.life() as life:
        assert life.rows("SELECT state FROM attempt") == [("confirmed",)]
    assert len(house.movements) == 1
