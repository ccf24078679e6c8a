"""A lock as Seam shows it: what is known and nothing else."""

import pytest

from bridge.ble.radio import Absence
from bridge.wire.device import device
from drivers.base import Action
from tests.support.samples import IDENTITY

KNOWN = {
    "lock_id": "front_door",
    "name": "Front door",
    "driver": "nuki",
    "online": True,
    "lock_state": "locked",
    "door_state": "closed",
    "updated_at": "2026-01-31T12:00:00.000Z",
}
BOTH = frozenset({Action.LOCK, Action.UNLOCK})


def built(actions=BOTH, *, auto_lock=True, **fields):
    known = {name: value for name, value in {**KNOWN, **fields}.items() if value is not None}
    return device(
        known,
        IDENTITY,
        actions=actions,
        auto_lock=auto_lock,
        timezone="Europe/Berlin",
        created_at="2026-01-01T00:00:00.000Z",
    )


def test_a_lock_of_which_only_bolt_and_door_are_known():
    assert built() == {
        "device_id": str(IDENTITY.device_id("front_door")),
        "device_type": "nuki_lock",
        "display_name": "Front door",
        "capabilities_supported": ["lock"],
        "can_remotely_lock": True,
        "can_remotely_unlock": True,
        "can_configure_auto_lock": True,
        "properties": {
            "online": True,
            "name": "Front door",
            "appearance": {"name": "Front door"},
            "manufacturer": "nuki",
            "model": {"display_name": "Nuki lock", "manufacturer_display_name": "Nuki"},
            "locked": True,
            "door_open": False,
        },
        "location": {"timezone": "Europe/Berlin"},
        "connected_account_id": str(IDENTITY.connected_account_id),
        "workspace_id": str(IDENTITY.workspace_id),
        "errors": [],
        "warnings": [],
        "created_at": "2026-01-01T00:00:00.000Z",
        "is_managed": True,
        "custom_metadata": {"lock_id": "front_door"},
        "space_ids": [],
    }


@pytest.mark.parametrize(
    ("state", "locked"),
    [
        ("locked", {"locked": True}),
        ("unlocked", {"locked": False}),
        ("unlatched", {"locked": False}),
        *[(state, {}) for state in ("locking", "unlocking", "jammed", "unknown")],
    ],
)
def test_it_is_locked_or_not_only_where_the_bolt_is_at_rest_and_known(state, locked):
    properties = built(lock_state=state)["properties"]
    assert {name: value for name, value in properties.items() if name == "locked"} == locked


@pytest.mark.parametrize(
    ("state", "door"), [("open", {"door_open": True}), ("closed", {"door_open": False}), ("unknown", {})]
)
def test_the_door_is_told_where_it_is_known(state, door):
    properties = built(door_state=state)["properties"]
    assert {name: value for name, value in properties.items() if name == "door_open"} == door


@pytest.mark.parametrize(
    ("percent", "critical", "status"),
    [
        (0, None, "low"),
        (20, False, "low"),
        (21, None, "good"),
        (94, None, "good"),
        (95, None, "full"),
        (100, False, "full"),
        (60, True, "critical"),
    ],
)
def test_the_batterys_charge_goes_from_0_to_1(percent, critical, status):
    properties = built(battery_level=percent, battery_critical=critical)["properties"]
    assert properties["battery_level"] == percent / 100
    assert properties["battery"] == {"level": percent / 100, "status": status}


def test_a_battery_without_a_level_is_left_out():
    assert not {"battery", "battery_level"} & set(built(battery_critical=True)["properties"])


@pytest.mark.parametrize(
    ("actions", "lock", "unlock"), [({Action.LOCK}, True, False), ({Action.UNLATCH, Action.UNLOCK}, False, True)]
)
def test_it_can_do_what_its_configuration_allows(actions, lock, unlock):
    built_device = built(actions=frozenset(actions))
    assert (built_device["can_remotely_lock"], built_device["can_remotely_unlock"]) == (lock, unlock)


@pytest.mark.parametrize("absence", Absence)
def test_one_that_is_offline_says_why(absence):
    offline = built(online=False, offline_reason=absence.value, lock_state="unknown")
    assert offline["properties"]["online"] is False
    (error,) = offline["errors"]
    assert error["error_code"] in ("device_disconnected", "hub_disconnected", "missing_device_credentials")
    assert error["message"].endswith(".")
    assert (error["is_device_error"], error["created_at"]) == (True, KNOWN["updated_at"])


@pytest.mark.parametrize(
    ("actions", "auto_lock", "can"),
    [(BOTH, True, True), (BOTH, False, False), (frozenset({Action.UNLOCK}), True, False)],
)
def test_an_auto_lock_is_configured_where_driver_and_configuration_let_it(actions, auto_lock, can):
    assert built(actions, auto_lock=auto_lock)["can_configure_auto_lock"] is can
