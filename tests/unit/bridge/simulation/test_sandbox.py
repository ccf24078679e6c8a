import pytest

from bridge.errors import Code, Refused
from bridge.simulation.sandbox import EVERY_VERB, VERBS, Sandbox
from drivers.base import DoorState, LockState
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from drivers.virtual.peripheral import VirtualSettings


@pytest.fixture
def lock():
    return VirtualLock(VirtualSettings())


@pytest.fixture
def sandbox(lock):
    return Sandbox({"front_door": lock})


def test_every_verb_of_the_command_line_is_there():
    assert set(EVERY_VERB) == {
        *("manual-lock", "manual-unlock", "keypad", "keypad-lock", "fob", "jam", "obstruct", "clear"),
        *("battery", "offline", "online", "drop-after-write"),
    }


def test_hands_turn_the_knob(sandbox, lock):
    sandbox.do("front_door", "manual-unlock")
    assert lock.state is LockState.UNLOCKED
    sandbox.do("front_door", "manual-lock")
    assert lock.state is LockState.LOCKED


def test_a_fob_operates(sandbox, lock):
    sandbox.do("front_door", "fob")
    assert lock.busy


def test_troubles_come_and_are_cleared(sandbox, lock):
    sandbox.do("front_door", "jam")
    sandbox.do("front_door", "obstruct")
    sandbox.do("front_door", "drop-after-write")
    assert lock.door is DoorState.OPEN
    sandbox.do("front_door", "clear")
    assert lock.door is DoorState.CLOSED
    assert lock.faults.first(Trouble) is None


def test_a_lock_goes_out_of_range_and_comes_back(sandbox, lock):
    sandbox.do("front_door", "offline")
    assert not lock.reachable
    sandbox.do("front_door", "online")
    assert lock.reachable


def test_a_battery_has_any_percentage(sandbox, lock):
    sandbox.battery("front_door", 15)
    assert lock.battery_level == 15
    assert lock.battery_critical


@pytest.mark.parametrize("level", [None, True, -1, 101, 50.0, "50"])
def test_a_battery_has_nothing_else(sandbox, lock, level):
    with pytest.raises(Refused, match="0 to 100") as refused:
        sandbox.battery("front_door", level)
    assert refused.value.code is Code.INVALID_REQUEST
    assert lock.battery_level == 100


@pytest.mark.parametrize("verb", [*VERBS, "explode"])
def test_a_real_lock_cannot_be_played_with(verb):
    with pytest.raises(Refused, match="no virtual lock") as refused:
        Sandbox({}).do("front_door", verb)
    assert refused.value.code is Code.ACTION_NOT_SUPPORTED


def test_an_unknown_verb_names_the_known_ones(sandbox):
    with pytest.raises(Refused, match="battery, clear, drop-after-write") as refused:
        sandbox.do("front_door", "explode")
    assert refused.value.code is Code.INVALID_REQUEST
