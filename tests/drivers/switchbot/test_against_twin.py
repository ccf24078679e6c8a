"""The SwitchBot driver against the virtual lock, over a link in the same process and under virtual time."""

import anyio
import pytest
import trio.testing

from drivers.base import (
    Action,
    Confirmed,
    DoorState,
    DriverError,
    Failed,
    Fault,
    LockState,
    Snapshot,
    Stage,
    Unknown,
)
from drivers.switchbot import SwitchBotCredential
from drivers.switchbot.protocol.crypto import Mode
from drivers.switchbot.protocol.models import TRAITS, Layout, Model
from drivers.switchbot.session import BATTERY_AGE
from drivers.virtual.faults import Trouble
from tests.support.switchbot_bench import TAG, bench, living, session_with

TARGETS = {
    Action.LOCK: LockState.LOCKED,
    Action.UNLOCK: LockState.UNLOCKED,
    Action.UNLATCH: LockState.UNLATCHED,
}
EACH_MODE = pytest.mark.parametrize("mode", Mode)
EACH_MODEL = pytest.mark.parametrize("model", Model)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@EACH_MODE
@EACH_MODEL
@pytest.mark.parametrize("action", TARGETS)
async def test_an_action_moves_the_bolt_once_and_is_confirmed(model, mode, action):
    async with bench(model=model, mode=mode, locked=action is not Action.LOCK) as found:
        outcome = await found.act(action)
        assert [movement.action for movement in found.twin.lock.movements] == [action]
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.lock_state is TARGETS[action]
    assert found.seen[0].lock_state.moving


@EACH_MODE
@EACH_MODEL
async def test_the_snapshot_is_the_locks_own(model, mode):
    async with bench(model=model, mode=mode, locked=False) as found:
        found.twin.lock.battery(12)
        found.twin.lock.open_door()
        read = await found.session.read()
    tells_door = TRAITS[model].layout is not Layout.NARROW_WITHOUT_DOOR
    assert read == Snapshot(
        LockState.UNLOCKED,
        DoorState.OPEN if tells_door else DoorState.UNKNOWN,
        12 if model is not Model.ULTRA_MAX else None,
        battery_critical=True,
    )
    assert read.method is None


async def test_a_charge_that_is_none_is_not_told():
    async with bench() as found:
        found.twin.lock.battery_level = 101
        assert (await found.session.read()).battery_level is None


async def test_the_battery_is_asked_for_again_after_a_while():
    async with bench() as found:
        await found.session.read()
        found.twin.lock.battery(40)
        assert (await found.session.read()).battery_level == 100
        await anyio.sleep(BATTERY_AGE)
        assert (await found.session.read()).battery_level == 40


class TestUnlatching:
    """Never implied by unlocking."""

    @EACH_MODEL
    async def test_a_lock_that_is_set_to_pull_the_latch_does_so_only_when_told(self, model):
        async with bench(model=model) as found:
            assert isinstance(await found.act(Action.UNLOCK), Confirmed)
            assert [movement.action for movement in found.twin.lock.movements] == [Action.UNLOCK]
            assert (await found.session.read()).lock_state is LockState.UNLOCKED
            assert isinstance(await found.act(Action.UNLATCH), Confirmed)
            assert [movement.action for movement in found.twin.lock.movements] == [Action.UNLOCK, Action.UNLATCH]

    async def test_the_latch_is_seen_to_spring_back(self):
        async with bench() as found:
            await found.act(Action.UNLATCH)
            assert (await found.session.read()).lock_state is LockState.UNLATCHED
            await anyio.sleep(5)
            assert (await found.session.read()).lock_state is LockState.UNLOCKED

    @EACH_MODEL
    async def test_a_lock_of_which_it_is_not_known_leaves_it_alone(self, model):
        async with living(model=model) as twin:
            key = twin.credential().model_copy(update={"night_latch": None})
            async with session_with(twin, credential=key) as found:
                outcome = await found.act(Action.UNLOCK)
                with pytest.raises(DriverError, match="night_latch = true") as refused:
                    await found.session.prepare(Action.UNLATCH, TAG)
            assert refused.value.fault is Fault.UNCATEGORIZED
            assert [movement.action for movement in twin.lock.movements] == [Action.UNLOCK]
        assert isinstance(outcome, Confirmed)
        assert outcome.snapshot.lock_state is LockState.PARTIALLY_LOCKED

    @pytest.mark.parametrize("night_latch", [None, False])
    async def test_a_lock_without_one_is_unlocked_by_either_command(self, night_latch):
        async with bench(latch=False, session={"night_latch": night_latch}) as found:
            outcome = await found.act(Action.UNLOCK)
            assert [movement.action for movement in found.twin.lock.movements] == [Action.UNLOCK]
        assert isinstance(outcome, Confirmed)
        assert outcome.snapshot.lock_state is LockState.UNLOCKED


@EACH_MODE
@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        (Trouble.BUSY, Fault.REFUSED),
        (Trouble.JAM, Fault.JAMMED),
        (Trouble.OBSTRUCTION, Fault.OBSTRUCTED),
        (Trouble.INCOMPLETE, Fault.NOT_FULLY_EXTENDED),
        (Trouble.CANCELLED, Fault.JAMMED),
    ],
)
async def test_a_trouble_that_the_lock_tells_is_a_failure(mode, trouble, fault):
    async with bench(mode=mode, locked=False) as found:
        found.twin.lock.faults.arm(trouble)
        outcome = await found.act(Action.LOCK)
        assert len(found.twin.lock.movements) <= 1
    assert isinstance(outcome, Failed)
    assert outcome.fault is fault


@pytest.mark.parametrize("trouble", [Trouble.LOW_VOLTAGE, Trouble.CLUTCH, Trouble.KNOB])
async def test_a_trouble_that_the_lock_does_not_tell_is_unknown(trouble):
    async with bench(locked=False) as found:
        found.twin.lock.faults.arm(trouble)
        assert await found.act(Action.LOCK) == Unknown(Stage.MOVING, "The lock came to rest unlocked.")


@pytest.mark.parametrize("trouble", [Trouble.MOTOR_POWER, Trouble.FALSE_SUCCESS])
async def test_a_motor_that_stands_is_not_told_as_success(trouble):
    async with bench(locked=False) as found:
        found.twin.lock.faults.arm(trouble)
        assert not isinstance(await found.act(Action.LOCK), Confirmed)


async def test_a_bolt_that_comes_free_is_waited_for():
    async with bench(locked=False) as found:
        found.twin.lock.faults.arm(Trouble.JAM_FREES_ITSELF)
        assert isinstance(await found.act(Action.LOCK), Confirmed)


async def test_a_lock_that_is_not_calibrated_says_so_and_refuses():
    async with bench() as found:
        found.twin.lock.state = LockState.UNCALIBRATED
        assert (await found.session.read()).lock_state is LockState.UNCALIBRATED
        outcome = await found.act(Action.UNLOCK)
    assert isinstance(outcome, Failed)
    assert "calibrated" in outcome.message


async def test_a_low_battery_is_told_and_is_no_failure():
    async with bench() as found:
        found.twin.lock.battery(5)
        outcome = await found.act(Action.UNLOCK)
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.battery_critical


@EACH_MODE
@pytest.mark.parametrize("trouble", [Trouble.LOSE_INDICATION, Trouble.MUTE_AFTER_ACCEPTED, Trouble.DELAY_INDICATION])
async def test_a_lock_that_acts_in_silence_is_looked_at(mode, trouble):
    """Be it that its receipt is lost, or all that it says after it."""
    async with bench(mode=mode) as found:
        actuation = await found.session.prepare(Action.UNLOCK, TAG)
        found.twin.lock.faults.arm(trouble)
        assert isinstance(await actuation.run(found.seen.append), Confirmed)


async def test_a_receipt_and_nothing_more_is_unknown():
    async with bench() as found:
        found.twin.lock.faults.arm(Trouble.STALL)
        assert await found.act(Action.UNLOCK) == Unknown(Stage.ACCEPTED, "The lock came to rest locked.")


@pytest.mark.parametrize(
    ("trouble", "stage", "moves"),
    [
        (Trouble.DROP_BEFORE_WRITE, Stage.WRITTEN, 0),
        (Trouble.DROP_AFTER_WRITE, Stage.WRITTEN, 1),
        (Trouble.DROP_AFTER_ACCEPTED, Stage.ACCEPTED, 1),
    ],
)
async def test_a_lost_link_leaves_the_end_unknown(trouble, stage, moves):
    async with bench() as found:
        found.twin.lock.faults.arm(trouble)
        outcome = await found.act(Action.UNLOCK)
        await found.settle()
        assert isinstance(outcome, Unknown)
        assert outcome.stage is stage
        assert len(found.twin.lock.movements) == moves


async def test_a_slow_motor_is_waited_for():
    async with bench(motor_time=20) as found:
        assert isinstance(await found.act(Action.UNLOCK), Confirmed)


async def test_an_actuation_runs_once():
    async with bench() as found:
        actuation = await found.session.prepare(Action.UNLOCK, TAG)
        await actuation.run(found.seen.append)
        with pytest.raises(RuntimeError):
            await actuation.run(found.seen.append)
        assert len(found.twin.lock.movements) == 1


async def test_it_has_no_log():
    async with bench() as found:
        assert not found.session.has_log
        assert found.session.lock_time is None
        assert await found.session.find(TAG) is None
        with pytest.raises(DriverError, match="log"):
            await found.session.log(None, 5)


async def test_the_twins_key_is_one_that_can_be_stored():
    async with living() as twin:
        key = SwitchBotCredential.model_validate(twin.credential().stored())
        async with session_with(twin, credential=key) as found:
            assert (await found.session.read()).lock_state is LockState.LOCKED
