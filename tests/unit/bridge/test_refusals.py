"""P4: every refusal is told, a flood of them as a number, and its end too."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.errors import Code, Refused
from bridge.refusals import TOLD_EVERY
from tests.support.house import FRONT, House


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path) as house:
        yield house


async def refuse(life, number=1, code=Code.INVALID_REQUEST):
    for each in range(number):
        await life.bridge.refusals.note(Refused(code, f"Number {each}."), FRONT)


def told(life):
    return [
        (event["error_code"], event["message"], event["count"])
        for event in life.all_events
        if event["event_type"] == "bridge.command_refused"
    ]


async def test_p4_the_first_is_told_at_once_and_the_rest_of_a_flood_as_a_number(house):
    async with house.life() as life:
        await refuse(life, 500)
        assert told(life) == [("INVALID_REQUEST", "Number 0.", 1)]
        await anyio.sleep(2 * TOLD_EVERY)
        assert told(life)[1:] == [("INVALID_REQUEST", "Number 499.", 499)]
        await anyio.sleep(10 * TOLD_EVERY)
        assert len(told(life)) == 2


async def test_p4_each_kind_is_told_by_itself(house):
    async with house.life() as life:
        await refuse(life)
        await refuse(life, 2, Code.RATE_LIMITED)
        assert [code for code, *_ in told(life)] == ["INVALID_REQUEST", "RATE_LIMITED"]
        await life.bridge.refusals.tell_rest()
        assert told(life)[2:] == [("RATE_LIMITED", "Number 1.", 1)]


async def test_p4_what_is_untold_when_the_bridge_stops_is_told_then(house):
    async with house.life() as life:
        await refuse(life, 3)
        await life.bridge.stop()
        assert [count for *_, count in told(life)] == [1, 2]


async def test_p4_what_could_not_be_recorded_is_told_later(house):
    async with house.life() as life:
        with life.unwritable():
            await refuse(life, 3)
            await anyio.sleep(2 * TOLD_EVERY)
            assert not told(life)
        await anyio.sleep(2 * TOLD_EVERY)
        assert [count for *_, count in told(life)] == [3]


async def test_p4_refusals_at_one_time_are_each_counted_once(house):
    house.disk_delay = 1.0
    async with house.life() as life:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(refuse, life)
        await life.bridge.refusals.tell_rest()
        assert sum(count for *_, count in told(life)) == 5
