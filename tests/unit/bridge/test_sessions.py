"""The session with one lock, over a scripted driver."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.bell import Bell
from bridge.ble.radio import Absence, Presence, RadioDown, Unreachable
from bridge.service.progress import Progress
from bridge.sessions import MOVING_POLL, OutOfTime, Sessions
from bridge.states import States
from drivers.base import DoorState, DriverError, Fault, LinkLost, LockState, Snapshot
from tests.support.clock import FakeClock
from tests.support.scripted_driver import ScriptedDriver

LOCKED = Snapshot(LockState.LOCKED, DoorState.CLOSED)
MOVING = Snapshot(LockState.UNLOCKING)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
def states():
    states = States(FakeClock(), Bell())
    states.add("front_door", "Front door", "scripted")
    return states


@pytest.fixture
def driver():
    return ScriptedDriver()


@pytest.fixture
def sessions(driver, states):
    return Sessions(driver.lock(), driver, states, Progress())


async def test_a_session_is_opened_once_and_kept(sessions, driver):
    assert not sessions.open
    first = await sessions.get(7)
    assert sessions.open
    assert await sessions.get(3) is first
    assert driver.within == [7]


async def test_without_a_key_nothing_is_connected_to(driver, states):
    sessions = Sessions(driver.lock(credential=None), driver, states, Progress())
    with pytest.raises(DriverError, match="lock-bridge pair scripted") as refusal:
        await sessions.get(7)
    assert refusal.value.fault is Fault.NOT_AUTHORIZED
    assert not driver.within


async def test_a_handshake_that_fails_leaves_no_link(sessions, driver):
    driver.open_says = LinkLost
    with pytest.raises(LinkLost):
        await sessions.get(7)
    assert driver.done == ["connect", "close link"]
    assert not sessions.open


async def test_a_handshake_that_is_cancelled_leaves_no_link(sessions, driver):
    def cancel():
        scope.cancel()

    driver.open_says = cancel
    with anyio.CancelScope() as scope:
        await sessions.get(7)
        await sessions.settled(7)
    await sessions.drop()
    assert driver.done == ["connect", "close link", "close session"]


async def test_a_moving_lock_is_read_until_it_rests(sessions, driver, states):
    said = iter([MOVING, MOVING, LOCKED])
    driver.read_says = lambda: next(said)
    _, snapshot = await sessions.settled(7)
    assert snapshot is LOCKED
    assert anyio.current_time() == pytest.approx(2 * MOVING_POLL)
    assert states.device("front_door")["lock_state"] == "locked"
    assert states.device("front_door")["signal_quality"] == -50


async def test_where_it_rests_may_be_kept_for_the_outcome_to_tell(sessions, driver, states):
    said = iter([MOVING, LOCKED])
    driver.read_says = lambda: next(said)
    await sessions.settled(7, tell=False)
    assert states.device("front_door")["lock_state"] == "unlocking"


async def test_time_that_runs_out_while_connecting_says_that_it_was_not_reached(sessions, driver):
    driver.connect_says = lambda: 10.0
    with pytest.raises(Unreachable), sessions.within(5):
        await sessions.settled(5)
    assert anyio.current_time() == 5


async def test_time_that_runs_out_in_an_exchange_says_that_it_was_not_ready(sessions):
    with pytest.raises(OutOfTime) as error, sessions.within(5):
        await sessions.settled(5)
    assert error.value.fault is Fault.UNREACHABLE


async def test_cancellation_from_elsewhere_is_not_taken_for_the_end_of_the_time(sessions, states):
    with anyio.move_on_after(1) as scope, sessions.within(5):
        await sessions.settled(5)
    assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("error", "absence"),
    [
        (Unreachable("no", Absence.HELD_BY_ANOTHER), "held_by_another"),
        (LinkLost(), "out_of_range"),
        (OutOfTime(), "out_of_range"),
        (RadioDown("no"), "adapter_down"),
        (DriverError(Fault.NOT_AUTHORIZED, "no"), "credentials_refused"),
    ],
)
async def test_giving_up_makes_known_why_the_lock_is_not_available(sessions, driver, states, error, absence):
    driver.read_says = lambda: LOCKED
    await sessions.settled(7)
    await sessions.give_up(error)
    assert states.device("front_door")["offline_reason"] == absence
    assert states.device("front_door")["lock_state"] == "unknown"
    assert not sessions.open


async def test_a_lock_that_answers_with_a_refusal_is_not_away(sessions, driver, states):
    driver.read_says = lambda: LOCKED
    await sessions.settled(7)
    await sessions.give_up(DriverError(Fault.REFUSED, "busy"))
    assert states.device("front_door")["online"]


async def test_a_link_that_is_dropped_is_not_asked_for_a_farewell_first(sessions, driver):
    await sessions.get(7)
    await sessions.drop()
    await sessions.drop()
    assert driver.done == ["connect", "close link", "close session"]


async def test_a_link_that_is_left_has_its_farewell(sessions, driver):
    await sessions.get(7)
    await sessions.leave()
    await sessions.leave()
    assert driver.done[:3] == ["connect", "close session", "close link"]
    assert not sessions.open


async def test_a_farewell_that_is_cut_short_leaves_no_half_closed_session(sessions, driver):
    await sessions.get(7)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await sessions.leave()
    assert driver.done == ["connect", "close link", "close session"]
    assert not sessions.open


async def test_dropping_is_not_cut_short(sessions, driver):
    await sessions.get(7)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await sessions.drop()
    assert driver.done == ["connect", "close link", "close session"]


async def test_that_another_lock_waits_for_the_place_of_the_link_can_be_waited_for(sessions, driver):
    await sessions.get(7)
    with anyio.move_on_after(10):
        await sessions.crowded()
        pytest.fail("nobody waits")
    driver.crowded.set()
    await sessions.crowded()


@pytest.mark.parametrize(("heard_at", "absence"), [(None, Absence.NEVER_SEEN), (3.0, Absence.OUT_OF_RANGE)])
async def test_a_lock_that_was_not_reached_in_time_was_never_seen_or_is_out_of_range(
    sessions, driver, heard_at, absence
):
    driver.presence = lambda _address: Presence(heard_at)
    driver.connect_says = lambda: 10.0
    with pytest.raises(Unreachable) as told, sessions.within(5):
        await sessions.settled(5)
    assert told.value.absence is absence


async def test_what_says_nothing_of_the_lock_does_not_make_it_unavailable(sessions, driver, states):
    driver.read_says = lambda: LOCKED
    await sessions.settled(7)
    await sessions.give_up(Unreachable("All connections are in use.", None))
    assert states.device("front_door")["online"]
