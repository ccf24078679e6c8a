"""The locks as a device maker's API lists them."""

from datetime import UTC, datetime

import pytest

from bridge.wire import inventory

KNOWN = {
    "lock_id": "front_door",
    "name": "Front door",
    "driver": "nuki",
    "online": True,
    "lock_state": "locked",
    "door_state": "closed",
    "updated_at": "2026-01-31T12:00:00.000Z",
}


def built(**fields):
    return inventory.lock({**KNOWN, **fields}, address="54:D2:72:00:00:01", bridge_id="g1", timezone="Europe/Berlin")


def test_a_lock_has_the_documented_keys_and_no_battery_that_is_not_known():
    assert built() == {
        "lock_id": "front_door",
        "device_id": "front_door",
        "name": "Front door",
        "model": "Nuki lock",
        "address": "54:D2:72:00:00:01",
        "device_type": "smart_lock",
        "device_model": "Nuki lock",
        "online": True,
        "lock_state": "locked",
        "door_state": "closed",
        "bridge_id": "g1",
        "timezone": "Europe/Berlin",
        "updated_at": "2026-01-31T12:00:00.000Z",
    }


def test_battery_and_signal_are_told_where_they_are_known():
    found = built(battery_level=80, signal_quality=-60)
    assert (found["battery_level"], found["signal_quality"]) == (80, -60)


def test_the_time_is_told_where_it_is_known():
    where = {"address": "54:D2:72:00:00:01", "bridge_id": "g1", "timezone": "Europe/Berlin"}
    told = inventory.lock(KNOWN, **where, device_time=datetime(2026, 1, 31, 12, 0, 5, 999, UTC))
    assert told["device_time"] == "2026-01-31T12:00:05Z"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("locked", "locked"),
        ("unlocked", "unlocked"),
        ("unlatched", "unlocked"),
        ("locking", "unknown"),
        ("unlocking", "unknown"),
        ("jammed", "unknown"),
        ("unknown", "unknown"),
    ],
)
def test_the_bolt_is_told_in_the_three_words_that_there_are(state, told):
    assert built(lock_state=state)["lock_state"] == told
