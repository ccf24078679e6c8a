import pytest
import trio.testing

from drivers.base import LockState
from drivers.nuki.protocol.codes import Bolt, Command, Completion, Door, ErrorCode, Trigger, Turn
from drivers.nuki.protocol.commands import ErrorReport, KeyturnerStates, RequestData, Status, VerifyPin
from drivers.nuki.protocol.wire import Pin
from drivers.virtual.faults import Trouble
from tests.support.nuki_host import Host, living

ACCEPTED, COMPLETE = Status(1), Status(0)
STATES = RequestData(Command.KEYTURNER_STATES)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def host_of(twin, **options):
    return Host(twin, twin.authorize("Bridge")[0], **options)


def failure(code):
    return ErrorReport(code, Command.LOCK_ACTION)


@pytest.mark.parametrize("motor_time", [0, 3])
@pytest.mark.parametrize(
    ("trouble", "end", "bolt", "completion"),
    [
        (Trouble.JAM, failure(ErrorCode.MOTOR_BLOCKED), Bolt.MOTOR_BLOCKED, Completion.MOTOR_BLOCKED),
        (Trouble.OBSTRUCTION, failure(ErrorCode.MOTOR_BLOCKED), Bolt.MOTOR_BLOCKED, Completion.MOTOR_BLOCKED),
        (Trouble.LOW_VOLTAGE, failure(ErrorCode.MOTOR_LOW_VOLTAGE), Bolt.UNLOCKED, Completion.LOW_MOTOR_VOLTAGE),
        (Trouble.CLUTCH, failure(ErrorCode.CLUTCH_FAILURE), Bolt.UNLOCKED, Completion.CLUTCH_FAILURE),
        (
            Trouble.MOTOR_POWER,
            failure(ErrorCode.MOTOR_POWER_FAILURE),
            Bolt.UNLOCKED,
            Completion.MOTOR_POWER_FAILURE,
        ),
        (Trouble.CANCELLED, failure(ErrorCode.CANCELLED), Bolt.UNDEFINED, Completion.CANCELLED),
        (Trouble.KNOB, failure(ErrorCode.CANCELLED), Bolt.UNLOCKED, None),
        (Trouble.INCOMPLETE, COMPLETE, Bolt.UNDEFINED, Completion.INCOMPLETE),
        (Trouble.FALSE_SUCCESS, COMPLETE, Bolt.UNLOCKED, Completion.SUCCESS),
        (Trouble.JAM_FREES_ITSELF, COMPLETE, Bolt.LOCKED, Completion.SUCCESS),
    ],
)
async def test_a_troubled_travel_is_told_as_the_lock_sees_it(trouble, end, bolt, completion, motor_time):
    async with living(locked=False, motor_time=motor_time) as twin:
        host = host_of(twin)
        twin.lock.faults.arm(trouble)
        said = await host.act(Turn.LOCK)
        await host.until(lambda: end in host.messages)
        said += host.new()
        assert said[0] == ACCEPTED
        assert said[-1] == end
        states = said[-2]
        assert states.lock_state == bolt
        if completion is not None:
            assert states.last_completion == completion


async def test_an_obstructed_bolt_is_told_with_the_door_open():
    async with living(locked=False) as twin:
        host = host_of(twin)
        twin.lock.obstruct()
        await host.act(Turn.LOCK)
        await host.until(lambda: failure(ErrorCode.MOTOR_BLOCKED) in host.messages)
        assert (await host.ask(STATES)).door == Door.OPEN


async def test_a_knob_turned_against_the_motor_is_manual():
    async with living() as twin:
        host = host_of(twin)
        twin.lock.faults.arm(Trouble.KNOB)
        await host.act(Turn.UNLOCK)
        await host.until(lambda: failure(ErrorCode.CANCELLED) in host.messages)
        states = await host.ask(STATES)
        assert (states.lock_state, states.trigger) == (Bolt.LOCKED, Trigger.MANUAL)


async def test_a_busy_lock_moves_nothing():
    async with living() as twin:
        host = host_of(twin)
        twin.lock.faults.arm(Trouble.BUSY)
        assert await host.act(Turn.UNLOCK) == [failure(ErrorCode.BUSY)]
        assert not twin.lock.busy


async def test_an_accepted_action_may_come_to_nothing():
    async with living() as twin:
        host = host_of(twin)
        twin.lock.faults.arm(Trouble.STALL)
        assert await host.act(Turn.UNLOCK) == [ACCEPTED]
        assert (await host.ask(STATES)).lock_state == Bolt.LOCKED
        assert not twin.lock.movements


async def test_a_mute_lock_moves_and_says_nothing_until_it_is_asked():
    async with living(motor_time=0) as twin:
        host = host_of(twin)
        twin.lock.faults.arm(Trouble.MUTE_AFTER_ACCEPTED)
        assert await host.act(Turn.UNLOCK) == [ACCEPTED]
        assert twin.lock.state is LockState.UNLOCKED
        assert (await host.ask(STATES)).lock_state == Bolt.UNLOCKED


@pytest.mark.parametrize(
    ("trouble", "heard", "moved"),
    [
        (Trouble.DROP_BEFORE_WRITE, [], 0),
        (Trouble.DROP_AFTER_WRITE, [], 1),
        (Trouble.DROP_AFTER_ACCEPTED, [ACCEPTED], 1),
    ],
)
async def test_the_link_may_end_around_the_write(trouble, heard, moved):
    async with living() as twin:
        host = host_of(twin)
        twin.lock.faults.arm(trouble)
        assert await host.act(Turn.UNLOCK) == heard
        assert host.lost
        assert len(twin.lock.movements) == moved
        again = Host(twin, host.user)
        await again.ask(STATES)
        if moved:
            await again.until(lambda: not twin.lock.busy)
        end = await again.ask(STATES)
        assert end.lock_state == (Bolt.UNLOCKED if moved else Bolt.LOCKED)
        assert COMPLETE not in again.messages


async def test_a_user_outside_its_hours_is_told_so():
    async with living() as twin:
        host = host_of(twin)
        twin.lock.faults.arm(Trouble.TIME_REFUSED)
        assert await host.act(Turn.UNLOCK) == [failure(ErrorCode.TIME_NOT_ALLOWED)]
        assert not twin.lock.busy


async def test_a_good_nonce_may_be_refused_and_is_used_up():
    async with living() as twin:
        host = host_of(twin)
        twin.lock.faults.arm(Trouble.NONCE_REFUSED)
        nonce = await host.nonce()
        for _ in range(2):
            assert await host.act(Turn.UNLOCK, nonce=nonce) == [failure(ErrorCode.BAD_NONCE)]
        assert not twin.lock.busy


async def test_a_right_pin_may_be_locked_out():
    async with living(pin=1234) as twin:
        host = host_of(twin)
        twin.lock.faults.arm(Trouble.PIN_LOCKED_OUT)
        answer = await host.ask(VerifyPin(await host.nonce(), Pin(1234)))
        assert answer == ErrorReport(ErrorCode.TOO_MANY_PIN_ATTEMPTS, Command.VERIFY_PIN)


async def test_a_lost_end_leaves_the_states_to_tell():
    async with living(motor_time=0, fragment=None) as twin:
        host = host_of(twin)
        nonce = await host.nonce()
        twin.lock.faults.arm(Trouble.LOSE_INDICATION, after=3)
        said = await host.act(Turn.UNLOCK, nonce=nonce)
        assert [type(m) for m in said] == [Status, KeyturnerStates, KeyturnerStates]
        assert said[-1].lock_state == Bolt.UNLOCKED


async def test_the_end_may_overtake_the_state():
    async with living(motor_time=0, fragment=None) as twin:
        host = host_of(twin)
        nonce = await host.nonce()
        twin.lock.faults.arm(Trouble.REORDER_INDICATION, after=2)
        said = await host.act(Turn.UNLOCK, nonce=nonce)
        assert [type(m) for m in said] == [Status, KeyturnerStates, Status, KeyturnerStates]


async def test_going_out_of_range_ends_the_connection_but_not_the_travel():
    async with living() as twin:
        host = host_of(twin)
        await host.act(Turn.UNLOCK)
        twin.lock.offline()
        assert host.lost
        twin.lock.online()
        again = Host(twin, host.user)
        await again.ask(STATES)
        await again.until(lambda: not twin.lock.busy)
        assert (await again.ask(STATES)).lock_state == Bolt.UNLOCKED


async def test_a_phone_on_the_lock_keeps_others_out():
    async with living() as twin:
        twin.lock.held_by_phone = True
        with pytest.raises(ConnectionRefusedError):
            host_of(twin)
