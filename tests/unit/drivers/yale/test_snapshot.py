import pytest

from drivers.base import DoorState, LockState
from drivers.yale.protocol.codes import Bolt, Door
from drivers.yale.snapshot import charge, door_state, lock_state, millivolts_of


@pytest.mark.parametrize(
    ("bolt", "state"),
    [
        (Bolt.UNKNOWN, LockState.UNKNOWN),
        (Bolt.CALIBRATING, LockState.UNCALIBRATED),
        (Bolt.UNLOCKING, LockState.UNLOCKING),
        (Bolt.UNLOCKED, LockState.UNLOCKED),
        (Bolt.LOCKING, LockState.LOCKING),
        (Bolt.LOCKED, LockState.LOCKED),
        (Bolt.FINDING_POLARITY, LockState.UNCALIBRATED),
        (Bolt.JAMMED, LockState.JAMMED),
        (Bolt.UNLATCHING, LockState.UNLATCHING),
        (Bolt.UNLATCHED, LockState.UNLATCHED),
        (Bolt.SECURE_MODE, LockState.LOCKED),
        (0x0B, LockState.UNKNOWN),
        (0xFF, LockState.UNKNOWN),
    ],
)
def test_where_the_bolt_is(bolt, state):
    assert lock_state(bolt) is state


@pytest.mark.parametrize(
    ("door", "state"),
    [
        (Door.INITIAL, DoorState.UNKNOWN),
        (Door.CLOSED, DoorState.CLOSED),
        (Door.AJAR, DoorState.OPEN),
        (Door.OPEN, DoorState.OPEN),
        (Door.UNKNOWN, DoorState.UNKNOWN),
        (0x77, DoorState.UNKNOWN),
    ],
)
def test_where_the_door_is(door, state):
    assert door_state(door) is state


@pytest.mark.parametrize(
    ("millivolts", "percent"), [(0, 0), (4960, 0), (5200, 27), (5400, 49), (5600, 70), (6200, 100), (9000, 100)]
)
def test_the_charge(millivolts, percent):
    assert charge(millivolts) == percent


def test_every_percentage_is_some_voltage():
    assert [charge(millivolts_of(level)) for level in range(101)] == list(range(101))


def test_no_percentage_is_no_voltage():
    with pytest.raises(ValueError, match="percentage"):
        millivolts_of(101)
