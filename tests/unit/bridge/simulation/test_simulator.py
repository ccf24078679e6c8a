import anyio
import pytest
import trio.testing

from bridge.attempt import State
from bridge.errors import Code, Refused
from bridge.simulation.sandbox import Sandbox
from bridge.simulation.simulator import MOST_WAITING
from bridge.wire.seam import action_attempt
from drivers.base import Action, DoorState, LockState, Method
from drivers.virtual.operation import Completion, Origin
from tests.support.house import BACK, FRONT, House, until

CODE = "739182"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK, pin_codes={CODE: "Ada"}) as house:
        yield house


async def ended(life, attempt):
    state = f"SELECT state FROM attempt WHERE seq = {attempt.seq}"
    await until(lambda: State(life.rows(state)[0][0]).terminal)
    return await life.bridge.journal.search.attempt(attempt.action_id)


async def test_a_right_code_opens_the_door_and_is_told(house):
    async with house.life() as life:
        attempt = await life.bridge.simulator.keypad_code(FRONT, CODE, Method.REMOTE_API)
        assert attempt.state is State.ACCEPTED
        attempt = await ended(life, attempt)
        told = life.told(attempt)
    await until(lambda: house.lock.state is LockState.UNLOCKED)
    assert house.lock.log[-1].by.name == "Ada"
    assert action_attempt(attempt) == {
        "action_attempt_id": str(attempt.attempt_id),
        "action_type": "SIMULATE_KEYPAD_CODE_ENTRY",
        "status": "success",
        "result": {},
        "error": None,
    }
    assert [event["event_type"] for event in told] == ["action_attempt.simulate_keypad_code_entry.succeeded"]
    assert (told[0]["action_type"], told[0]["status"]) == ("SIMULATE_KEYPAD_CODE_ENTRY", "success")


async def test_a_wrong_code_is_entered_too_and_the_lock_denies_access(house):
    async with house.life() as life:
        attempt = await ended(life, await life.bridge.simulator.keypad_code(FRONT, "0000", Method.REMOTE_API))
    assert attempt.state is State.CONFIRMED
    assert house.lock.log[-1].completion is Completion.INVALID_CODE
    assert house.movements == []


async def test_the_code_is_nowhere_in_the_journal_nor_in_what_is_told(house):
    async with house.life() as life:
        await ended(life, await life.bridge.simulator.keypad_code(FRONT, CODE, Method.REMOTE_API))
        waiting = life.bridge.simulator
        await life.bridge.simulator.keypad_code(FRONT, CODE, Method.REMOTE_API)
        assert CODE not in repr(list(waiting._waiting))
        kept = life.rows("SELECT * FROM attempt") + life.rows("SELECT * FROM event")
    assert CODE not in repr(kept)
    for file in house.path.iterdir():
        assert CODE.encode() not in file.read_bytes()


async def test_the_keypads_lock_key_locks(house):
    house.lock.manual_unlock()
    async with house.life() as life:
        attempt = await ended(life, await life.bridge.simulator.keypad_lock(FRONT, Method.REMOTE_API))
        told = life.told(attempt)
    await until(lambda: house.lock.state is LockState.LOCKED)
    assert house.lock.log[-1].by.origin is Origin.KEYPAD
    assert [event["event_type"] for event in told] == ["action_attempt.simulate_manual_lock_via_keypad.succeeded"]


async def test_a_lock_whose_motor_turns_takes_no_entry_and_the_attempt_fails(house):
    async with house.life() as life:
        house.lock.fob()
        attempt = await ended(life, await life.bridge.simulator.keypad_lock(FRONT, Method.REMOTE_API))
        told = life.told(attempt)
    assert (attempt.state, attempt.code) == (State.FAILED, Code.FIRMWARE_REJECTED)
    assert [event["event_type"] for event in told] == ["action_attempt.simulate_manual_lock_via_keypad.failed"]
    assert told[0]["status"] == "error"


@pytest.mark.parametrize("committed", [False, True])
async def test_what_a_restart_interrupts_is_not_done_and_ends_once(house, committed):
    async with house.life() as life:
        attempt = await life.bridge.simulator.keypad_code(FRONT, CODE, Method.REMOTE_API)
        life.bridge.simulator._waiting.clear()
        if committed:
            await life.bridge.journal.commit(attempt)
    async with house.life() as life:
        attempt = await life.bridge.journal.search.attempt(attempt.action_id)
        assert len(life.told(attempt)) == 1
    expected = (State.UNKNOWN, Code.OUTCOME_UNKNOWN) if committed else (State.FAILED, Code.BRIDGE_OFFLINE)
    assert (attempt.state, attempt.code) == expected
    assert house.movements == []


async def test_a_journal_that_cannot_be_written_takes_none(house):
    async with house.life() as life:
        with life.unwritable(), pytest.raises(Refused) as refused:
            await life.bridge.simulator.keypad_code(FRONT, CODE, Method.REMOTE_API)
    assert refused.value.code is Code.STORAGE_UNAVAILABLE
    assert house.movements == []


async def test_a_journal_that_cannot_be_written_any_more_keeps_it_from_being_done(house):
    async with house.life() as life:
        attempt = await life.bridge.simulator.keypad_code(FRONT, CODE, Method.REMOTE_API)
        with life.unwritable():
            await anyio.sleep(10)
        attempt = await ended(life, attempt)
        assert len(life.told(attempt)) == 1
    assert (attempt.state, attempt.code) == (State.FAILED, Code.STORAGE_UNAVAILABLE)
    assert house.movements == []


async def test_not_too_many_wait(house):
    async with house.life() as life:
        house.lock.fob()
        for _ in range(MOST_WAITING + 1):
            await life.bridge.simulator.reset(Method.REMOTE_API)  # the first one waits for the motor
        with pytest.raises(Refused) as refused:
            await life.bridge.simulator.reset(Method.REMOTE_API)
    assert refused.value.code is Code.DEVICE_BUSY


async def test_a_reset_brings_every_virtual_lock_back_to_how_it_is_configured(house):
    front, back = (house.twins[lock_id].lock for lock_id in (FRONT, BACK))
    front.manual_unlock()
    front.battery(7)
    front.jam()
    front.offline()
    back.obstruct()
    back.configure_auto_lock(enabled=True, delay=5)
    back.held_by_phone = True
    async with house.life() as life:
        attempt = await ended(life, await life.bridge.simulator.reset(Method.REMOTE_API))
        assert life.told(attempt) == []
        assert (await life.perform("unlock")).state is State.CONFIRMED
    assert action_attempt(attempt)["action_type"] == "RESET_SANDBOX_WORKSPACE"
    assert attempt.lock_id == ""
    assert (front.battery_level, front.reachable) == (100, True)
    assert (back.state, back.door, back.auto_lock, back.held_by_phone) == (
        LockState.LOCKED,
        DoorState.CLOSED,
        None,
        False,
    )


async def test_a_reset_loses_no_command_and_no_event(house):
    async with house.life() as life:
        first = await life.perform("unlock")
        receipt = await life.submit("lock")
        await until(lambda: house.lock.busy)
        reset = await life.bridge.simulator.reset(Method.REMOTE_API)
        under_way = await life.ended(receipt)
        assert under_way.state is State.CONFIRMED
        await ended(life, reset)
        assert len(life.told(first)) == len(life.told(under_way)) == 3
    assert [movement.action for movement in house.movements] == [Action.UNLOCK, Action.LOCK]


async def test_a_reset_that_a_motor_holds_up_too_long_is_over_at_its_deadline(house):
    house.lock.motor_time = 60
    async with house.life() as life:
        house.lock.fob()
        begun = anyio.current_time()
        attempt = await ended(life, await life.bridge.simulator.reset(Method.REMOTE_API))
    assert (attempt.state, attempt.code) == (State.FAILED, Code.ACTION_TIMEOUT)
    assert anyio.current_time() - begun == pytest.approx(30, abs=0.2)


async def test_a_bridge_that_stops_takes_none(house):
    async with house.life() as life:
        life.bridge.simulator.stop()
        with pytest.raises(Refused) as refused:
            await life.bridge.simulator.keypad_lock(FRONT, Method.REMOTE_API)
    assert refused.value.code is Code.BRIDGE_OFFLINE


async def test_without_virtual_locks_there_is_nothing_to_reset(house):
    async with house.life() as life:
        life.bridge.simulator._sandbox = Sandbox({})
        with pytest.raises(Refused, match="RESET_SANDBOX_WORKSPACE") as refused:
            await life.bridge.simulator.reset(Method.REMOTE_API)
    assert refused.value.code is Code.ACTION_NOT_SUPPORTED
