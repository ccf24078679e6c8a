"""The activity log of the virtual Yale lock, taken by the driver: what is read, the lock forgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
import trio.testing

from drivers.base import Action, Consuming, ConsumingOptions, DriverError, Fault, LinkLost, Method
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.yale import YaleDriver, YaleOptions
from drivers.yale.protocol.codes import Uuid
from tests.support.yale_host import DRIVER, act, living, session_with, settle

CODES = {"482913": "Ada", "1111": "Grace"}


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def drained(session):
    found = []
    while (record := await session.take()) is not None:
        found.append(record)
    return found


def test_it_is_read_by_opt_in_alone():
    assert not YaleDriver.capabilities.log
    assert not YaleOptions().consume_log
    assert issubclass(YaleOptions, ConsumingOptions)


async def test_a_session_can_take_and_not_look():
    async with session_with() as (session, twin, _):
        assert isinstance(session, Consuming)
        twin.lock.manual_unlock()
        with pytest.raises(DriverError, match="consume_log") as refused:
            await session.log(None, 5)
        assert refused.value.fault is Fault.NOT_AUTHORIZED
        assert (session.has_log, await session.find(b"tag"), session.lock_time) == (False, None, None)
        assert len(await drained(session)) == 1


async def test_what_was_done_by_whom_and_when():
    async with session_with(pin_codes=CODES) as (session, twin, _):
        now = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
        twin.lock.now = lambda: now
        twin.lock.manual_unlock()
        twin.lock.manual_lock()
        for operate in (lambda: twin.lock.keypad("1111"), twin.lock.keypad_lock, twin.lock.fob):
            operate()
            await settle(twin)
            now += timedelta(minutes=1)
        twin.lock.configure_auto_lock(enabled=True, delay=5)
        await anyio.sleep(20)
        twin.lock.open_door()
        records = await drained(session)
    assert [(each.action, each.method, each.code_id) for each in records] == [
        (Action.UNLOCK, Method.MANUAL_TURN, None),
        (Action.LOCK, Method.MANUAL_TURN, None),
        (Action.UNLOCK, Method.PIN_CODE, 2),
        (Action.LOCK, Method.UNKNOWN, None),
        (Action.UNLOCK, Method.UNKNOWN, None),
        (Action.LOCK, Method.AUTO_LOCK, None),
        (None, Method.UNKNOWN, None),
    ]
    assert [each.at.minute for each in records[:5]] == [0, 0, 0, 1, 2]
    assert {each.succeeded for each in records[:-1]} == {True}


async def test_what_came_over_bluetooth_may_be_ours_or_a_phones():
    async with session_with() as (session, _, _link):
        await act(session, Action.UNLOCK)
        (record,) = await drained(session)
    assert (record.perhaps_ours, record.ours, record.method) == (True, False, Method.MOBILE_APP)


async def test_a_jam_tells_of_no_action():
    async with session_with() as (session, twin, _):
        twin.lock.jam()
        await act(session, Action.UNLOCK)
        (record,) = await drained(session)
    assert (record.action, record.succeeded) == (None, None)


async def test_no_code_is_told():
    async with session_with(pin_codes=CODES) as (session, twin, _):
        for code in (*CODES, "999999"):
            twin.lock.keypad(code)
            await settle(twin)
        records = await drained(session)
    assert [each.code_id for each in records] == [1, 2]
    assert not [code for code in CODES if code in repr(records)]


async def test_what_was_read_is_forgotten_on_every_link():
    async with living() as (twin, credential):
        twin.lock.manual_unlock()
        for expected in (1, 0):
            with TwinLink.connect(twin) as link:
                session = await DRIVER.open(link, credential, YaleOptions())
                assert len(await drained(session)) == expected
                await session.aclose()


async def test_one_whose_taking_was_called_off_is_told_by_the_next():
    async with session_with() as (session, twin, link):
        twin.lock.manual_unlock()
        held = []
        link.on_notify = lambda name, data: held.append((name, data)) or []
        with anyio.move_on_after(1):
            await session.take()
        link.on_notify = lambda _, data: [data]
        for each in held:
            link.deliver(*each)
        assert [record.action for record in await drained(session)] == [Action.UNLOCK]


async def test_a_mute_lock_is_lost_and_not_asked_twice():
    async with session_with() as (session, twin, link):
        twin.lock.manual_unlock()
        twin.lock.manual_lock()
        await session.read()
        link.on_notify = lambda name, data: [] if name == Uuid.NOTIFY else [data]
        with anyio.fail_after(10), pytest.raises(LinkLost):
            await session.take()
        assert twin._taken == 1


async def test_an_answer_that_was_garbled_has_nothing_taken_in_its_place():
    async with session_with() as (session, twin, _):
        await session.read()
        twin.lock.faults.arm(Trouble.LOSE_INDICATION)
        twin.lock.manual_unlock()
        twin.lock.manual_lock()  # what is told of it is garbled by what was lost
        twin.lock.faults.arm(Trouble.LOSE_INDICATION)
        twin.lock.open_door()
        with anyio.fail_after(10), pytest.raises(LinkLost):
            await session.take()
        assert twin._taken == 1
