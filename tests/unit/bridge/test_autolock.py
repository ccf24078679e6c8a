import anyio
import pytest
import trio.testing

from bridge.attempt import State
from bridge.errors import Code, Refused
from bridge.lifecycle import Bridge
from bridge.model import Command, Task
from drivers.base import Action, AutoLock, LockState, Method
from drivers.nuki import NukiSession
from drivers.virtual.faults import Trouble
from drivers.virtual.operation import Origin
from tests.support.house import FRONT, House, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, locked=True) as house:
        yield house


def command(bridge: Bridge, *, enabled=True, delay=7):
    now = bridge.clock.boottime()
    setting = AutoLock(enabled, delay)
    return Command(FRONT, Task.CONFIGURE_AUTO_LOCK, Method.REMOTE_API, now, setting=setting)


async def configure(life, **fields):
    attempt = await life.bridge.dispatcher.submit_task(command(life.bridge, **fields))
    return await ended(life, attempt)


async def ended(life, attempt):
    state = f"SELECT state FROM attempt WHERE seq = {attempt.seq}"
    await until(lambda: State(life.rows(state)[0][0]).terminal)
    return await life.bridge.journal.search.attempt(attempt.action_id)


async def test_a_lock_locks_itself_as_it_was_told(house):
    async with house.life() as life:
        attempt = await configure(life, enabled=True, delay=7)
        assert (attempt.state, attempt.changed) == (State.CONFIRMED, True)
        await life.perform("unlock")
        opened = anyio.current_time()
        await until(lambda: house.lock.state is LockState.LOCKED)
    assert anyio.current_time() - opened == pytest.approx(7 + house.lock.motor_time, abs=0.1)
    assert house.movements[-1].origin is Origin.AUTO_LOCK
    assert (house.lock.log[-1].by.origin, house.lock.log[-1].action) == (Origin.AUTO_LOCK, Action.LOCK)


async def test_a_lock_that_is_told_not_to_lock_itself_stays_unlocked(house):
    async with house.life() as life:
        await configure(life, enabled=True, delay=7)
        attempt = await configure(life, enabled=False, delay=None)
        assert (attempt.state, attempt.changed) == (State.CONFIRMED, True)
        await life.perform("unlock")
        await anyio.sleep(1000)
    assert house.lock.state is LockState.UNLOCKED


async def test_without_a_delay_the_locks_own_stays(house):
    house.lock.configure_auto_lock(enabled=False, delay=42)
    async with house.life() as life:
        await configure(life, enabled=True, delay=None)
    assert house.lock.auto_lock == 42


async def test_a_setting_that_is_there_already_is_not_sent(house):
    house.lock.configure_auto_lock(enabled=True, delay=7)
    async with house.life() as life:
        attempt = await configure(life, enabled=True, delay=7)
        assert life.rows("SELECT count(*) FROM attempt WHERE state = 'committed'") == [(0,)]
    assert (attempt.state, attempt.changed) == (State.CONFIRMED, False)


async def test_no_event_tells_of_it_and_it_is_no_operation_of_the_door(house):
    async with house.life() as life:
        attempt = await configure(life)
        assert life.told(attempt) == []
        assert "last_operation" not in life.device()


async def test_a_setting_whose_answer_was_lost_is_read_back(house):
    house.lock.faults.arm(Trouble.DROP_AFTER_WRITE)
    async with house.life() as life:
        attempt = await configure(life)
    assert attempt.state is State.CONFIRMED
    assert house.lock.auto_lock == 7


async def test_a_setting_that_never_arrived_failed_and_is_not_sent_again(house):
    house.lock.faults.arm(Trouble.DROP_BEFORE_WRITE)
    async with house.life() as life:
        attempt = await configure(life)
    assert (attempt.state, attempt.code) == (State.FAILED, Code.FIRMWARE_REJECTED)
    assert house.lock.auto_lock is None


async def test_a_lock_that_cannot_be_asked_afterwards_leaves_the_outcome_unknown(house):
    def go_away():
        if house.lock.auto_lock is not None:
            house.lock.offline()

    async with house.life() as life:
        await until(lambda: life.states.known(FRONT))
        house.lock.faults.arm(Trouble.DROP_AFTER_WRITE)
        configure_lock = house.lock.configure_auto_lock

        def configured(**fields):
            configure_lock(**fields)
            go_away()

        house.lock.configure_auto_lock = configured
        attempt = await configure(life)
    assert (attempt.state, attempt.code) == (State.UNKNOWN, Code.OUTCOME_UNKNOWN)


async def test_a_wrong_pin_fails_the_attempt_and_not_the_lock(house):
    house.twins[FRONT].pin = 4321
    async with house.life() as life:
        attempt = await configure(life)
        assert life.device()["online"]
    assert (attempt.state, attempt.code) == (State.FAILED, Code.NOT_AUTHORIZED)
    assert house.lock.auto_lock is None


async def test_a_key_without_a_pin_fails_the_attempt_and_not_the_lock(house):
    house.credentials[FRONT] = house.credentials[FRONT].model_copy(update={"pin": None})
    async with house.life() as life:
        attempt = await configure(life)
        assert life.device()["online"]
    assert (attempt.state, attempt.code) == (State.FAILED, Code.NOT_AUTHORIZED)
    assert "PIN" in attempt.message


@pytest.mark.parametrize("point", ["after_accept", "after_commit", "before_outcome"])
async def test_a_restart_never_sends_a_setting_twice(house, point):
    writes = []
    configure_lock = house.lock.configure_auto_lock

    def configured(**fields):
        writes.append(fields)
        configure_lock(**fields)

    house.lock.configure_auto_lock = configured
    async with house.last_moments(point) as life:
        await life.bridge.dispatcher.submit_task(command(life.bridge))
    async with house.life() as life:
        (attempt,) = await life.bridge.journal.search.attempts(None, 10**9, 1)
        attempt = await ended(life, attempt)
    expected = {
        "after_accept": (State.CONFIRMED, 1),
        "after_commit": (State.FAILED, 0),
        "before_outcome": (State.CONFIRMED, 1),
    }
    assert (attempt.state, len(writes)) == expected[point]
    assert attempt.setting == AutoLock(enabled=True, delay=7)


async def test_a_lock_that_may_not_be_locked_may_not_be_told_to_lock_itself(house):
    house.lock_fields["actions"] = ["unlock"]
    async with house.life() as life:
        with pytest.raises(Refused) as refused:
            await configure(life)
    assert refused.value.code is Code.ACTION_NOT_ALLOWED


async def test_after_its_deadline_nothing_is_sent(house):
    house.radio.delays.extend([0, 100])
    async with house.life() as life:
        await until(lambda: life.states.known(FRONT))
        await anyio.sleep(60)  # the idle link is gone
        attempt = await configure(life)
    assert (attempt.state, attempt.code) == (State.FAILED, Code.DEVICE_OFFLINE)
    assert house.lock.auto_lock is None


async def test_a_key_that_is_taken_away_meanwhile_leaves_the_outcome_unknown(house):
    configure_lock = house.lock.configure_auto_lock

    def configured(**fields):
        configure_lock(**fields)
        house.lock.faults.arm(Trouble.DROP_AFTER_WRITE)
        house.twins[FRONT].keyring.users.clear()

    house.lock.configure_auto_lock = configured
    async with house.life() as life:
        attempt = await configure(life)
        assert life.device()["offline_reason"] == "credentials_refused"
    assert (attempt.state, attempt.code) == (State.UNKNOWN, Code.OUTCOME_UNKNOWN)


async def test_a_radio_that_fails_meanwhile_leaves_the_outcome_unknown(house):
    configure_lock = house.lock.configure_auto_lock

    def configured(**fields):
        configure_lock(**fields)
        house.lock.faults.arm(Trouble.DROP_AFTER_WRITE)
        house.radio.usable = False

    house.lock.configure_auto_lock = configured
    async with house.life() as life:
        attempt = await configure(life)
        assert life.device()["offline_reason"] == "adapter_down"
    assert (attempt.state, attempt.code) == (State.UNKNOWN, Code.OUTCOME_UNKNOWN)


async def test_a_lock_that_falls_silent_before_the_write_is_tried_again(house):
    house.lock.faults.arm(Trouble.LOSE_INDICATION, after=6)
    async with house.life() as life:
        attempt = await configure(life)
    assert attempt.state is State.CONFIRMED
    assert len(house.radio.links) > 1


async def test_a_session_that_cannot_is_not_asked_for_it(house, monkeypatch):
    monkeypatch.delattr(NukiSession, "prepare_auto_lock")
    async with house.life() as life:
        attempt = await configure(life)
    assert (attempt.state, attempt.code) == (State.FAILED, Code.ACTION_NOT_SUPPORTED)
