import pytest

from drivers.base import DoorState, LockState, Snapshot
from drivers.sesame.protocol.codes import Flag
from drivers.sesame.protocol.mech import NO_TARGET, MechSetting, MechStatus
from drivers.sesame.snapshot import lock_state, snapshot

SETTING = MechSetting(10, 266)
LOCK, UNLOCK, STOPPED, CRITICAL = Flag.IN_LOCK_RANGE, Flag.IN_UNLOCK_RANGE, Flag.STOPPED, Flag.CRITICAL


@pytest.mark.parametrize(
    ("target", "position", "flags", "state"),
    [
        (NO_TARGET, 10, STOPPED | LOCK, LockState.LOCKED),
        (NO_TARGET, 266, STOPPED | UNLOCK, LockState.UNLOCKED),
        (10, 266, LOCK, LockState.LOCKING),
        (266, 10, UNLOCK, LockState.UNLOCKING),
        (10, 10, LOCK | CRITICAL, LockState.LOCKING),
        (NO_TARGET, 100, Flag(0), LockState.UNKNOWN),
        (138, 100, Flag(0), LockState.UNKNOWN),
        (10, 138, STOPPED, LockState.PARTIALLY_LOCKED),
        (10, 138, STOPPED | LOCK | UNLOCK, LockState.PARTIALLY_LOCKED),
        (10, 300, STOPPED, LockState.UNKNOWN),
        (10, 138, STOPPED | CRITICAL, LockState.JAMMED),
        (10, 10, STOPPED | CRITICAL | LOCK, LockState.JAMMED),
    ],
)
def test_where_the_bolt_is(target, position, flags, state):
    assert lock_state(MechStatus(3000, target, position, flags), SETTING) is state


def test_a_lock_without_angles_is_not_calibrated():
    status = MechStatus(3000, NO_TARGET, 0, STOPPED | LOCK)
    assert lock_state(status, MechSetting(0, 0)) is LockState.UNCALIBRATED
    assert lock_state(MechStatus(3000, 5, 0, Flag(0)), MechSetting(0, 0)) is LockState.UNKNOWN


@pytest.mark.parametrize("low", [True, False])
def test_what_a_lock_says_of_itself(low):
    flags = STOPPED | LOCK | (Flag.LOW_BATTERY if low else Flag(0))
    found = snapshot(MechStatus(2500, NO_TARGET, 10, flags), SETTING)
    assert found == Snapshot(LockState.LOCKED, DoorState.UNKNOWN, 7, low)
    assert found.method is None
