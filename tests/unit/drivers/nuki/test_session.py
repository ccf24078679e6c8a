import anyio
import pytest
import trio.testing

from drivers.base import Action, Confirmed, DriverError, Failed, Fault, LinkLost, LockState, Stage, Unknown
from drivers.nuki.credential import NukiOptions
from drivers.nuki.protocol import commands as c
from drivers.nuki.protocol.codes import Bolt, Command, Turn
from drivers.nuki.protocol.frames import plain, sealed
from drivers.nuki.session import open_session
from tests.support.scripted_link import ScriptedLink
from tests.support.scripted_nuki import ACCEPTED, COMPLETE, CREDENTIAL, KEY, TAG, Malformed, act, frame, states, talking


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_a_device_without_the_characteristic_is_no_lock():
    with pytest.raises(DriverError, match="no Nuki lock"):
        await open_session(ScriptedLink(), CREDENTIAL, NukiOptions())


@pytest.mark.parametrize(
    ("action", "turn", "moving", "end", "target"),
    [
        (Action.LOCK, Turn.LOCK, Bolt.LOCKING, Bolt.LOCKED, LockState.LOCKED),
        (Action.UNLOCK, Turn.UNLOCK, Bolt.UNLOCKING, Bolt.UNLOCKED, LockState.UNLOCKED),
        (Action.UNLATCH, Turn.UNLATCH, Bolt.UNLATCHING, Bolt.UNLATCHED, LockState.UNLATCHED),
    ],
)
async def test_an_action_is_written_once_and_confirmed(action, turn, moving, end, target):
    seen = []
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(moving), states(end), COMPLETE]
        outcome = await act(session, action, seen)
        assert lock.actions == [c.LockAction(turn, 9, b"\x01" * 32, 0, TAG)]
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.lock_state is target
    assert [snapshot.lock_state.moving for snapshot in seen] == [True, False]


async def test_preparing_moves_nothing():
    async with talking() as (session, lock):
        for _ in range(3):
            await session.prepare(Action.UNLATCH, TAG)
        assert lock.actions == []
        assert lock.nonces == 3


async def test_an_actuation_runs_once():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [c.ErrorReport(0x45, Command.LOCK_ACTION)]
        actuation = await session.prepare(Action.LOCK, TAG)
        await actuation.run(lambda _: None)
        with pytest.raises(RuntimeError):
            await actuation.run(lambda _: None)
        assert len(lock.actions) == 1


async def test_what_came_before_the_write_is_no_report_of_it():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = []
        actuation = await session.prepare(Action.UNLOCK, TAG)
        lock.says(ACCEPTED, states(Bolt.UNLOCKED), COMPLETE)
        assert await actuation.run(lambda _: None) == Unknown(
            Stage.WRITTEN, "The lock fell silent after the command was sent."
        )


async def test_a_late_report_is_not_passed_on():
    seen = []
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [
            ACCEPTED,
            states(Bolt.UNLOCKING, at=5),
            states(Bolt.LOCKED, at=1),
            states(Bolt.UNLOCKED, at=6),
            COMPLETE,
        ]
        assert isinstance(await act(session, seen=seen), Confirmed)
    assert [snapshot.lock_state for snapshot in seen] == [LockState.UNLOCKING, LockState.UNLOCKED]


async def test_doubled_and_foreign_frames_do_not_change_an_outcome():
    course = [frame(m) for m in (ACCEPTED, states(Bolt.UNLOCKING), states(Bolt.UNLOCKED, at=1), COMPLETE)]
    noise = [
        b"\xff" * 30,
        sealed(COMPLETE, KEY, 5),
        plain(c.ErrorReport(0x20, Command.LOCK_ACTION)),
        frame(Malformed(Command.CHALLENGE)),
    ]
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [part for each in course for part in (each, *noise, each)]
        assert isinstance(await act(session), Confirmed)
        assert len(lock.actions) == 1


async def test_an_error_of_the_lock_is_a_failure():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(Bolt.LOCKING), c.ErrorReport(0x42, Command.LOCK_ACTION)]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.MOTOR_BLOCKED)]
        outcome = await act(session, Action.LOCK)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.vendor_code) == (Fault.JAMMED, 0x42)
    assert outcome.snapshot.lock_state is LockState.JAMMED


async def test_a_lost_complete_is_made_up_for_by_a_read():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(Bolt.LOCKING)]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        assert isinstance(await act(session, Action.LOCK), Confirmed)
        assert len(lock.actions) == 1


REPORTS = [ACCEPTED, states(Bolt.LOCKING), states(Bolt.LOCKED)]


@pytest.mark.parametrize(
    ("heard", "stage"), [(0, Stage.WRITTEN), (1, Stage.ACCEPTED), (2, Stage.MOVING), (3, Stage.MOVING)]
)
@pytest.mark.parametrize("end", ["dropped", "mute"])
async def test_an_end_that_was_not_seen_is_unknown(heard, stage, end):
    async with talking() as (session, lock):

        def answer():
            lock.says(*REPORTS[:heard])
            if end == "dropped":
                lock.link.drop()

        lock.answers[Command.LOCK_ACTION] = answer
        outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Unknown)
        # A write that was not acknowledged leaves no more to be heard.
        assert outcome.stage is (Stage.WRITTEN if end == "dropped" else stage)
        assert len(lock.actions) == 1


@pytest.mark.parametrize(("heard", "stage"), [(1, Stage.ACCEPTED), (2, Stage.MOVING), (3, Stage.MOVING)])
async def test_a_link_that_ends_on_the_way_leaves_the_stage_that_was_reached(heard, stage):
    async with talking() as (session, lock), anyio.create_task_group() as group:

        async def drop_later():
            await anyio.sleep(1)
            lock.link.drop()

        lock.answers[Command.LOCK_ACTION] = REPORTS[:heard]
        group.start_soon(drop_later)
        outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Unknown)
        assert outcome.stage is stage


@pytest.mark.parametrize("failure", ["raises", "hangs"])
async def test_a_write_that_fails_may_have_arrived(failure):
    async with talking() as (session, lock):
        actuation = await session.prepare(Action.LOCK, TAG)
        lock.link.hangs = failure == "hangs"
        if failure == "raises":
            lock.link.drop()
        outcome = await actuation.run(lambda _: None)
    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.WRITTEN


async def test_a_report_that_cannot_be_understood_does_not_end_an_action():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [
            Malformed(Command.KEYTURNER_STATES),
            ACCEPTED,
            states(Bolt.LOCKING),
            states(Bolt.LOCKED),
            COMPLETE,
        ]
        assert isinstance(await act(session, Action.LOCK), Confirmed)


async def test_cancellation_passes_through_and_leaves_reading_alone():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKING)]
        with anyio.move_on_after(1) as scope:
            await act(session, Action.LOCK)
        assert scope.cancelled_caught
        assert (await session.read()).lock_state is LockState.LOCKING
        with pytest.raises(LinkLost):
            await session.prepare(Action.LOCK, TAG)
        assert len(lock.actions) == 1


async def test_a_refused_request_leaves_the_session_whole():
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [c.ErrorReport(0x45, Command.REQUEST_DATA)]
        with pytest.raises(DriverError, match="busy"):
            await session.prepare(Action.LOCK, TAG)
        del lock.answers[Command.CHALLENGE]
        await session.prepare(Action.LOCK, TAG)


async def test_a_read_waits_for_an_action_under_way():
    order = []
    async with talking() as (session, lock), anyio.create_task_group() as group:
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        actuation = await session.prepare(Action.LOCK, TAG)

        async def read():
            await session.read()
            order.append("read")

        async def run():
            await actuation.run(lambda _: None)
            order.append("run")

        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(read)
    assert order == ["run", "read"]


async def test_closing_twice_and_after_the_link_is_quiet():
    async with talking() as (session, lock):
        lock.link.drop()
        await session.aclose()
        with pytest.raises(LinkLost):
            await session.read()


async def test_an_ultra_gets_a_wide_pin():
    async with talking(CREDENTIAL.model_copy(update={"ultra": True})) as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [COMPLETE]
        assert await session.log(None, 1) == []
        assert lock.requests[-1].pin.wide


async def test_no_secret_is_shown():
    async with talking() as (session, _):
        actuation = await session.prepare(Action.LOCK, TAG)
        for shown in (repr(session), repr(actuation)):
            assert KEY.hex() not in shown
            assert "1234" not in shown


async def test_what_was_said_before_the_last_read_proves_nothing_after_the_write():
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.UNLOCKED, at=60)]
        await session.read()
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(Bolt.LOCKING), states(Bolt.LOCKED, at=2), COMPLETE]
        assert isinstance(await act(session, Action.LOCK), Unknown)
