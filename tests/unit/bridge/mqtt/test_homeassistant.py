"""What Home Assistant needs to show a lock."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bridge.lock import Lock
from bridge.mqtt.homeassistant import discoveries
from bridge.mqtt.topics import Topics
from bridge.wire.maker import parse_request
from drivers.base import Action, Capabilities, Options
from drivers.switchbot import SwitchBotDriver, SwitchBotOptions
from drivers.switchbot.protocol.models import Model

TOPICS = Topics("lockbridge/g1", ("lockbridge/",))


def make_lock(lock_id="front_door", *, door=True, battery=True, actions=(Action.LOCK, Action.UNLOCK), **more):
    capabilities = Capabilities(frozenset(Action), door=door, battery_level=battery)
    return Lock(
        id=lock_id,
        name="Front door",
        address="54:D2:72:AA:BB:CC",
        driver=SimpleNamespace(name="nuki", capabilities=capabilities),
        options=Options(),
        credential=None,
        actions=frozenset(actions),
        **more,
    )


def found(*locks, bridge_id="g1"):
    return dict(discoveries("homeassistant", bridge_id, TOPICS, locks))


def entities(lock):
    """The lock's entities by their last topic level but one."""
    return {topic.split("/")[-2]: body for topic, body in found(lock).items()}


def test_every_entity_is_announced_where_home_assistant_looks():
    assert list(found(make_lock())) == [
        "homeassistant/binary_sensor/lockbridge_g1/connectivity/config",
        "homeassistant/lock/lockbridge_g1_front_door/lock/config",
        "homeassistant/binary_sensor/lockbridge_g1_front_door/door/config",
        "homeassistant/sensor/lockbridge_g1_front_door/battery/config",
        "homeassistant/event/lockbridge_g1_front_door/operation/config",
    ]


def test_a_bridge_without_locks_still_announces_its_connectivity():
    (body,) = found().values()
    assert body["device_class"] == "connectivity"
    assert body["state_topic"] == "lockbridge/g1/status"


@pytest.mark.parametrize(("key", "option"), [("door", "door"), ("battery", "battery")])
def test_a_sensor_that_the_lock_does_not_have_is_not_announced(key, option):
    assert key in entities(make_lock())
    assert key not in entities(make_lock(**{option: False}))


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        (SwitchBotOptions(model=Model.PRO), {"door", "battery"}),
        (SwitchBotOptions(model=Model.LITE), {"battery"}),
        (SwitchBotOptions(door_sensor=False), {"battery"}),
        (SwitchBotOptions(model=Model.ULTRA_MAX), {"door"}),
        (SwitchBotOptions(model=Model.ULTRA_MAX, door_sensor=False), set()),
    ],
)
def test_a_sensor_that_this_very_lock_does_not_have_is_not_announced(options, offered):
    lock = replace(make_lock(), driver=SwitchBotDriver(), options=options)
    assert {"door", "battery"} & entities(lock).keys() == offered


def test_a_latch_that_this_very_lock_does_not_have_is_not_offered():
    lock = replace(make_lock(actions=Action), driver=SwitchBotDriver(), options=SwitchBotOptions())
    assert "payload_open" in entities(lock)["lock"]
    assert "payload_open" not in entities(replace(lock, options=SwitchBotOptions(night_latch=False)))["lock"]


def test_no_two_entities_share_an_identity():
    bodies = list(found(make_lock("front_door"), make_lock("back_door")).values())
    for identity in ("unique_id", "default_entity_id"):
        assert len({body[identity] for body in bodies}) == len(bodies)


def test_an_entity_is_named_for_its_own_platform():
    for topic, body in found(make_lock()).items():
        platform = topic.split("/")[1]
        assert body["default_entity_id"] == f"{platform}.{body['unique_id']}"


@pytest.mark.parametrize("name", ["front.door", "haustür", "front door", "a/b", "a+b#"])
def test_a_topic_has_only_letters_that_discovery_allows(name):
    for topic in found(make_lock(name), bridge_id=name):
        assert re.fullmatch(r"homeassistant/[a-z_]+/[a-zA-Z0-9_-]+/[a-z]+/config", topic)


def test_names_that_differ_keep_topics_that_differ():
    names = ["front.door", "front-door", "front_door", "front door", "frontdoor"]
    topics = [topic for name in names for topic in found(make_lock(name)) if "/lock/" in topic]
    assert len(set(topics)) == len(names)


def test_commands_are_given_like_anybody_elses_and_never_retained():
    body = entities(make_lock())["lock"]
    assert body["command_topic"] == TOPICS.action("front_door")
    assert (body["retain"], body["optimistic"], body["qos"]) == (False, False, 1)
    sent = {
        payload: parse_request(body["command_template"].replace("{{ value }}", body[payload]).encode()).action
        for payload in ("payload_lock", "payload_unlock")
    }
    assert sent == {"payload_lock": Action.LOCK, "payload_unlock": Action.UNLOCK}


def test_where_an_expiry_is_required_a_command_says_until_when_it_is_good():
    body = dict(discoveries("homeassistant", "g1", TOPICS, [make_lock()], expiry=25))
    template = body["homeassistant/lock/lockbridge_g1_front_door/lock/config"]["command_template"]
    until = "{{ (utcnow() + timedelta(seconds=25)).isoformat() }}"
    assert until in template
    shown = template.replace("{{ value }}", "lock").replace(until, "2026-01-31T12:00:20.123456+00:00")
    assert parse_request(shown.encode()).expires_at == datetime(2026, 1, 31, 12, 0, 20, 123456, UTC)


def test_opening_is_offered_only_where_an_unlatch_is_allowed():
    assert "payload_open" not in entities(make_lock())["lock"]
    assert entities(make_lock(actions=Action))["lock"]["payload_open"] == "unlatch"


def test_where_commands_must_be_signed_there_is_nothing_to_press():
    topic = "homeassistant/binary_sensor/lockbridge_g1_front_door/lock/config"
    known = found(make_lock(require_signature=True))
    assert not any("command_topic" in body for body in known.values())
    assert (known[topic]["device_class"], known[topic]["state_topic"]) == ("lock", TOPICS.state("front_door"))
    for state, shown in {"locked": "OFF", "unlocked": "ON", "unlatched": "ON"}.items():  # "on" is open
        assert f"'{state}': '{shown}'" in known[topic]["value_template"]


def test_the_lock_shows_every_state_that_is_not_unknown():
    body = entities(make_lock())["lock"]
    assert body["state_topic"] == TOPICS.state("front_door")
    shown = {value for key, value in body.items() if key.startswith("state_") and key != "state_topic"}
    assert shown == {"locked", "unlocked", "unlatched", "locking", "unlocking", "jammed"}
    assert "'None' if value_json.lock_state == 'unknown'" in body["value_template"]


def test_an_entity_is_available_only_while_the_bridge_and_the_lock_are():
    for key, body in entities(make_lock()).items():
        if key != "connectivity":
            assert [entry["topic"] for entry in body["availability"]] == [TOPICS.status, TOPICS.state("front_door")]
            assert body["availability_mode"] == "all"


def test_the_connectivity_is_always_available():
    assert "availability" not in entities(make_lock())["connectivity"]


def test_the_locks_entities_are_one_device_behind_the_bridges():
    by_key = entities(make_lock())
    bridge = by_key.pop("connectivity")["device"]
    devices = [body["device"] for body in by_key.values()]
    assert all(device == devices[0] for device in devices)
    assert devices[0]["name"] == "Front door"
    assert [devices[0]["via_device"]] == bridge["identifiers"]


def test_the_last_operation_is_told_by_its_completion_event():
    body = entities(make_lock())["operation"]
    assert body["state_topic"] == TOPICS.event("lock.action_completed", "front_door")
    assert body["event_types"] == ["success", "failed"]
    assert "'event_type': value_json.status" in body["value_template"]


def test_what_is_announced_is_json():
    for body in found(make_lock()).values():
        assert json.loads(json.dumps(body)) == body
