"""Who operated a Sesame whose history may be consumed, with the real driver and a virtual lock."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from drivers.sesame.virtual.report import history
from tests.support.house import FRONT, House, until

CODES = {"482913": "Ada"}
WAYS = {
    "manual_turn": lambda house: house.lock.manual_unlock(),
    "pin_code": lambda house: house.lock.keypad("482913"),
    "bluetooth_key": lambda house: house.lock.fob(),
}


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, driver="sesame", pin_codes=CODES) as house:
        house.lock_fields["sesame"] = {"consume_log": True}
        house.lock_fields["actions"] = ["lock", "unlock"]
        house.lock_fields["connection"] = "always"  # nothing on the air tells of a change
        yield house


async def met(life):
    """Return once the lock was read."""
    await until(lambda: life.device()["online"])
    await anyio.sleep(100)


async def told(life, number=1):
    """Return what was told of operations once it is so many, and nothing more is for a while."""
    await until(lambda: len(operations(life)) >= number)
    await anyio.sleep(60)
    return operations(life)


def operations(life):
    found = [event for event in life.all_events if event["event_type"] == "lock.action_completed"]
    return [(event["action"], event["performed_via"]) for event in found]


def kept(house):
    """Return how many entries the lock still has."""
    return sum(number > house.twins[FRONT]._told_until for number, _ in history(house.lock.log))


@pytest.mark.parametrize("via", WAYS)
async def test_each_way_is_told_as_what_it_was(house, via):
    async with house.life() as life:
        await met(life)
        WAYS[via](house)
        assert (await told(life))[-1] == ("unlock", via)
        assert "482913" not in str(life.all_events)
        assert kept(house) == 0


async def test_a_wrong_code_is_told_as_nothing_for_no_motor_moved(house):
    async with house.life() as life:
        await met(life)
        assert not house.lock.keypad("000000")
        await anyio.sleep(60)
        house.lock.manual_unlock()
        assert await told(life) == [("unlock", "manual_turn")]
        assert not [event for event in life.events if event.get("error_code")]


async def test_our_own_operations_are_told_by_their_attempts_alone(house):
    async with house.life() as life:
        await met(life)
        await life.perform("unlock")
        await anyio.sleep(60)
    async with house.life() as life:
        await met(life)
        await life.perform("lock")
        assert await told(life, 2) == [("unlock", "remote_api"), ("lock", "remote_api")]
        assert kept(house) == 0


async def test_without_it_nothing_is_taken_and_nobody_is_guessed(house):
    house.lock_fields.pop("sesame")
    async with house.life() as life:
        await met(life)
        house.lock.manual_unlock()
        assert await told(life) == [("unlock", "unknown")]
        assert kept(house) == 1
