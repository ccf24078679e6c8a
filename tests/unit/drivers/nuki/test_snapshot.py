from dataclasses import replace

import pytest

from drivers.base import Action, DoorState, LockState, Method
from drivers.nuki.protocol.codes import Bolt, Door, Trigger, Turn
from drivers.nuki.protocol.commands import KeyturnerStates
from drivers.nuki.snapshot import TARGETS, TURNS, snapshot


def states(bolt=Bolt.LOCKED, battery=0, door=None):
    newer = (
        {}
        if door is None
        else dict.fromkeys(("config_count", "lock_n_go_timer", "last_action", "last_trigger", "last_completion"), 0)
    )
    return KeyturnerStates(2, bolt, 0, None, 0, battery, **newer, door=door)


@pytest.mark.parametrize(
    ("bolt", "state"),
    [
        (Bolt.UNCALIBRATED, LockState.UNCALIBRATED),
        (Bolt.LOCKED, LockState.LOCKED),
        (Bolt.UNLOCKING, LockState.UNLOCKING),
        (Bolt.UNLOCKED, LockState.UNLOCKED),
        (Bolt.LOCKING, LockState.LOCKING),
        (Bolt.UNLATCHED, LockState.UNLATCHED),
        (Bolt.UNLOCKED_LOCK_N_GO, LockState.UNLOCKED),
        (Bolt.UNLATCHING, LockState.UNLATCHING),
        (Bolt.MOTOR_BLOCKED, LockState.JAMMED),
        (Bolt.UNDEFINED, LockState.UNKNOWN),
        (Bolt.BOOT_RUN, LockState.UNKNOWN),
        (0x42, LockState.UNKNOWN),
    ],
)
def test_a_lock_state_is_told_as_what_it_is(bolt, state):
    assert snapshot(states(bolt)).lock_state is state


@pytest.mark.parametrize(
    ("battery", "level", "critical"),
    [
        (0, None, False),
        (1, None, True),
        (50 << 2, 100, False),
        (10 << 2 | 1, 20, True),
        (25 << 2 | 2, 50, False),
        (0xFC, 100, False),
    ],
)
def test_the_battery_byte_tells_charge_and_need(battery, level, critical):
    read = snapshot(states(battery=battery))
    assert (read.battery_level, read.battery_critical) == (level, critical)


@pytest.mark.parametrize(
    ("door", "state"),
    [
        (None, DoorState.UNKNOWN),
        (Door.CLOSED, DoorState.CLOSED),
        (Door.OPEN, DoorState.OPEN),
        (Door.UNAVAILABLE, DoorState.UNKNOWN),
        (Door.TAMPERED, DoorState.UNKNOWN),
    ],
)
def test_the_door_is_open_or_closed_only_if_its_sensor_says_so(door, state):
    assert snapshot(states(door=door)).door_state is state


def test_unlock_never_implies_unlatch():
    assert TURNS == {Action.LOCK: 0x02, Action.UNLOCK: 0x01, Action.UNLATCH: 0x03}
    assert TARGETS[Turn.UNLOCK] is LockState.UNLOCKED


@pytest.mark.parametrize(
    ("trigger", "method"),
    [
        (Trigger.SYSTEM, None),
        (Trigger.MANUAL, Method.MANUAL_TURN),
        (Trigger.BUTTON, Method.MANUAL_TURN),
        (Trigger.AUTOMATIC, Method.AUTO_LOCK),
        (Trigger.AUTO_LOCK, Method.AUTO_LOCK),
        (Trigger.HOMEKIT, None),
        (Trigger.MQTT, Method.REMOTE_API),
        (0x77, None),
    ],
)
def test_the_trigger_names_the_means_where_it_is_but_one(trigger, method):
    assert snapshot(replace(states(), trigger=trigger)).method is method
