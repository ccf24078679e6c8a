"""The Yale driver and its virtual lock: when the lock is to lock itself."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from drivers.base import (
    Action,
    AutoLock,
    AutoLocking,
    Confirmed,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LockState,
    Unknown,
)
from drivers.virtual.faults import Trouble
from drivers.yale import YaleDriver
from drivers.yale.protocol.codes import Result, Setting
from drivers.yale.protocol.frames import RESULT_AT, Frame, Timers
from tests.support.yale_host import TAG, session_with

ON, OFF = AutoLock(enabled=True, delay=7), AutoLock(enabled=False)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def configure(session, wanted):
    return await (await session.prepare_auto_lock(wanted)).run(lambda _: None)


async def test_the_driver_says_that_it_can():
    assert YaleDriver.capabilities.auto_lock
    async with session_with() as (session, _, _link):
        assert isinstance(session, AutoLocking)


async def test_what_was_set_is_what_the_lock_says_and_does():
    async with session_with(locked=False) as (session, twin, _):
        assert await session.auto_lock() == OFF
        outcome = await configure(session, ON)
        assert await session.auto_lock() == ON
        assert twin.timers == Timers(7, 7)
        await anyio.sleep(10)
        assert twin.lock.state is LockState.LOCKED
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.lock_state is LockState.UNLOCKED


async def test_it_is_switched_off():
    async with session_with() as (session, twin, _):
        await configure(session, ON)
        assert isinstance(await configure(session, OFF), Confirmed)
        assert await session.auto_lock() == OFF
        assert twin.lock.auto_lock is None


async def test_a_lock_that_waits_for_its_door_alone_goes_on_doing_so():
    async with session_with() as (session, twin, _):
        twin.at_once = True
        twin.lock.configure_auto_lock(enabled=True, delay=30)
        assert isinstance(await configure(session, ON), Confirmed)
        assert twin.timers == Timers(7, 0)


async def test_the_delay_is_left_where_none_is_asked_for():
    async with session_with() as (session, twin, _):
        await configure(session, ON)
        assert isinstance(await configure(session, AutoLock(enabled=True)), Confirmed)
        assert twin.timers == Timers(7, 7)


@pytest.mark.parametrize(
    ("wanted", "message"), [(AutoLock(enabled=True), "keeps no delay"), (AutoLock(enabled=True, delay=70000), "65534")]
)
async def test_a_delay_that_cannot_be_is_refused(wanted, message):
    async with session_with() as (session, twin, _):
        with pytest.raises(DriverError, match=message) as refused:
            await session.prepare_auto_lock(wanted)
        assert twin.lock.auto_lock is None
    assert refused.value.fault is Fault.REFUSED


async def test_a_change_is_sent_once():
    async with session_with() as (session, _, _link):
        actuation = await session.prepare_auto_lock(ON)
        await actuation.run(lambda _: None)
        with pytest.raises(RuntimeError):
            await actuation.run(lambda _: None)


async def test_nothing_changes_until_it_is_run():
    async with session_with() as (session, twin, _):
        await session.prepare_auto_lock(ON)
        assert twin.lock.auto_lock is None


@pytest.mark.parametrize(("trouble", "arrived"), [(Trouble.DROP_BEFORE_WRITE, False), (Trouble.DROP_AFTER_WRITE, True)])
async def test_a_change_whose_end_was_not_seen_is_unknown(trouble, arrived):
    async with session_with() as (session, twin, _):
        actuation = await session.prepare_auto_lock(ON)
        twin.lock.faults.arm(trouble)
        outcome = await actuation.run(lambda _: None)
        assert (twin.lock.auto_lock is not None) is arrived
    assert isinstance(outcome, Unknown)


async def test_after_a_change_whose_end_was_not_seen_nothing_moves_the_bolt():
    async with session_with() as (session, _twin, link):
        actuation = await session.prepare_auto_lock(ON)
        link.on_notify = lambda _name, _data: []
        assert isinstance(await actuation.run(lambda _: None), Unknown)
        link.on_notify = lambda _name, data: [data]
        with pytest.raises(LinkLost):
            await session.prepare(Action.UNLOCK, TAG)


async def test_a_lock_that_keeps_its_setting_did_not_take_it(monkeypatch):
    async with session_with() as (session, twin, _):
        monkeypatch.setattr(twin.lock, "configure_auto_lock", lambda **_: None)
        outcome = await configure(session, ON)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.REFUSED


async def test_a_setting_that_the_lock_refuses_is_a_failure(monkeypatch):
    async with session_with() as (session, twin, _):
        actuation = await session.prepare_auto_lock(ON)
        say = twin._say
        code = {RESULT_AT: bytes([Result.NOT_AUTHORIZED]), 4: bytes([Setting.AUTO_LOCK])}

        def refuse(frame):
            say(Frame.of(frame.flag, frame.op, code) if frame.op == 3 else frame)

        monkeypatch.setattr(twin, "_say", refuse)
        outcome = await actuation.run(lambda _: None)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.vendor_code) == (Fault.NOT_AUTHORIZED, Result.NOT_AUTHORIZED)


async def test_a_model_without_it_says_so():
    def be(twin):
        twin.silent = frozenset({Setting.AUTO_LOCK})

    async with session_with(prepare=be) as (session, _, _link):
        with pytest.raises(DriverError, match="may have none"):
            await session.auto_lock()
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_a_mute_lock_is_lost():
    async with session_with() as (session, _, link):
        link.on_notify = lambda _name, _data: []
        with anyio.fail_after(30), pytest.raises(LinkLost):
            await session.auto_lock()
