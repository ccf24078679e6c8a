"""What ails an adapter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.ble.health import (
    DEAF_AFTER,
    GHOST_AFTER,
    QUIET_AFTER,
    STILL_DEAF_AFTER,
    STUCK_AFTER,
    Down,
    Health,
    Missing,
    Stuck,
    Symptom,
    diagnose,
)
from bridge.ble.radio import Cause

LOCK = "54:D2:72:00:00:01"
NOW = 10_000.0
FINE = Health(listening_since=NOW - 1000, heard_at=NOW - 1)


def test_an_adapter_that_hears_is_well():
    assert diagnose(FINE, NOW) is None
    assert FINE.well


def test_an_adapter_of_which_nothing_is_known_yet_is_neither_ill_nor_well():
    assert diagnose(Health(), NOW) is None
    assert not Health().well


def test_a_scan_that_has_not_heard_anything_since_it_began_is_no_proof():
    assert not replace(FINE, heard_at=None).well
    assert not replace(FINE, listening_since=NOW).well


def test_a_link_is_proof_enough():
    assert Health(linked=True).well
    assert replace(FINE, listening_since=NOW, linked=True).well
    assert not Health(linked=True, down=Down(Cause.OFF, "off", NOW)).well


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_is_an_ailment_since_it_was_seen(cause):
    ailment = diagnose(replace(FINE, down=Down(cause, "Why.", NOW - 5)), NOW)
    assert ailment.since == NOW - 5
    assert ailment.lock is None
    assert ailment.message


def test_what_is_known_of_the_cause_is_told():
    assert diagnose(Health(down=Down(Cause.HUNG, "It hangs.", NOW)), NOW).message == "It hangs."
    assert "bluetoothctl power on" in diagnose(Health(down=Down(Cause.OFF, "off", NOW)), NOW).message


def test_a_switch_is_told_apart_from_a_command_and_from_powering_off():
    off = Health(down=Down(Cause.OFF, "off", NOW))
    assert diagnose(off, NOW).symptom is Symptom.OFF
    assert diagnose(replace(off, soft_blocked=True), NOW).symptom is Symptom.BLOCKED
    assert diagnose(replace(off, soft_blocked=True, hard_blocked=True), NOW).symptom is Symptom.SWITCHED_OFF


def test_an_adapter_that_cannot_be_powered_on_is_more_than_off():
    off, blocked = (Health(down=Down(cause, "off", NOW)) for cause in (Cause.OFF, Cause.BLOCKED))
    assert diagnose(off, NOW, unpowered=True).symptom is Symptom.UNPOWERED
    assert diagnose(blocked, NOW, unpowered=True).symptom is Symptom.BLOCKED


@pytest.mark.parametrize(
    ("heard_at", "patience"), [(NOW, DEAF_AFTER), (NOW - 500, STILL_DEAF_AFTER), (None, QUIET_AFTER)]
)
def test_an_adapter_that_hears_nothing_is_deaf_after_a_while(heard_at, patience):
    health = Health(listening_since=NOW, heard_at=heard_at)
    assert diagnose(health, NOW + patience - 1) is None
    assert diagnose(health, NOW + patience).symptom is Symptom.DEAF


def test_an_adapter_that_does_not_listen_or_has_a_link_is_not_deaf():
    assert diagnose(Health(heard_at=NOW), NOW + 5000) is None
    assert diagnose(Health(listening_since=NOW, linked=True), NOW + 5000) is None


def test_a_lock_that_cannot_be_connected_to_again_and_again_is_stuck():
    assert diagnose(replace(FINE, stuck=(Stuck(LOCK, STUCK_AFTER - 1, NOW),)), NOW) is None
    ailment = diagnose(replace(FINE, stuck=(Stuck(LOCK, STUCK_AFTER, NOW),)), NOW)
    assert (ailment.symptom, ailment.lock) == (Symptom.STUCK, LOCK)
    assert LOCK in ailment.message


def test_a_lock_that_vanished_with_its_connection_while_others_are_heard_is_a_ghost():
    missing = (Missing(LOCK, NOW),)
    health = Health(listening_since=NOW + 1, heard_at=NOW + 2, missing=missing)
    assert diagnose(health, NOW + 1 + GHOST_AFTER - 0.1) is None
    ailment = diagnose(health, NOW + 1 + GHOST_AFTER)
    assert (ailment.symptom, ailment.lock) == (Symptom.GHOST, LOCK)


@pytest.mark.parametrize("health", [Health(), Health(listening_since=NOW), Health(listening_since=NOW, heard_at=NOW)])
def test_where_nothing_else_is_heard_either_there_is_no_ghost(health):
    assert diagnose(replace(health, missing=(Missing(LOCK, NOW),)), NOW + GHOST_AFTER) is None
