"""The Sesame driver and its virtual lock: actions and reads, what goes wrong with them, and how it is told."""

import anyio
import pytest
import trio.testing

from drivers.base import (
    Action,
    Confirmed,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LockState,
    Stage,
    Unknown,
)
from drivers.sesame import SesameOptions
from drivers.sesame.credential import credential_of
from drivers.sesame.history import is_ours
from drivers.sesame.patience import RESPONSE_TIMEOUT
from drivers.sesame.protocol.codes import NOTIFY, Item, Result
from drivers.sesame.protocol.messages import Publish, Response
from drivers.sesame.protocol.segments import split
from drivers.virtual.faults import Trouble
from tests.support.sesame_host import DRIVER, TAG, act, reached, session_with, settle


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_an_unlock_is_seen_from_its_beginning_to_its_end():
    async with session_with() as (session, twin, _):
        outcome, seen = await act(session)
        assert isinstance(outcome, Confirmed)
        assert seen == [LockState.UNLOCKING, LockState.UNLOCKED]
        (movement,) = twin.lock.movements
        assert movement.tag[:16] == TAG[:16]
        assert is_ours(twin.secret, movement.tag)


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        (Trouble.BUSY, Fault.REFUSED),
        (Trouble.JAM, Fault.JAMMED),
        (Trouble.CLUTCH, Fault.MECHANISM),
    ],
)
async def test_what_the_lock_tells_is_a_failure(trouble, fault):
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(trouble)
        outcome, _ = await act(session)
        assert isinstance(outcome, Failed)
        assert outcome.fault is fault


@pytest.mark.parametrize(
    ("trouble", "rest"),
    [
        (Trouble.LOW_VOLTAGE, "locked"),
        (Trouble.MOTOR_POWER, "locked"),
        (Trouble.FALSE_SUCCESS, "locked"),
        (Trouble.STALL, "locked"),
        (Trouble.KNOB, "locked"),
        (Trouble.INCOMPLETE, "partially locked"),
        (Trouble.CANCELLED, "unknown"),
    ],
)
async def test_what_the_lock_does_not_tell_is_unknown(trouble, rest):
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(trouble)
        outcome, _ = await act(session)
        assert isinstance(outcome, Unknown)
        assert outcome.message == f"The lock came to rest {rest}."


async def test_a_jam_that_comes_free_is_a_success():
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(Trouble.JAM_FREES_ITSELF)
        outcome, seen = await act(session)
        assert isinstance(outcome, Confirmed)
        assert LockState.JAMMED in seen


async def test_a_jammed_lock_goes_on_being_jammed_until_it_moves():
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(Trouble.JAM)
        await act(session)
        assert (await session.read()).lock_state is LockState.JAMMED
        outcome, _ = await act(session)
        assert isinstance(outcome, Confirmed)


@pytest.mark.parametrize(
    ("trouble", "stages", "moved"),
    [
        (Trouble.DROP_BEFORE_WRITE, {Stage.WRITTEN}, 0),
        (Trouble.DROP_AFTER_WRITE, {Stage.WRITTEN}, 1),
        (Trouble.DROP_AFTER_ACCEPTED, {Stage.ACCEPTED, Stage.MOVING}, 1),
        (Trouble.MUTE_AFTER_ACCEPTED, {Stage.ACCEPTED}, 1),
    ],
)
async def test_what_was_not_heard_is_unknown_and_not_sent_again(trouble, stages, moved):
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(trouble)
        outcome, _ = await act(session)
        await settle(twin)
        assert isinstance(outcome, Unknown)
        assert outcome.stage in stages
        assert len(twin.lock.movements) == moved


async def test_a_lock_that_is_not_calibrated_refuses():
    async with session_with() as (session, twin, _):
        twin.lock._show(LockState.UNCALIBRATED, twin.lock.origin)
        outcome, _ = await act(session)
        assert isinstance(outcome, Failed)
        assert outcome.vendor_code == Result.INVALID_ACTION


async def test_an_action_runs_once():
    async with session_with() as (session, _, _):
        actuation = await session.prepare(Action.UNLOCK, TAG)
        await actuation.run(lambda _: None)
        with pytest.raises(RuntimeError):
            await actuation.run(lambda _: None)


async def test_an_action_that_is_called_off_before_it_is_sent_is_not_sent():
    async with session_with() as (session, twin, _):
        actuation = await session.prepare(Action.UNLOCK, TAG)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await actuation.run(lambda _: None)
        await settle(twin)
        assert not twin.lock.movements
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_an_action_that_is_called_off_while_it_is_sent_is_sent_whole():
    async with session_with() as (session, twin, link):
        actuation = await session.prepare(Action.UNLOCK, TAG)
        scope, segments = anyio.CancelScope(), []

        def called_off(_characteristic, data):
            segments.append(data)
            scope.cancel()
            return [data]

        link.on_write = called_off
        with scope:
            await actuation.run(lambda _: None)
        assert len(segments) == 2
        await settle(twin)
        assert len(twin.lock.movements) == 1
        assert (await session.read()).lock_state is LockState.UNLOCKED


async def test_a_read_knows_what_happened_meanwhile():
    async with session_with() as (session, twin, _):
        assert (await session.read()).lock_state is LockState.LOCKED
        twin.lock.manual_unlock()
        twin.lock.battery(7)
        found = await session.read()
        assert (found.lock_state, found.battery_level, found.battery_critical) == (LockState.UNLOCKED, 7, False)
        twin.lock.battery(3)
        assert (await session.read()).battery_critical


async def test_a_late_answer_is_not_taken_for_the_next_one():
    async with session_with() as (session, twin, link):
        held = []
        link.on_notify = lambda _characteristic, data: held.append(data) or []
        with anyio.move_on_after(1):
            await session.read()
        link.on_notify = lambda _characteristic, data: [data]
        for data in held:
            link.deliver(NOTIFY, data)
        twin.lock.manual_unlock()
        assert (await session.read()).lock_state is LockState.UNLOCKED


async def test_what_is_published_unasked_is_news():
    async with session_with() as (session, twin, _):
        await session.read()
        with anyio.move_on_after(100) as patience:
            await session.changed()
        assert patience.cancelled_caught
        twin.lock.manual_unlock()
        with anyio.fail_after(1):
            await session.changed()
            await session.changed()
        await session.read()
        twin.lock.offline()
        with pytest.raises(LinkLost):
            await session.changed()


async def test_what_is_published_and_not_understood_is_news():
    async with session_with() as (session, twin, _):
        await session.read()
        twin._say(Publish(Item.MECH_STATUS, b"?"))
        with anyio.fail_after(1):
            await session.changed()


async def test_a_lock_that_refuses_to_answer_is_not_read():
    async with session_with() as (session, twin, _):
        twin._serve = lambda item, _: twin._say(Response(item, Result.BUSY))
        with pytest.raises(DriverError) as refused:
            await session.read()
        assert refused.value.fault is Fault.REFUSED


async def test_what_is_not_of_this_version_of_the_protocol_is_passed_over():
    async with session_with() as (session, twin, _):
        twin._say(Publish(200, b"?"))
        twin._say(Response(Item.VERSION, Result.SUCCESS))  # answers nothing that was asked
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_a_message_that_was_lost_ends_the_session():
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(Trouble.LOSE_INDICATION)
        twin.lock.manual_unlock()
        with anyio.fail_after(1):
            for _ in range(2):
                with pytest.raises(LinkLost):
                    await session.read()


async def test_nothing_in_clear_is_believed_after_the_login():
    async with session_with() as (session, _, link):
        forged = Publish(Item.MECH_STATUS, bytes.fromhex("b80b0a000a0114"))
        link.deliver(NOTIFY, split(forged.encode(), sealed=False)[0])
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_a_mute_lock_is_as_good_as_gone():
    async with session_with() as (session, twin, _):
        twin._serve = lambda _item, _data: None
        began = anyio.current_time()
        with pytest.raises(LinkLost):
            await session.read()
        assert anyio.current_time() - began == RESPONSE_TIMEOUT


async def test_what_is_not_of_this_version_of_the_protocol_is_passed_over_on_the_way():
    async with reached() as (twin, link):
        tell_status = twin._tell_status
        twin._tell_status = lambda: (twin._say(Publish(200)), tell_status())
        session = await DRIVER.open(link, credential_of(twin.secret), SesameOptions())
        outcome, _ = await act(session)
        assert isinstance(outcome, Confirmed)
        await session.aclose()
