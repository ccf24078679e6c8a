"""The Sesame driver and its virtual lock: who operated the door."""

from datetime import timedelta

import pytest
import trio.testing

from drivers.base import (
    Action,
    Consuming,
    DriverError,
    Fault,
    LockState,
    Method,
)
from drivers.sesame import SesameOptions
from drivers.sesame.credential import credential_of
from drivers.sesame.protocol.codes import Flag, Item, Result
from drivers.sesame.protocol.errors import ProtocolError
from drivers.sesame.protocol.history import HistoryEntry
from drivers.sesame.protocol.messages import Response
from drivers.sesame.virtual.report import mech_status
from drivers.virtual.faults import Trouble
from tests.support.sesame_host import DRIVER, TAG, act, reached, session_with, settle


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_its_history_is_left_alone():
    assert not DRIVER.capabilities.log
    assert not DRIVER.capabilities.tagged_log
    assert not SesameOptions().consume_log
    async with session_with() as (session, twin, _):
        await act(session)
        assert not session.has_log
        assert await session.find(TAG) is None
        with pytest.raises(DriverError) as refused:
            await session.log(None, 8)
        assert refused.value.fault is Fault.NOT_AUTHORIZED
        assert twin._told_until == 0


async def test_who_operated_the_door_is_taken_out_of_it():
    async with session_with(pin_codes={"246810": "Ada"}) as (session, twin, _):
        assert isinstance(session, Consuming)
        lock = twin.lock
        for operate in (lock.manual_unlock, lock.fob, lambda: lock.keypad("246810")):
            operate()
            await settle(twin)
        await act(session, Action.LOCK)
        found = [await session.take() for _ in range(4)]
        assert [(record.action, record.method, record.ours) for record in found] == [
            (Action.UNLOCK, Method.MANUAL_TURN, False),
            (Action.LOCK, Method.BLUETOOTH_KEY, False),
            (Action.UNLOCK, Method.PIN_CODE, False),
            (Action.LOCK, Method.REMOTE_API, True),
        ]
        assert all(record.succeeded for record in found)
        assert "246810" not in repr(found)
        assert await session.take() is None
        await session.read()
        assert abs(session.lock_time - found[-1].at) < timedelta(seconds=10)


async def test_a_command_that_jammed_is_in_it_as_a_failure():
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(Trouble.JAM)
        await act(session)
        record = await session.take()
        assert (record.action, record.succeeded, record.fault) == (Action.UNLOCK, False, Fault.JAMMED)


def wrong_code(lock):
    assert not lock.keypad("135790")


def while_busy(lock):
    lock.faults.arm(Trouble.BUSY)
    lock.fob()


def uncalibrated(lock):
    lock._show(LockState.UNCALIBRATED, lock.origin)
    lock.fob()


@pytest.mark.parametrize("refused", [wrong_code, while_busy, uncalibrated])
async def test_what_the_lock_did_not_begin_is_not_in_it(refused):
    async with session_with(pin_codes={"246810": "Ada"}) as (session, twin, _):
        refused(twin.lock)
        assert not twin.lock.busy
        assert await session.take() is None


async def test_a_wrong_code_leaves_what_the_motor_told_last():
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(Trouble.CLUTCH)
        await act(session)
        told = mech_status(twin.lock)
        assert Flag.CLUTCH_FAILED in told.flags
        wrong_code(twin.lock)
        assert mech_status(twin.lock) == told


@pytest.mark.parametrize("item", [Item.HISTORY, Item.HISTORY_DELETE])
async def test_a_lock_that_refuses_its_history_is_told(item):
    async with session_with() as (session, twin, _):
        twin.lock.manual_unlock()
        serve = twin._serve

        def refuse(asked, data):
            if asked == item:
                twin._say(Response(asked, Result.BUSY))
            else:
                serve(asked, data)

        twin._serve = refuse
        with pytest.raises(DriverError) as refused:
            await session.take()
        assert refused.value.vendor_code == Result.BUSY


async def test_a_lock_that_does_not_tell_its_time_has_none():
    async with reached() as (twin, link):
        twin._time = lambda: b""
        session = await DRIVER.open(link, credential_of(twin.secret), SesameOptions())
        await session.read()
        assert session.lock_time is None
        await session.aclose()


async def test_an_entry_that_is_not_to_be_understood_hides_none_after_it(monkeypatch):
    async with session_with() as (session, twin, _):
        twin.lock.manual_unlock()
        await settle(twin)
        twin.lock.fob()
        await settle(twin)
        decode, spoilt = HistoryEntry.decode, []

        def once_spoilt(data):
            if not spoilt:
                spoilt.append(data)
                raise ProtocolError("It could not be understood.")
            return decode(data)

        monkeypatch.setattr(HistoryEntry, "decode", once_spoilt)
        assert (await session.take()).action is Action.LOCK
        assert await session.take() is None
        assert spoilt
