from datetime import timedelta

import pytest
import trio.testing

from drivers.base import Action, DriverError, Fault, LinkLost, Method
from drivers.nuki.credential import NukiOptions
from drivers.nuki.protocol import commands as c
from drivers.nuki.protocol.codes import AuthorizationType, Bolt, Command, ErrorCode, Trigger
from tests.support.scripted_nuki import AUTH_ID, COMPLETE, CREDENTIAL, START, TAG, act, entry, states, talking


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.mark.parametrize(
    ("credential", "options"),
    [(CREDENTIAL, NukiOptions(log_tag=False)), (CREDENTIAL.model_copy(update={"pin": None}), NukiOptions())],
)
async def test_no_tag_is_left_where_it_is_not_wanted_or_could_not_be_found(credential, options):
    async with talking(credential, options) as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [c.ErrorReport(0x45, Command.LOCK_ACTION)]
        await act(session)
        assert lock.actions[0].suffix == b""
        assert not session.has_log
        assert await session.find(TAG) is None
        assert not any(isinstance(request, c.RequestLog) for request in lock.requests)


async def test_the_newest_of_the_log_comes_first():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [
            c.LogCount(enabled=True, count=2),
            entry(9, trigger=Trigger.MANUAL),
            states(Bolt.LOCKED),
            entry(8, AUTH_ID, name=b"Bridge" + TAG),
            COMPLETE,
        ]
        records = await session.log(None, 10)
        request = lock.requests[-1]
    assert [record.record_id for record in records] == [9, 8]
    assert [record.method for record in records] == [Method.MANUAL_TURN, Method.REMOTE_API]
    assert (records[1].tag, records[1].ours) == (TAG, True)
    assert (request.start, request.count, request.newest_first, request.pin.value) == (0, 10, True, 1234)


async def test_the_log_goes_on_after_a_record():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9), COMPLETE]
        await session.log(8, 10)
        assert (lock.requests[-1].start, lock.requests[-1].newest_first) == (8, False)


async def test_the_list_of_users_is_asked_for_once():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9, 5), COMPLETE]
        lock.answers[Command.REQUEST_AUTHORIZATIONS] = [
            c.AuthorizationCount(1),
            c.AuthorizationEntry(5, AuthorizationType.FOB, "Fob"),
            COMPLETE,
        ]
        for _ in range(2):
            (record,) = await session.log(None, 1)
            assert record.method is Method.BLUETOOTH_KEY
        assert sum(isinstance(request, c.RequestAuthorizations) for request in lock.requests) == 1


async def test_without_the_list_of_users_the_method_is_unknown():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9, 5), COMPLETE]
        lock.answers[Command.REQUEST_AUTHORIZATIONS] = [c.ErrorReport(0x20, Command.REQUEST_AUTHORIZATIONS)]
        (record,) = await session.log(None, 1)
        assert record.method is Method.UNKNOWN


async def test_a_link_that_ends_with_the_list_of_users_is_told():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9, 5), COMPLETE]
        with pytest.raises(LinkLost):
            await session.log(None, 1)


async def test_the_log_needs_the_pin():
    async with talking(CREDENTIAL.model_copy(update={"pin": None})) as (session, _):
        with pytest.raises(DriverError, match="PIN"):
            await session.log(None, 1)


async def test_a_log_that_breaks_off_is_told_and_spoils_no_action():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9)]
        with pytest.raises(LinkLost):
            await session.log(None, 1)
        with pytest.raises(LinkLost, match="broken off"):
            await session.prepare(Action.LOCK, TAG)


async def test_an_action_is_found_by_its_tag():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [
            entry(9, 5, name=TAG),
            entry(8, AUTH_ID, name=b"Bridge" + TAG),
            COMPLETE,
        ]
        record = await session.find(TAG)
        assert (record.record_id, record.succeeded, record.action) == (8, True, Action.LOCK)
        assert await session.find(b"another tag") is None
        assert session.has_log


async def test_a_log_that_is_switched_off_can_prove_nothing():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.LogCount(enabled=False, count=0), COMPLETE]
        assert session.has_log
        assert await session.find(TAG) is None
        assert not session.has_log


@pytest.mark.parametrize("code", [ErrorCode.BAD_PIN, ErrorCode.TOO_MANY_PIN_ATTEMPTS])
async def test_a_refused_pin_is_not_tried_again(code):
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.ErrorReport(code, Command.REQUEST_LOG)]
        assert await session.find(TAG) is None
        assert await session.find(TAG) is None
        assert not session.has_log
        assert sum(isinstance(request, c.RequestLog) for request in lock.requests) == 1


async def test_another_refusal_of_the_log_is_told():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.ErrorReport(0x45, Command.REQUEST_LOG)]
        with pytest.raises(DriverError, match="busy"):
            await session.find(TAG)


async def test_a_log_that_is_switched_off_may_not_be_read():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.LogCount(enabled=False, count=3), entry(9), COMPLETE]
        with pytest.raises(DriverError, match="Switch it on") as refusal:
            await session.log(None, 1)
        assert refusal.value.fault is Fault.NOT_AUTHORIZED


async def test_the_locks_own_time_is_that_of_its_last_report():
    async with talking() as (session, lock):
        assert session.lock_time is None
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED, at=5)]
        await session.read()
        assert session.lock_time == START + timedelta(seconds=5)
