"""What came of an action whose end was not seen."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.attempt import State, Step
from bridge.bell import Bell
from bridge.readback import BUDGET, STILL, read_back
from bridge.service.progress import Progress
from bridge.sessions import Sessions
from bridge.states import States
from drivers.base import DoorState, DriverError, Fault, LinkLost, LockState, LogRecord, Method, Snapshot, Stage
from tests.support.clock import FakeClock
from tests.support.samples import make_attempt
from tests.support.scripted_driver import ScriptedDriver

LOCKED, UNLOCKED = Snapshot(LockState.LOCKED), Snapshot(LockState.UNLOCKED)
MOVING, JAMMED = Snapshot(LockState.UNLOCKING), Snapshot(LockState.JAMMED)
ATTEMPT = make_attempt(State.COMMITTED)
DENIED = DriverError(Fault.NOT_AUTHORIZED, "no")
BUSY = DriverError(Fault.REFUSED, "busy")


def record(succeeded, fault=None):
    return LogRecord(7, None, None, Method.REMOTE_API, succeeded, fault=fault, tag=ATTEMPT.tag, ours=True)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
def states():
    states = States(FakeClock(), Bell())
    states.add("front_door", "Front door", "scripted")
    states.saw("front_door", LOCKED)
    return states


@pytest.fixture
def driver():
    driver = ScriptedDriver()
    driver.read_says = lambda: LOCKED
    return driver


@pytest.fixture
def look(driver, states):
    """Read back; an unlock unless told otherwise."""
    sessions = Sessions(driver.lock(), driver, states, Progress())

    async def look(stage=Stage.WRITTEN, target=LockState.UNLOCKED):
        with anyio.fail_after(BUDGET + 1):
            return await read_back(sessions, ATTEMPT, stage, target)

    return look


async def test_its_own_entry_in_the_log_and_the_state_prove_success_at_once(look, driver):
    driver.read_says = lambda: UNLOCKED
    driver.find_says = lambda: record(succeeded=True)
    ending = await look()
    assert (ending.step, ending.changed, ending.method, ending.snapshot) == (Step.CONFIRM, True, None, UNLOCKED)
    assert anyio.current_time() == 0


@pytest.mark.parametrize("succeeded", [True, None])
async def test_a_log_that_says_success_while_the_bolt_stands_elsewhere_proves_nothing(look, driver, succeeded):
    driver.find_says = lambda: record(succeeded=succeeded)
    ending = await look()
    assert (ending.step, ending.code, ending.snapshot) == (Step.LOSE, "OUTCOME_UNKNOWN", LOCKED)
    assert STILL <= anyio.current_time() < STILL + 1


@pytest.mark.parametrize("state", [LOCKED, UNLOCKED])
@pytest.mark.parametrize(("fault", "code"), [(Fault.MECHANISM, "MECHANISM_ERROR"), (None, "UNCATEGORIZED_ERROR")])
async def test_a_log_that_says_failure_is_believed_wherever_the_bolt_stands(look, driver, state, fault, code):
    driver.read_says = lambda: state
    driver.find_says = lambda: record(succeeded=False, fault=fault)
    ending = await look()
    assert (ending.step, ending.code) == (Step.FAIL, code)


@pytest.mark.parametrize(
    ("door", "code"),
    [
        (DoorState.UNKNOWN, "LOCK_JAMMED"),
        (DoorState.CLOSED, "LOCK_JAMMED"),
        (DoorState.OPEN, "BOLT_OBSTRUCTED"),
    ],
)
@pytest.mark.parametrize("logged", [True, False])
async def test_a_jam_is_a_failure_and_an_obstruction_where_the_door_is_open(look, driver, door, code, logged):
    driver.read_says = lambda: Snapshot(LockState.LOCKED if logged else LockState.JAMMED, door)
    driver.find_says = lambda: record(succeeded=False, fault=Fault.JAMMED) if logged else None
    ending = await look()
    assert (ending.step, ending.code) == (Step.FAIL, code)


async def test_a_bolt_that_comes_free_was_not_jammed(look, driver):
    driver.read_says = lambda: JAMMED if anyio.current_time() < 3 else UNLOCKED
    driver.find_says = lambda: record(succeeded=True) if anyio.current_time() > 4 else None
    assert (await look()).step is Step.CONFIRM


@pytest.mark.parametrize("after", [LinkLost(), MOVING])
@pytest.mark.parametrize("jammed_for", [0.1, 2])
async def test_a_bolt_that_was_jammed_and_not_seen_at_rest_since_is_unknown(look, driver, after, jammed_for):
    driver.read_says = lambda: JAMMED if anyio.current_time() < jammed_for else after
    ending = await look()
    assert (ending.step, ending.code, ending.snapshot) == (Step.LOSE, "OUTCOME_UNKNOWN", None)
    assert driver.done.count("read") > 1
    assert BUDGET <= anyio.current_time() < BUDGET + 1


async def test_a_bolt_that_was_seen_where_it_was_asked_to_be_stays_a_success_out_of_reach(look, driver):
    driver.read_says = lambda: UNLOCKED if anyio.current_time() < 1 else LinkLost()
    ending = await look()
    assert (ending.step, ending.method, ending.snapshot) == (Step.CONFIRM, Method.UNKNOWN, None)


@pytest.mark.parametrize("trouble", [LinkLost(), BUSY, DENIED])
async def test_a_jam_is_a_failure_though_the_log_cannot_be_read(look, driver, trouble):
    driver.read_says = lambda: JAMMED
    driver.find_says = lambda: trouble
    ending = await look()
    assert (ending.step, ending.code) == (Step.FAIL, "LOCK_JAMMED")


@pytest.mark.parametrize(
    ("stage", "whose"), [(Stage.WRITTEN, Method.UNKNOWN), (Stage.ACCEPTED, None), (Stage.MOVING, None)]
)
async def test_without_a_log_the_state_proves_success_and_that_the_lock_took_it_whose_doing_it_was(
    look, driver, stage, whose
):
    driver.has_log = False
    driver.read_says = lambda: UNLOCKED
    ending = await look(stage)
    assert (ending.step, ending.changed, ending.method) == (Step.CONFIRM, None, whose)
    assert anyio.current_time() == 0


async def test_with_a_log_that_keeps_no_entry_the_state_proves_it_but_not_whose_doing_it_was(look, driver):
    driver.read_says = lambda: UNLOCKED
    ending = await look()
    assert (ending.step, ending.changed, ending.method, ending.snapshot) == (
        Step.CONFIRM,
        None,
        Method.UNKNOWN,
        UNLOCKED,
    )
    assert STILL <= anyio.current_time() < STILL + 1


async def test_a_late_entry_in_the_log_is_waited_for(look, driver):
    driver.read_says = lambda: UNLOCKED
    driver.find_says = lambda: record(succeeded=True) if anyio.current_time() > 3 else None
    ending = await look()
    assert (ending.step, ending.changed, ending.method) == (Step.CONFIRM, True, None)


@pytest.mark.parametrize("state", [LOCKED, UNLOCKED])
async def test_no_state_proves_an_unlatch_but_its_own_entry_does(look, driver, state):
    driver.read_says = lambda: state
    assert (await look(target=None)).step is Step.LOSE
    driver.find_says = lambda: record(succeeded=True)
    assert (await look(target=None)).step is Step.CONFIRM


async def test_a_moving_bolt_is_waited_for(look, driver, states):
    driver.read_says = lambda: MOVING if anyio.current_time() < 20 else UNLOCKED
    driver.find_says = lambda: record(succeeded=True) if anyio.current_time() > 20 else None
    assert (await look()).step is Step.CONFIRM
    assert states.device("front_door")["lock_state"] == "unlocking"  # where it rests is told with the outcome


async def test_a_bolt_that_never_rests_is_unknown_in_time(look, driver, states):
    driver.read_says = lambda: MOVING
    ending = await look(Stage.MOVING)
    assert (ending.step, ending.stage, ending.snapshot) == (Step.LOSE, Stage.MOVING, None)
    assert "began to move" in ending.message
    assert BUDGET <= anyio.current_time() < BUDGET + 1
    assert not states.device("front_door")["online"]


@pytest.mark.parametrize("stage", list(Stage))
async def test_a_lock_that_is_not_reached_again_is_unknown_in_time_and_so_is_its_state(look, driver, states, stage):
    driver.connect_says = lambda: 100.0
    ending = await look(stage)
    assert (ending.step, ending.code, ending.stage) == (Step.LOSE, "OUTCOME_UNKNOWN", stage)
    assert anyio.current_time() == BUDGET
    assert states.device("front_door")["lock_state"] == "unknown"
    assert driver.within == [BUDGET]


async def test_a_lost_link_is_made_again_in_what_is_left_of_the_time(look, driver):
    driver.read_says = lambda: LinkLost() if anyio.current_time() < 10 else UNLOCKED
    driver.find_says = lambda: record(succeeded=True)
    assert (await look()).step is Step.CONFIRM
    assert driver.within == sorted(driver.within, reverse=True)
    assert driver.within[-1] < BUDGET - 9


async def test_a_bolt_that_is_seen_elsewhere_only_now_and_then_is_watched_to_the_end(look, driver):
    """Each loss of the link begins the watch anew: nobody saw what happened meanwhile."""
    reads = iter(range(1000))
    driver.read_says = lambda: LOCKED if next(reads) % 3 else LinkLost()
    assert (await look()).step is Step.LOSE
    assert anyio.current_time() >= BUDGET - 1


@pytest.mark.parametrize("trouble", [LinkLost(), BUSY, DENIED])
async def test_a_log_that_cannot_be_read_leaves_what_the_state_proved(look, driver, states, trouble):
    driver.read_says = lambda: UNLOCKED
    driver.find_says = lambda: trouble
    ending = await look()
    assert (ending.step, ending.method, ending.snapshot) == (Step.CONFIRM, Method.UNKNOWN, None)


async def test_a_key_that_is_refused_is_not_tried_again(look, driver, states):
    driver.read_says = lambda: DENIED
    assert (await look()).step is Step.LOSE
    assert driver.done.count("connect") == 1
    assert states.device("front_door")["offline_reason"] == "credentials_refused"


async def test_a_target_that_was_left_again_proves_nothing(look, driver):
    driver.read_says = lambda: UNLOCKED if anyio.current_time() < 3 else LOCKED
    ending = await look()
    assert (ending.step, ending.snapshot) == (Step.LOSE, LOCKED)
