"""The AsyncAPI document: every topic is in it, and what the bridge sends and takes is as it says."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from bridge import events
from bridge.attempt import State
from bridge.config import load
from bridge.mqtt.asyncapi import document
from bridge.mqtt.topics import METHODS, Topics
from bridge.wire import maker
from drivers.base import Action, Method
from tests.support.clock import NOON
from tests.support.daemon import configuration
from tests.support.samples import IDENTITY, make_attempt


@pytest.fixture
def config(tmp_path):
    def load_with(**tables):
        file = tmp_path / "config.toml"
        file.write_text(configuration(1883, "front_door", **tables))
        return load(file, {})

    return load_with


def test_every_topic_is_told_of(config):
    found = document(config())
    topics = Topics("lockbridge/g1", [])
    addresses = {channel["address"] for channel in found["channels"].values()}
    expected = {
        topics.action("{lock_id}"),
        topics.action_reply("{lock_id}"),
        topics.event("{event_type}", "{lock_id}"),
        topics.event("{event_type}", None),
        topics.state("{lock_id}"),
        topics.status,
        *(topics.rpc_reply(method) for method in METHODS),
        *topics.rpc,
        None,
    }
    assert addresses == expected


def test_on_mqtt_3_nothing_is_said_of_what_it_has_not(config):
    found = json.dumps(document(config(mqtt='protocol = "3.1.1"')))
    assert not any(word in found for word in ("responseTopic", "correlationData", "sessionExpiryInterval"))


def valid(found, message, body):
    schema = {"$ref": f"#/components/messages/{message}/payload", "components": found["components"]}
    return Draft202012Validator(schema).is_valid(body)


SHAPE = {"lock.action_completed": "completed", "lock.locked": "lockMoved", "lock.unlocked": "lockMoved"}


@pytest.mark.parametrize("action", [*Action, *events.SIMULATIONS])
@pytest.mark.parametrize("state", [State.CONFIRMED, State.FAILED, State.UNKNOWN])
@pytest.mark.parametrize("method", [*Method])
def test_every_event_is_as_the_document_says(config, action, state, method):
    found = document(config())
    told = events.of_attempt(make_attempt(state, action=action, method=method, custom_id="c1", changed=True), IDENTITY)
    assert told
    for event in told:
        shape = SHAPE.get(event.event_type, "attemptEnded")
        assert valid(found, shape, event.body), event
        assert not valid(found, shape, {**event.body, "event_id": 1})


def test_an_event_of_the_bridge_is_as_the_document_says(config):
    event = events.of_bridge("bridge.journal_reset", IDENTITY, NOON, {"message": "x", "epoch": "y"})
    assert valid(document(config()), "bridgeTold", event.body)


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"action": "unlock"}, True),
        ({"action": "unlatch", "custom_id": "c1", "expires_at": "2026-01-31T12:00:00Z"}, True),
        ({"action": "open"}, False),
        ({"action": "lock", "custom_id": ""}, False),
        ({"action": "lock", "pin": "1"}, False),
        ({}, False),
    ],
)
def test_a_command_is_as_the_document_says(config, body, fits):
    assert valid(document(config()), "command", body) is fits


def test_replies_are_as_the_document_says(config):
    found = document(config())
    assert valid(found, "accepted", maker.accepted(make_attempt(custom_id="c1"), replayed=True))
    assert valid(found, "rejected", {"error_code": "INVALID_REQUEST", "message": "x"})
