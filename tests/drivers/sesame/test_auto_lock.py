"""The Sesame driver and its virtual lock: when the lock is to lock itself."""

import pytest
import trio.testing

from drivers.base import (
    AutoLock,
    AutoLocking,
    Confirmed,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LockState,
    Stage,
    Unknown,
)
from drivers.sesame.protocol.codes import Item, Result
from drivers.sesame.protocol.messages import Response
from drivers.virtual.faults import Trouble
from tests.support.sesame_host import session_with

ON, OFF = AutoLock(enabled=True, delay=30), AutoLock(enabled=False)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def configure(session, wanted):
    return await (await session.prepare_auto_lock(wanted)).run(lambda _: None)


async def test_what_was_set_is_what_the_lock_says():
    async with session_with(locked=False) as (session, twin, _):
        assert isinstance(session, AutoLocking)
        assert await session.auto_lock() == OFF
        assert isinstance(await configure(session, ON), Confirmed)
        assert await session.auto_lock() == ON
        assert twin.lock.auto_lock == 30
        assert isinstance(await configure(session, AutoLock(enabled=True)), Confirmed)
        assert await session.auto_lock() == ON
        assert isinstance(await configure(session, OFF), Confirmed)
        assert twin.lock.auto_lock is None


async def test_a_lock_that_does_not_say_what_it_took_leaves_it_unknown():
    async with session_with() as (session, twin, _):
        twin.tells_settings = False
        outcome = await configure(session, ON)
        assert isinstance(outcome, Unknown)
        assert outcome.stage is Stage.ACCEPTED
        with pytest.raises(LinkLost):
            await session.auto_lock()
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_a_lock_that_takes_another_setting_did_not_do_it():
    async with session_with() as (session, twin, _):
        twin.lock.configure_auto_lock = lambda **_: None
        outcome = await configure(session, ON)
        assert isinstance(outcome, Failed)
        assert outcome.snapshot.lock_state is LockState.LOCKED


async def test_a_refused_setting_is_a_failure():
    async with session_with() as (session, twin, _):
        actuation = await session.prepare_auto_lock(ON)
        twin._configure = lambda _: twin._say(Response(Item.AUTO_LOCK, Result.STORAGE_FAIL))
        outcome = await actuation.run(lambda _: None)
        assert isinstance(outcome, Failed)
        assert outcome.vendor_code == Result.STORAGE_FAIL
        assert await session.auto_lock() == OFF
        with pytest.raises(RuntimeError):
            await actuation.run(lambda _: None)


@pytest.mark.parametrize("trouble", [Trouble.DROP_BEFORE_WRITE, Trouble.DROP_AFTER_WRITE])
async def test_a_link_lost_on_the_way_leaves_a_setting_unknown(trouble):
    async with session_with() as (session, twin, _):
        actuation = await session.prepare_auto_lock(ON)
        twin.lock.faults.arm(trouble)
        outcome = await actuation.run(lambda _: None)
        assert isinstance(outcome, Unknown)
        assert outcome.stage is Stage.WRITTEN


@pytest.mark.parametrize("wanted", [AutoLock(enabled=True), AutoLock(enabled=True, delay=70000)])
async def test_what_a_sesame_cannot_be_set_to_is_refused_before_it_is_sent(wanted):
    async with session_with() as (session, twin, _):
        with pytest.raises(DriverError) as refused:
            await session.prepare_auto_lock(wanted)
        assert refused.value.fault is Fault.NOT_AUTHORIZED
        assert twin.lock.auto_lock is None
