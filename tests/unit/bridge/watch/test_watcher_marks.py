"""What is noticed of locks whose advertisements count their changes, and whose log nobody can read: SwitchBot's."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.watch.hints import PAUSE
from drivers.base import LockState
from tests.support.house import FRONT, House, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, driver="switchbot") as house:
        yield house


async def settled(life):
    """Return once the lock's state is known and its first link let go."""
    await until(lambda: life.device()["online"])
    await anyio.sleep(60)


def operations(life):
    return [event for event in life.all_events if event["event_type"] == "lock.action_completed"]


@pytest.mark.parametrize("connection", ["on_demand", "always"])
async def test_a_turn_by_hand_is_noticed_and_nobody_is_named(house, connection):
    house.lock_fields["connection"] = connection
    async with house.life() as life:
        await settled(life)
        house.lock.manual_unlock()
        await until(lambda: operations(life))
        await anyio.sleep(600)
        (operation,) = operations(life)
        assert (operation["action"], operation["performed_via"]) == ("unlock", "unknown")
        assert life.device()["lock_state"] == "unlocked"


async def test_a_lock_of_which_nothing_changes_is_left_alone(house):
    async with house.life() as life:
        await settled(life)
        connects = len(house.radio.connects)
        await anyio.sleep(36_000)
        assert len(house.radio.connects) == connects
        assert not operations(life)


async def test_a_mark_is_looked_after_once(house):
    async with house.life() as life:
        await settled(life)
        connects = len(house.radio.connects)
        house.twins[FRONT].sequence += 1
        await anyio.sleep(36_000)
        assert len(house.radio.connects) == connects + 1
        assert not operations(life)


async def test_a_command_is_looked_after_and_told_as_its_own(house):
    async with house.life() as life:
        await settled(life)
        attempt = await life.perform("unlock")
        assert attempt.changed
        assert len(house.movements) == 1
        connects = len(house.radio.connects)
        await anyio.sleep(36_000)
        assert len(house.radio.connects) <= connects + 1
        (operation,) = operations(life)
        assert operation["performed_via"] == "remote_api"
        assert operation["action_attempt_id"] == str(attempt.attempt_id)


async def test_each_command_is_told_once_and_the_state_follows(house):
    actions = {"unlock": "unlocked", "unlatch": "unlocked", "lock": "locked"}
    async with house.life() as life:
        await settled(life)
        for action, state in actions.items():
            attempt = await life.perform(action)
            assert attempt.changed
            await anyio.sleep(3_600)
            assert life.device()["lock_state"] == state
        assert [operation["action"] for operation in operations(life)] == list(actions)
        assert [movement.action for movement in house.movements] == list(actions)


async def test_what_is_advertised_is_never_told(house):
    async with house.life() as life:
        await settled(life)
        twin = house.twins[FRONT]
        twin._told = twin._told.__class__(1, calibrated=True, door_open=True)
        twin.sequence += 1
        assert twin.lock.state is LockState.LOCKED
        await anyio.sleep(600)
        assert life.device()["lock_state"] == "locked"
        assert not operations(life)


async def test_a_stale_advertisement_does_not_hide_what_a_command_needs_to_know(house):
    async with house.life() as life:
        await settled(life)
        house.twins[FRONT].stale = True
        house.lock.manual_unlock()
        attempt = await life.perform("lock")
        assert attempt.changed
        assert house.lock.state is LockState.LOCKED
        assert [movement.action for movement in house.movements] == ["lock"]


def forged(house):
    """Let the lock seem to be heard, changed and changed back."""
    twin = house.twins[FRONT]
    twin.sequence ^= 1
    house.radio._advertise(twin)


async def test_whoever_forges_marks_does_not_have_the_lock_looked_at_without_pause(house):
    async with house.life() as life:
        await settled(life)
        connects = len(house.radio.connects)
        for _ in range(1800):
            forged(house)
            await anyio.sleep(1)
        assert 3 < len(house.radio.connects) - connects < 12


async def test_after_a_quiet_time_a_mark_is_believed_at_once_again(house):
    async with house.life() as life:
        await settled(life)
        for _ in range(600):
            forged(house)
            await anyio.sleep(1)
        await anyio.sleep(3600)
        for _ in range(2):
            connects = len(house.radio.connects)
            forged(house)
            await anyio.sleep(2 * PAUSE)
            assert len(house.radio.connects) == connects + 1
