import anyio
import pytest
import trio.testing

from drivers.base import Action, DriverError, Fault, LinkLost, LockState
from drivers.nuki.patience import RESPONSE_TIMEOUT
from drivers.nuki.protocol import commands as c
from drivers.nuki.protocol.codes import Bolt, Command, ErrorCode
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.frames import plain, sealed
from tests.support.scripted_nuki import AUTH_ID, COMPLETE, KEY, TAG, Malformed, act, entry, frame, states, talking


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.mark.parametrize("fragment", [20, 244])
async def test_a_read_tells_what_the_lock_says(fragment):
    async with talking(fragment=fragment) as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED, battery=41 << 2 | 1)]
        read = await session.read()
    assert (read.lock_state, read.battery_level, read.battery_critical) == (LockState.LOCKED, 82, True)


async def test_what_came_before_a_request_is_not_its_reply():
    async with talking() as (session, lock):
        lock.says(states(Bolt.UNLOCKED))
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_a_report_in_between_is_not_taken_for_a_challenge():
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [states(Bolt.UNLOCKED), COMPLETE, c.Challenge(b"n" * 32)]
        lock.answers[Command.LOCK_ACTION] = [c.ErrorReport(0x45, Command.LOCK_ACTION)]
        await act(session)
        assert lock.actions[0].nonce == b"n" * 32


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(b"\xff" * 50, id="garbage"),
        pytest.param(sealed(states(Bolt.UNLOCKED), KEY, 78), id="foreign authorization"),
        pytest.param(sealed(states(Bolt.UNLOCKED), bytes(32), AUTH_ID), id="foreign key"),
        pytest.param(plain(states(Bolt.UNLOCKED)), id="in clear"),
        pytest.param(plain(c.ErrorReport(0x45, Command.REQUEST_DATA)), id="an error in clear"),
        pytest.param(frame(c.ErrorReport(0x45, Command.REQUEST_LOG)), id="an error of something else"),
        pytest.param(frame(c.RequestConfig(bytes(32))), id="an unused command"),
    ],
)
async def test_noise_does_not_break_an_exchange(noise):
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [noise, states(Bolt.LOCKED)]
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_garbage_does_not_hang_an_exchange():
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [b"\xff" * 2000]
        began = anyio.current_time()
        with pytest.raises(LinkLost):
            await session.read()
        assert anyio.current_time() - began == pytest.approx(RESPONSE_TIMEOUT)


async def test_a_malformed_answer_is_told_as_such():
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [Malformed(Command.CHALLENGE)]
        with pytest.raises(ProtocolError):
            await session.prepare(Action.LOCK, TAG)


@pytest.mark.parametrize("named", [Command.REQUEST_DATA, Command.KEYTURNER_STATES])
async def test_an_error_that_names_the_request_is_its_reply(named):
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [c.ErrorReport(ErrorCode.DISABLED, named)]
        with pytest.raises(DriverError) as error:
            await session.read()
    assert (error.value.fault, error.value.vendor_code) == (Fault.NOT_AUTHORIZED, 0x25)


@pytest.mark.parametrize("code", [ErrorCode.NOT_AUTHORIZED, ErrorCode.INVALID_AUTH_ID])
async def test_a_lock_that_does_not_know_us_may_say_so_in_clear(code):
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [plain(c.ErrorReport(code, Command.REQUEST_DATA))]
        with pytest.raises(DriverError) as error:
            await session.prepare(Action.LOCK, TAG)
    assert error.value.fault is Fault.NOT_AUTHORIZED


@pytest.mark.parametrize("end", ["mute", "dropped", "dropped before", "hangs"])
async def test_a_lock_that_does_not_answer_is_lost(end):
    async with talking() as (session, lock):
        if end == "dropped":
            lock.answers[Command.KEYTURNER_STATES] = lock.link.drop
        elif end == "dropped before":
            lock.link.drop()
        lock.link.hangs = end == "hangs"
        with anyio.fail_after(RESPONSE_TIMEOUT + 1), pytest.raises(LinkLost):
            await session.read()


async def test_a_link_that_ends_while_waiting_is_lost():
    async with talking() as (session, lock), anyio.create_task_group() as group:

        async def drop():
            await anyio.sleep(1)
            lock.link.drop()

        group.start_soon(drop)
        began = anyio.current_time()
        with pytest.raises(LinkLost):
            await session.read()
        assert anyio.current_time() - began == pytest.approx(1)


@pytest.fixture
async def read_once():
    """A session whose lock was read, and the lock."""
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        await session.read()
        yield session, lock


async def is_news(session):
    """Tell whether the lock has told of something since it was last read."""
    with anyio.move_on_after(1):
        await session.changed()
        return True
    return False


async def test_what_the_lock_tells_unasked_is_news_until_it_is_read(read_once):
    session, lock = read_once
    assert not await is_news(session)
    lock.says(states(Bolt.UNLOCKED))
    assert await is_news(session)
    assert await is_news(session)
    await session.read()
    assert not await is_news(session)


@pytest.mark.parametrize("said", [COMPLETE, plain(c.Status(0)), b"garbage"])
async def test_what_tells_nothing_of_the_lock_is_no_news(read_once, said):
    session, lock = read_once
    lock.says(said)
    assert not await is_news(session)


async def test_what_cannot_be_understood_may_be_news(read_once):
    session, lock = read_once
    lock.says(Malformed(Command.KEYTURNER_STATES))
    assert await is_news(session)


async def test_news_that_comes_while_the_log_is_read_is_not_lost(read_once):
    session, lock = read_once
    lock.answers[Command.REQUEST_LOG] = [entry(9), states(Bolt.UNLOCKED), COMPLETE]
    await session.log(None, 1)
    assert await is_news(session)


async def test_news_that_comes_before_a_nonce_is_not_lost(read_once):
    session, lock = read_once
    lock.answers[Command.CHALLENGE] = [states(Bolt.UNLOCKED), c.Challenge(bytes(32))]
    await session.prepare(Action.LOCK, TAG)
    assert await is_news(session)


async def test_news_that_is_passed_over_before_a_request_is_not_lost(read_once):
    session, lock = read_once
    lock.says(states(Bolt.UNLOCKED))
    await session.prepare(Action.LOCK, TAG)
    assert await is_news(session)


async def test_who_waits_for_news_learns_of_the_links_end(read_once):
    session, lock = read_once
    lock.link.drop()
    with pytest.raises(LinkLost):
        await session.changed()
