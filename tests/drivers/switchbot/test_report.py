import pytest

from drivers.base import DoorState, LockState
from drivers.switchbot.protocol.errors import ProtocolError
from drivers.switchbot.protocol.models import TRAITS, Layout, Model
from drivers.switchbot.protocol.report import Bolt, Report
from drivers.switchbot.snapshot import snapshot

PLAIN = {
    Bolt.LOCKED: LockState.LOCKED,
    Bolt.UNLOCKED: LockState.UNLOCKED,
    Bolt.LOCKING: LockState.LOCKING,
    Bolt.UNLOCKING: LockState.UNLOCKING,
    Bolt.LOCKING_BLOCKED: LockState.JAMMED,
    Bolt.UNLOCKING_BLOCKED: LockState.JAMMED,
    Bolt.LATCHED: LockState.PARTIALLY_LOCKED,
    Bolt.HALF_LOCKED: LockState.PARTIALLY_LOCKED,
}


@pytest.mark.parametrize("model", Model)
@pytest.mark.parametrize("bolt", Bolt)
@pytest.mark.parametrize("calibrated", [True, False])
def test_what_a_lock_reports_comes_out_as_it_went_in(model, bolt, calibrated):
    tells_door = TRAITS[model].layout is not Layout.NARROW_WITHOUT_DOOR
    for door_open in (True, False) if tells_door else (None,):
        report = Report(bolt, calibrated, door_open)
        assert Report.decode(model, report.encode(model)) == report


@pytest.mark.parametrize("model", Model)
def test_a_short_report_is_none(model):
    whole = Report(Bolt.LOCKED).encode(model)
    with pytest.raises(ProtocolError):
        Report.decode(model, whole[:-1])
    assert Report.decode(model, whole + b"\0\0")


WITH_NIGHT_LATCH = PLAIN | {Bolt.UNLOCKED: LockState.UNLATCHED, Bolt.LATCHED: LockState.UNLOCKED}


def meaning(report, *, night_latch=False, door_sensor=True):
    return snapshot(report, night_latch=night_latch, door_sensor=door_sensor)


@pytest.mark.parametrize("bolt", Bolt)
def test_a_reported_state_means_what_the_lock_means_by_it(bolt):
    assert meaning(Report(bolt)).lock_state is PLAIN[bolt]
    assert meaning(Report(bolt), night_latch=True).lock_state is WITH_NIGHT_LATCH[bolt]


def test_a_state_of_newer_firmware_is_unknown():
    assert meaning(Report(15)).lock_state is LockState.UNKNOWN


@pytest.mark.parametrize("bolt", Bolt)
def test_a_lock_that_is_not_calibrated_does_not_know_where_its_bolt_is(bolt):
    assert meaning(Report(bolt, calibrated=False)).lock_state is LockState.UNCALIBRATED


@pytest.mark.parametrize(
    ("told", "mounted", "door"),
    [
        (True, True, DoorState.OPEN),
        (False, True, DoorState.CLOSED),
        (None, True, DoorState.UNKNOWN),
        (False, False, DoorState.UNKNOWN),
    ],
)
def test_the_door_is_told_where_there_is_a_magnet(told, mounted, door):
    assert meaning(Report(Bolt.LOCKED, door_open=told), door_sensor=mounted).door_state is door
