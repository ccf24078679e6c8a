"""What is observed of an adapter."""

from __future__ import annotations

import pytest
from bleak.exc import BleakDBusError, BleakError

from bridge.ble import vitals as vitals_module
from bridge.ble.health import Down, Health, Missing, Stuck
from bridge.ble.radio import Cause, RadioDown, Unreachable
from bridge.ble.vitals import FRESH, Vitals
from tests.support.clock import FakeClock

LOCK = "54:D2:72:00:00:01"
OTHER = "54:D2:72:00:00:02"
IN_PROGRESS = BleakDBusError("org.bluez.Error.InProgress", ["busy"])
ABORTED = BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"])
REFUSED = BleakDBusError("org.bluez.Error.Failed", ["le-connection-refused"])


@pytest.fixture
def clock():
    return FakeClock(boot=1000.0)


@pytest.fixture
def vitals(clock):
    return Vitals(clock)


def connect(vitals: Vitals, cause: BaseException | None, address: str = LOCK) -> None:
    if cause is None:
        with vitals.connecting(address):
            return
    with pytest.raises(Unreachable), vitals.connecting(address):
        raise Unreachable("No.") from cause


def cancel(vitals: Vitals, address: str = LOCK) -> None:
    with pytest.raises(KeyboardInterrupt), vitals.connecting(address):
        raise KeyboardInterrupt


def test_nothing_is_known_at_first(vitals):
    assert vitals.health(linked=False) == Health()
    assert vitals.listening_since is None
    assert vitals.heard_at(LOCK) is None


def test_a_scan_listens_from_its_start_until_it_fails(vitals, clock):
    vitals.up()
    clock.pass_time(5)
    assert vitals.listening_since == vitals.health(linked=False).listening_since == 1000
    vitals.down(RadioDown("Off.", Cause.OFF))
    assert vitals.listening_since is None
    assert vitals.health(linked=True) == Health(down=Down(Cause.OFF, "Off.", 1005), linked=True)
    vitals.up()
    assert vitals.health(linked=False) == Health(listening_since=1005)


def test_a_failure_lasts_since_its_cause_was_first_seen(vitals, clock):
    vitals.down(RadioDown("Hangs.", Cause.HUNG))
    clock.pass_time(5)
    vitals.down(RadioDown("Hangs still.", Cause.HUNG))
    assert vitals.health(linked=False).down == Down(Cause.HUNG, "Hangs still.", 1000)
    vitals.down(RadioDown("Gone.", Cause.GONE))
    assert vitals.health(linked=False).down == Down(Cause.GONE, "Gone.", 1005)


def test_what_is_heard_is_noted_whoever_it_is(vitals, clock):
    vitals.heard(OTHER)
    clock.pass_time(1)
    assert vitals.health(linked=False).heard_at == vitals.heard_at(OTHER) == 1000


def test_the_one_not_heard_for_longest_is_forgotten(vitals, monkeypatch):
    monkeypatch.setattr(vitals_module, "_REMEMBERED", 2)
    for address in ("A", "B", "A", "C"):
        vitals.heard(address)
    assert vitals.heard_at("B") is None
    assert vitals.heard_at("A") == vitals.heard_at("C") == 1000


def test_nobody_listens_while_a_connection_is_made(vitals, clock):
    vitals.up()
    with vitals.connecting(LOCK):
        with vitals.connecting(OTHER):
            assert vitals.listening_since is None
            assert vitals.health(linked=False).connecting
        vitals.up()
        assert vitals.listening_since is None
        clock.pass_time(3)
    assert vitals.listening_since == vitals.heard_at(LOCK) == 1003
    assert not vitals.health(linked=False).connecting


def test_nobody_listens_after_a_connection_either_if_there_is_no_scan(vitals):
    with vitals.connecting(LOCK):
        pass
    assert vitals.listening_since is None


@pytest.mark.parametrize("cause", [IN_PROGRESS, ABORTED])
def test_failures_of_the_stuck_kind_add_up_until_a_connection(vitals, clock, cause):
    connect(vitals, cause)
    clock.pass_time(1)
    connect(vitals, cause)
    assert vitals.health(linked=False).stuck == (Stuck(LOCK, 2, 1000),)
    assert vitals.health(linked=False).missing == ()
    connect(vitals, None)
    assert vitals.health(linked=False).stuck == ()


@pytest.mark.parametrize("cause", [REFUSED, BleakError("no services"), None])
def test_other_failures_say_nothing_of_the_stack(vitals, cause):
    vitals.heard(LOCK)
    with pytest.raises(Unreachable), vitals.connecting(LOCK):
        raise Unreachable("No.") from cause
    health = vitals.health(linked=False)
    assert (health.stuck, health.missing) == ((), ())


def test_a_radio_that_goes_down_says_nothing_of_the_lock(vitals):
    vitals.heard(LOCK)
    with pytest.raises(RadioDown), vitals.connecting(LOCK):
        raise RadioDown("Off.")
    assert vitals.health(linked=False).missing == ()


@pytest.mark.parametrize("call_off", [cancel, lambda vitals: connect(vitals, TimeoutError())])
def test_a_lock_that_was_there_is_missing_from_when_its_connection_was_called_off(vitals, clock, call_off):
    vitals.heard(LOCK)
    clock.pass_time(FRESH - 1)
    call_off(vitals)
    clock.pass_time(500)
    call_off(vitals)
    assert vitals.health(linked=False).missing == (Missing(LOCK, 1000 + FRESH - 1),)


@pytest.mark.parametrize("cure", [lambda vitals: vitals.heard(LOCK), lambda vitals: connect(vitals, None)])
def test_a_lock_that_is_heard_or_reached_is_not_missing(vitals, cure):
    vitals.heard(LOCK)
    cancel(vitals)
    vitals.heard(OTHER)
    assert vitals.health(linked=False).missing
    cure(vitals)
    assert not vitals.health(linked=False).missing


def test_a_lock_that_was_not_there_before_is_not_missing(vitals, clock):
    cancel(vitals)
    vitals.heard(LOCK)
    clock.pass_time(FRESH)
    cancel(vitals)
    assert vitals.health(linked=False).missing == ()


def test_what_was_treated_is_not_held_against_a_lock_any_more(vitals):
    for address in (LOCK, OTHER):
        vitals.heard(address)
        connect(vitals, IN_PROGRESS, address)
        cancel(vitals, address)
    vitals.treated(LOCK)
    health = vitals.health(linked=False)
    assert [each.address for each in (*health.stuck, *health.missing)] == [OTHER, OTHER]
    vitals.treated()
    assert vitals.health(linked=False) == Health(heard_at=1000)
