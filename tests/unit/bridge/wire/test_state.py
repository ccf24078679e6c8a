"""The outward names of a lock's states."""

from typing import get_args

import pytest

from bridge.wire.state import LockStateName, lock_state_name
from drivers.base import LockState

NAMES = {
    LockState.LOCKED: "locked",
    LockState.UNLOCKED: "unlocked",
    LockState.UNLATCHED: "unlatched",
    LockState.LOCKING: "locking",
    LockState.UNLOCKING: "unlocking",
    LockState.UNLATCHING: "unlocking",
    LockState.JAMMED: "jammed",
    LockState.PARTIALLY_LOCKED: "unknown",
    LockState.UNCALIBRATED: "unknown",
    LockState.UNKNOWN: "unknown",
}


@pytest.mark.parametrize("state", LockState)
def test_every_state_has_its_name_and_a_doubtful_one_is_unknown(state):
    assert lock_state_name(state) == NAMES[state]


def test_every_outward_name_can_occur():
    assert {lock_state_name(state) for state in LockState} == set(get_args(LockStateName))
