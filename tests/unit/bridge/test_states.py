"""What is known of each lock, and what is to be published of it."""

import anyio
import pytest

from bridge.ble.radio import Absence
from bridge.states import States
from drivers.base import DoorState, LockState, Snapshot
from tests.support.clock import FakeClock

LOCKED = Snapshot(LockState.LOCKED, DoorState.CLOSED, battery_level=80, battery_critical=False)


class CountingBell:
    def __init__(self):
        self.rings = 0

    def ring(self):
        self.rings += 1


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def bell():
    return CountingBell()


@pytest.fixture
def states(clock, bell):
    """Two locks whose first state has been published."""
    states = States(clock, bell)
    states.add("front_door", "Front door", "nuki")
    states.add("back_door", "Back door", "nuki")
    states.take_dirty()
    bell.rings = 0
    return states


def test_a_lock_that_never_reported_is_offline_and_unknown(states):
    assert states.device("front_door") == {
        "lock_id": "front_door",
        "name": "Front door",
        "driver": "nuki",
        "online": False,
        "offline_reason": "never_seen",
        "lock_state": "unknown",
        "door_state": "unknown",
        "updated_at": "2026-01-31T12:00:00.000Z",
    }
    assert not states.known("front_door")


def test_a_new_lock_is_to_be_published_at_once(clock, bell):
    states = States(clock, bell)
    states.add("front_door", "Front door", "nuki")
    assert states.take_dirty() == {"front_door"}
    assert bell.rings == 1


def test_a_report_makes_a_lock_known_with_everything_it_said(states, clock):
    clock.pass_time(1.5)
    states.saw("front_door", LOCKED, rssi=-60)
    assert states.known("front_door")
    assert states.device("front_door") == {
        "lock_id": "front_door",
        "name": "Front door",
        "driver": "nuki",
        "online": True,
        "lock_state": "locked",
        "door_state": "closed",
        "battery_level": 80,
        "battery_critical": False,
        "signal_quality": -60,
        "updated_at": "2026-01-31T12:00:01.500Z",
    }


def test_a_change_is_to_be_published_once_and_for_its_lock_alone(states, bell):
    states.saw("front_door", LOCKED)
    assert bell.rings == 1
    assert states.take_dirty() == {"front_door"}
    assert states.take_dirty() == set()


def test_the_same_report_again_changes_nothing(states, clock, bell):
    states.saw("front_door", LOCKED)
    states.take_dirty()
    before = states.device("front_door")
    clock.pass_time(60)
    states.saw("front_door", LOCKED)
    assert states.device("front_door") == before
    assert states.take_dirty() == set()
    assert bell.rings == 1


def test_a_report_without_the_battery_keeps_its_last_word_and_is_no_change(states):
    states.saw("front_door", LOCKED)
    states.take_dirty()
    states.saw("front_door", Snapshot(LockState.LOCKED, DoorState.CLOSED))
    assert states.device("front_door")["battery_level"] == 80
    assert states.device("front_door")["battery_critical"] is False
    assert states.take_dirty() == set()


def test_a_report_about_the_battery_replaces_its_last_word(states):
    states.saw("front_door", LOCKED)
    states.saw("front_door", Snapshot(LockState.LOCKED, DoorState.CLOSED, 15, battery_critical=True))
    device = states.device("front_door")
    assert (device["battery_level"], device["battery_critical"]) == (15, True)


def test_a_report_without_the_door_leaves_the_door_unknown(states):
    states.saw("front_door", LOCKED)
    states.saw("front_door", Snapshot(LockState.UNLOCKED))
    device = states.device("front_door")
    assert (device["lock_state"], device["door_state"]) == ("unlocked", "unknown")


def test_the_signal_is_taken_down_without_being_a_change(states):
    states.saw("front_door", LOCKED, rssi=-60)
    states.take_dirty()
    states.saw("front_door", LOCKED, rssi=-70)
    assert states.take_dirty() == set()
    assert states.device("front_door")["signal_quality"] == -70
    states.saw("front_door", LOCKED)
    assert states.device("front_door")["signal_quality"] == -70


@pytest.mark.parametrize("absence", Absence)
def test_a_lost_lock_is_offline_for_its_reason_and_its_bolt_and_door_are_unknown(states, absence):
    states.saw("front_door", LOCKED)
    states.lost("front_door", absence)
    device = states.device("front_door")
    assert (device["online"], device["offline_reason"]) == (False, absence.value)
    assert (device["lock_state"], device["door_state"]) == ("unknown", "unknown")
    assert not states.known("front_door")


def test_the_same_loss_again_changes_nothing(states):
    states.lost("front_door", Absence.OUT_OF_RANGE)
    states.take_dirty()
    states.lost("front_door", Absence.OUT_OF_RANGE)
    assert states.take_dirty() == set()


def test_another_reason_for_the_loss_is_a_change(states):
    states.lost("front_door", Absence.OUT_OF_RANGE)
    states.take_dirty()
    states.lost("front_door", Absence.ADAPTER_DOWN)
    assert states.take_dirty() == {"front_door"}


def test_a_lock_that_is_back_is_online_though_it_says_the_same(states):
    unknown = Snapshot(LockState.UNKNOWN)
    states.saw("front_door", unknown)
    assert states.device("front_door")["online"] is True
    assert "offline_reason" not in states.device("front_door")
    states.lost("front_door", Absence.OUT_OF_RANGE)
    states.take_dirty()
    states.saw("front_door", unknown)
    assert states.device("front_door")["online"] is True
    assert states.take_dirty() == {"front_door"}


def test_the_last_operation_is_told_with_its_time(states, clock):
    operation = {"action": "lock", "performed_via": "bluetooth_key", "at": "2026-01-31T12:00:02Z"}
    states.operated("front_door", operation)
    assert states.device("front_door")["last_operation"] == operation
    assert states.take_dirty() == {"front_door"}


def test_the_locks_keep_the_order_in_which_they_were_added(states):
    assert list(states.lock_ids()) == ["front_door", "back_door"]


def test_a_new_connection_has_every_state_published_again(states, bell):
    states.all_dirty()
    assert states.take_dirty() == {"front_door", "back_door"}
    assert bell.rings == 1


async def test_that_a_lock_is_lost_can_be_waited_for(states):
    await states.doubted("front_door")  # nothing is known yet
    states.saw("front_door", LOCKED)
    assert states.absence("front_door") is None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(states.doubted, "front_door")
        await anyio.wait_all_tasks_blocked()
        states.saw("front_door", Snapshot(LockState.UNLOCKED))
        states.lost("front_door", Absence.OUT_OF_RANGE)
    assert states.absence("front_door") is Absence.OUT_OF_RANGE
