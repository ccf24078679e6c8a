from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Action, DoorState, LockState
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from drivers.virtual.operation import Completion, Operator, Origin
from drivers.virtual.peripheral import VirtualSettings

PHONE = Operator(Origin.BLUETOOTH, 7, "Phone")
CODES = {"123456": "Ada", "654321": "Bob"}
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Bench:
    """A lock on the bench, with everything it showed written down."""

    def __init__(self, **settings):
        self.lock = VirtualLock(VirtualSettings(pin_codes=CODES, **settings), now=lambda: NOON)
        self.shown = []
        self.ended = []
        self._stir = anyio.Event()
        self.lock.watch(self._watch)

    def _watch(self):
        if not self.shown or self.shown[-1] is not self.lock.state:
            self.shown.append(self.lock.state)
        self._stir.set()

    def finished(self, completion):
        self.ended.append(completion)
        self._stir.set()

    async def operate(self, action, tag=b""):
        before = len(self.ended)
        assert self.lock.operate(action, PHONE, tag=tag, finished=self.finished) is None
        await self.until(lambda: len(self.ended) > before)
        return self.ended[-1]

    async def until(self, condition):
        while not condition():
            self._stir = anyio.Event()
            await self._stir.wait()

    @property
    def last(self):
        return self.lock.log[-1]


@asynccontextmanager
async def bench(**settings):
    made = Bench(**settings)
    async with anyio.create_task_group() as group:
        await group.start(made.lock.run)
        yield made
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("action", "locked", "states"),
    [
        (Action.UNLOCK, True, [LockState.UNLOCKING, LockState.UNLOCKED]),
        (Action.LOCK, False, [LockState.LOCKING, LockState.LOCKED]),
        (Action.UNLATCH, True, [LockState.UNLATCHING, LockState.UNLATCHED]),
    ],
)
@pytest.mark.parametrize("motor_time", [0, 2])
async def test_an_action_moves_the_bolt_once_in_the_motors_time(action, locked, states, motor_time):
    async with bench(locked=locked, motor_time=motor_time) as it:
        begun = anyio.current_time()
        assert await it.operate(action, b"tag") is Completion.SUCCESS
        assert it.shown[:2] == states
        assert anyio.current_time() - begun == pytest.approx(motor_time)
        (movement,) = it.lock.movements
        assert (movement.action, movement.origin, movement.tag) == (action, Origin.BLUETOOTH, b"tag")
        assert movement.at == pytest.approx(begun)
        assert (it.last.index, it.last.at, it.last.by) == (1, NOON, PHONE)
        assert (it.last.action, it.last.completion, it.last.tag) == (action, Completion.SUCCESS, b"tag")


@pytest.mark.parametrize("motor_time", [0, 2])
async def test_an_unlatched_door_is_unlocked_after_the_hold(motor_time):
    async with bench(motor_time=motor_time) as it:
        await it.operate(Action.UNLATCH)
        held = anyio.current_time()
        await it.until(lambda: it.lock.state is LockState.UNLOCKED)
        assert anyio.current_time() - held == pytest.approx(motor_time)
        assert it.shown == [LockState.UNLATCHING, LockState.UNLATCHED, LockState.UNLOCKED]
        assert len(it.lock.movements) == 1


async def test_a_command_during_the_hold_ends_the_hold():
    async with bench() as it:
        await it.operate(Action.UNLATCH)
        assert await it.operate(Action.LOCK) is Completion.SUCCESS
        assert it.shown == [
            LockState.UNLATCHING,
            LockState.UNLATCHED,
            LockState.LOCKING,
            LockState.LOCKED,
        ]


async def test_a_moving_lock_is_busy():
    async with bench() as it:
        it.lock.operate(Action.UNLOCK, PHONE)
        assert it.lock.operate(Action.LOCK, PHONE) is Completion.BUSY
        assert (it.last.action, it.last.completion) == (Action.LOCK, Completion.BUSY)
        await it.until(lambda: it.lock.state is LockState.UNLOCKED)
        assert len(it.lock.movements) == 1
        assert not it.lock.busy


async def test_a_lock_told_to_be_busy_refuses_once():
    async with bench() as it:
        it.lock.faults.arm(Trouble.BUSY)
        assert it.lock.operate(Action.UNLOCK, PHONE) is Completion.BUSY
        assert await it.operate(Action.UNLOCK) is Completion.SUCCESS


async def test_an_uncalibrated_lock_refuses():
    async with bench() as it:
        it.lock.state = LockState.UNCALIBRATED
        assert it.lock.operate(Action.UNLOCK, PHONE) is Completion.NOT_CALIBRATED
        assert not it.lock.movements


@pytest.mark.parametrize(
    ("trouble", "end", "completion", "moved"),
    [
        (Trouble.JAM, LockState.JAMMED, Completion.BLOCKED, 1),
        (Trouble.OBSTRUCTION, LockState.JAMMED, Completion.BLOCKED, 1),
        (Trouble.LOW_VOLTAGE, LockState.UNLOCKED, Completion.LOW_VOLTAGE, 1),
        (Trouble.CLUTCH, LockState.UNLOCKED, Completion.CLUTCH, 1),
        (Trouble.MOTOR_POWER, LockState.UNLOCKED, Completion.MOTOR_POWER, 0),
        (Trouble.CANCELLED, LockState.UNKNOWN, Completion.CANCELLED, 1),
        (Trouble.INCOMPLETE, LockState.PARTIALLY_LOCKED, Completion.INCOMPLETE, 1),
        (Trouble.FALSE_SUCCESS, LockState.UNLOCKED, Completion.SUCCESS, 0),
        (Trouble.JAM_FREES_ITSELF, LockState.LOCKED, Completion.SUCCESS, 1),
        (Trouble.KNOB, LockState.UNLOCKED, Completion.CANCELLED, 1),
    ],
)
@pytest.mark.parametrize("motor_time", [0, 2])
async def test_a_troubled_travel_ends_as_the_trouble_says(trouble, end, completion, moved, motor_time):
    async with bench(locked=False, motor_time=motor_time) as it:
        it.lock.faults.arm(trouble)
        assert await it.operate(Action.LOCK) is completion
        assert it.lock.state is end
        assert len(it.lock.movements) == moved


async def test_a_jam_that_frees_itself_is_seen_stuck_on_its_way():
    async with bench() as it:
        it.lock.faults.arm(Trouble.JAM_FREES_ITSELF)
        await it.operate(Action.UNLOCK)
        assert it.shown == [
            LockState.UNLOCKING,
            LockState.JAMMED,
            LockState.UNLOCKING,
            LockState.UNLOCKED,
        ]


async def test_a_stalled_motor_is_never_heard_of_again():
    async with bench() as it:
        it.lock.faults.arm(Trouble.STALL)
        assert it.lock.operate(Action.UNLOCK, PHONE) is None
        await trio.testing.wait_all_tasks_blocked()
        assert not it.lock.busy
        assert (it.shown, it.ended, it.lock.movements, list(it.lock.log)) == ([], [], [], [])
        assert await it.operate(Action.UNLOCK) is Completion.SUCCESS


async def test_a_jam_stands_until_cleared_and_leaves_the_bolt_where_it_came_from():
    async with bench() as it:
        it.lock.jam()
        assert await it.operate(Action.UNLOCK) is Completion.BLOCKED
        assert await it.operate(Action.UNLOCK) is Completion.BLOCKED
        it.lock.clear()
        assert it.lock.state is LockState.LOCKED
        assert await it.operate(Action.UNLOCK) is Completion.SUCCESS


async def test_an_obstructed_bolt_cannot_come_out_but_goes_in():
    async with bench(locked=False) as it:
        it.lock.obstruct()
        assert it.lock.door is DoorState.OPEN
        assert await it.operate(Action.LOCK) is Completion.BLOCKED
        assert await it.operate(Action.UNLOCK) is Completion.SUCCESS
        it.lock.clear()
        assert it.lock.door is DoorState.CLOSED
        assert await it.operate(Action.LOCK) is Completion.SUCCESS


async def test_a_bolt_that_meets_the_frame_shows_the_door_open():
    async with bench(locked=False) as it:
        it.lock.faults.arm(Trouble.OBSTRUCTION)
        await it.operate(Action.LOCK)
        assert it.lock.door is DoorState.OPEN


async def test_the_knob_moves_the_bolt_without_the_motor():
    async with bench() as it:
        it.lock.manual_unlock()
        assert (it.lock.state, it.lock.origin) == (LockState.UNLOCKED, Origin.MANUAL)
        assert (it.last.by.origin, it.last.action) == (Origin.MANUAL, Action.UNLOCK)
        it.lock.manual_lock()
        assert it.lock.state is LockState.LOCKED
        assert it.lock.movements == []


async def test_turning_the_knob_to_where_it_is_does_nothing():
    async with bench() as it:
        it.lock.manual_lock()
        assert not it.lock.log
        assert it.shown == []


async def test_a_hand_on_the_knob_wins_against_the_motor():
    async with bench(motor_time=4) as it:
        it.lock.operate(Action.UNLOCK, PHONE, finished=it.finished)
        await it.until(lambda: it.lock.state.moving)
        await anyio.sleep(1)
        turned = anyio.current_time()
        it.lock.manual_lock()
        await it.until(lambda: it.ended)
        assert it.ended == [Completion.CANCELLED]
        assert anyio.current_time() == turned
        assert (it.lock.state, it.lock.origin) == (LockState.LOCKED, Origin.MANUAL)
        assert [(o.by.origin, o.completion) for o in it.lock.log] == [
            (Origin.BLUETOOTH, Completion.CANCELLED),
            (Origin.MANUAL, Completion.SUCCESS),
        ]
        assert await it.operate(Action.UNLOCK) is Completion.SUCCESS


async def test_the_door_moving_does_not_hurry_the_motor():
    async with bench(motor_time=4) as it:
        begun = anyio.current_time()
        it.lock.operate(Action.UNLOCK, PHONE, finished=it.finished)
        await it.until(lambda: it.lock.state.moving)
        it.lock.open_door()
        await it.until(lambda: it.ended)
        assert anyio.current_time() - begun == pytest.approx(4)


async def test_a_right_code_unlocks_and_names_its_holder():
    async with bench() as it:
        assert it.lock.keypad("654321")
        await it.until(lambda: it.lock.state is LockState.UNLOCKED)
        assert it.last.by == Operator(Origin.KEYPAD, 2, "Bob")
        assert it.lock.movements[0].origin is Origin.KEYPAD


async def test_a_wrong_code_is_logged_and_moves_nothing():
    async with bench() as it:
        assert not it.lock.keypad("999999")
        assert it.last.completion is Completion.INVALID_CODE
        assert "999999" not in repr(it.lock.log)
        assert not it.lock.busy


async def test_the_keypads_lock_key_needs_no_code():
    async with bench(locked=False) as it:
        it.lock.keypad_lock()
        await it.until(lambda: it.lock.state is LockState.LOCKED)
        assert it.last.by == Operator(Origin.KEYPAD)


async def test_the_fob_toggles_the_bolt():
    async with bench() as it:
        it.lock.fob()
        await it.until(lambda: it.lock.state is LockState.UNLOCKED)
        it.lock.fob()
        await it.until(lambda: it.lock.state is LockState.LOCKED)
        assert [m.origin for m in it.lock.movements] == [Origin.FOB, Origin.FOB]


async def test_a_lock_left_unlocked_locks_itself():
    async with bench() as it:
        it.lock.auto_lock = 30
        it.lock.manual_unlock()
        begun = anyio.current_time()
        await it.until(lambda: it.lock.state is LockState.LOCKED)
        (movement,) = it.lock.movements
        assert movement.origin is Origin.AUTO_LOCK
        assert movement.at - begun == pytest.approx(30)


async def test_an_open_door_holds_auto_lock_back_until_it_shuts():
    async with bench() as it:
        it.lock.auto_lock = 30
        it.lock.manual_unlock()
        it.lock.open_door()
        await anyio.sleep(100)
        assert it.lock.state is LockState.UNLOCKED
        it.lock.close_door()
        await anyio.sleep(32)
        assert it.lock.state is LockState.LOCKED


async def test_a_command_at_the_moment_of_auto_lock_is_the_only_one():
    async with bench() as it:
        it.lock.auto_lock = 0
        it.lock.manual_unlock()
        assert await it.operate(Action.LOCK) is Completion.SUCCESS
        await anyio.sleep(5)
        assert len(it.lock.movements) == 1


async def test_the_door_is_logged_when_it_moves():
    async with bench() as it:
        it.lock.open_door()
        it.lock.open_door()
        it.lock.close_door()
        assert [o.door for o in it.lock.log] == [DoorState.OPEN, DoorState.CLOSED]
        assert [o.index for o in it.lock.log] == [1, 2]


async def test_the_log_forgets_its_oldest_entries_and_keeps_its_numbers():
    async with bench() as it:
        for _ in range(200):
            it.lock.manual_unlock()
            it.lock.manual_lock()
        assert it.lock.log[-1].index == 400
        assert it.lock.log[0].index == 400 - len(it.lock.log) + 1
        assert len(it.lock.log) < 400


async def test_a_low_battery_is_critical():
    async with bench() as it:
        told = []
        it.lock.watch(lambda: told.append(it.lock.battery_critical))
        it.lock.battery(20)
        it.lock.battery(21)
        assert told == [True, False]


@pytest.mark.parametrize("level", [-1, 101])
async def test_a_battery_level_is_a_percentage(level):
    async with bench() as it:
        with pytest.raises(ValueError, match="percentage"):
            it.lock.battery(level)


async def test_reach_is_told_to_the_watchers():
    async with bench() as it:
        told = []
        it.lock.watch(lambda: told.append(it.lock.reachable))
        it.lock.offline()
        it.lock.online()
        assert told == [False, True]


async def test_dropping_after_a_write_is_armed_once():
    async with bench() as it:
        it.lock.drop_after_write()
        assert it.lock.faults.strikes(Trouble.DROP_AFTER_WRITE)
        assert not it.lock.faults.strikes(Trouble.DROP_AFTER_WRITE)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_lock_lives_on_asyncio_too():
    async with bench(motor_time=0) as it:
        assert await it.operate(Action.UNLOCK) is Completion.SUCCESS
        assert it.shown == [LockState.UNLOCKING, LockState.UNLOCKED]


async def test_the_log_is_dated():
    lock = VirtualLock(VirtualSettings())
    lock.manual_unlock()
    assert lock.log[0].at.tzinfo is UTC


async def test_what_is_configured_counts_from_now():
    async with bench(locked=False) as it:
        await anyio.sleep(100)
        it.lock.configure_auto_lock(enabled=True, delay=7)
        configured = anyio.current_time()
        await it.until(lambda: it.lock.state is LockState.LOCKED)
        assert anyio.current_time() - configured == pytest.approx(8)
        assert it.last.by.origin is Origin.AUTO_LOCK


async def test_switched_off_in_time_it_does_not_lock_itself():
    async with bench(locked=False) as it:
        it.lock.configure_auto_lock(enabled=True, delay=7)
        await anyio.sleep(6)
        it.lock.configure_auto_lock(enabled=False, delay=7)
        await anyio.sleep(100)
        assert it.lock.movements == []
        assert it.lock.auto_lock_delay == 7


@pytest.mark.parametrize("locked", [True, False])
async def test_a_reset_brings_it_back_to_how_it_began_and_forgets_nothing_that_happened(locked):
    async with bench(locked=locked) as it:
        begun = it.lock.state
        it.lock.configure_auto_lock(enabled=True, delay=7)
        it.lock.jam()
        await it.operate(Action.LOCK)
        it.lock.battery(5)
        it.lock.obstruct()
        it.lock.held_by_phone = True
        it.lock.offline()
        before = len(it.lock.log)
        it.lock.reset()
        assert (it.lock.state, it.lock.door) == (begun, DoorState.CLOSED)
        assert (it.lock.battery_level, it.lock.reachable, it.lock.held_by_phone) == (100, True, False)
        assert (it.lock.auto_lock, it.lock.auto_lock_delay) == (None, 300)
        assert it.lock.faults.first(Trouble) is None
        assert len(it.lock.movements) == 1
        assert len(it.lock.log) >= before
        assert it.lock.keypad("123456")


async def test_a_bolt_that_a_reset_turns_is_in_the_log():
    async with bench() as it:
        it.lock.manual_unlock()
        it.lock.reset()
        assert (it.last.by.origin, it.last.action) == (Origin.MANUAL, Action.LOCK)


MISHAPS = st.one_of(
    st.sampled_from([*Action]).map(lambda action: ("operate", action, PHONE)),
    st.sampled_from(["manual_lock", "manual_unlock", "keypad_lock", "fob", "jam", "obstruct", "clear"]).map(
        lambda verb: (verb,)
    ),
    st.sampled_from(["open_door", "close_door", "offline", "online", "drop_after_write"]).map(lambda verb: (verb,)),
    st.sampled_from([*CODES, "0"]).map(lambda code: ("keypad", code)),
    st.floats(0, 3).map(lambda seconds: ("sleep", seconds)),
)


@given(st.lists(MISHAPS, max_size=12), st.sampled_from([0, 1]))
def test_whatever_happens_the_motor_turns_once_for_each_action_begun_and_comes_to_rest(mishaps, motor_time):
    async def live():
        async with bench(motor_time=motor_time) as it:
            for verb, *arguments in mishaps:
                if verb == "sleep":
                    await anyio.sleep(*arguments)
                else:
                    getattr(it.lock, verb)(*arguments)
            await anyio.sleep(60)
            lock = it.lock
            assert not lock.busy
            assert not lock.state.moving
            begun = [
                entry
                for entry in lock.log
                if entry.action
                and entry.by.origin is not Origin.MANUAL
                and entry.completion not in (Completion.BUSY, Completion.INVALID_CODE)
            ]
            assert [entry.action for entry in begun] == [movement.action for movement in lock.movements]
            assert [entry.index for entry in lock.log] == list(range(1, len(lock.log) + 1))

    trio.run(live, clock=trio.testing.MockClock(autojump_threshold=0))
