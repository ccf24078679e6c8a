"""What Home Assistant's own code makes of the bridge's discoveries and states."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from bridge import events
from bridge.attempt import State
from bridge.bell import Bell
from bridge.errors import Code
from bridge.lock import Lock
from bridge.mqtt.door import Announcer
from bridge.mqtt.homeassistant import discoveries
from bridge.mqtt.topics import Topics
from bridge.states import States
from bridge.wire.maker import parse_request
from drivers.base import Action, DoorState, LockState, Snapshot
from drivers.nuki import NukiDriver, NukiOptions
from tests.support.clock import FakeClock
from tests.support.samples import IDENTITY, make_attempt

pytestmark = pytest.mark.timeout(900)

TOPICS = Topics("lockbridge/g1", ("lockbridge/",), "homeassistant")
NEWER = {"default_entity_id", "state_open"}
"""What later versions of Home Assistant understand; the one that is asked passes over it, as all do over what they do
not know."""


def a_lock(**fields):
    known = {"actions": frozenset(Action), "credential": None, "options": NukiOptions()}
    return Lock(id="back-tür.2", name="Back", address="54:D2:72:00:00:01", driver=NukiDriver(), **(known | fields))


def a_device(state, door=DoorState.UNKNOWN, battery=None):
    states = States(FakeClock(), Bell())
    states.add("back-tür.2", "Back", "nuki")
    states.saw("back-tür.2", Snapshot(state, door, battery), -60)
    return json.dumps(states.device("back-tür.2"))


def an_operation(**fields):
    return json.dumps(events.of_attempt(make_attempt(**fields), IDENTITY)[0].body)


LOCK_STATES = {
    LockState.LOCKED: "locked",
    LockState.UNLOCKED: "unlocked",
    LockState.UNLATCHED: "unlatched",
    LockState.LOCKING: "locking",
    LockState.UNLOCKING: "unlocking",
    LockState.JAMMED: "jammed",
    LockState.UNKNOWN: "None",
}
STATES = {
    "lock": [a_device(state) for state in LOCK_STATES],
    "door": [a_device(LockState.LOCKED, door) for door in (DoorState.OPEN, DoorState.CLOSED, DoorState.UNKNOWN)],
    "battery": [a_device(LockState.LOCKED, battery=80), a_device(LockState.LOCKED)],
    "operation": [
        an_operation(state=State.CONFIRMED, changed=True),
        an_operation(state=State.FAILED, code=Code.LOCK_JAMMED),
    ],
    "connectivity": [Announcer(FakeClock()).status(online=online).decode() for online in (True, False)],
}


@pytest.fixture(scope="module")
def asked(home_assistant):
    """Return by each entity's key what was announced, and what Home Assistant says to it."""
    announced = discoveries("homeassistant", "g1", TOPICS, [a_lock()])
    keys = [topic.split("/")[-2] for topic, _ in announced]
    questions = [
        {"component": topic.split("/")[1], "payload": body, "states": {"value_template": STATES[key]}}
        for key, (topic, body) in zip(keys, announced, strict=True)
    ]
    answers = home_assistant(questions)
    return {key: (body, answer) for key, (_, body), answer in zip(keys, announced, answers, strict=True)}


def test_home_assistant_refuses_what_is_wrong(home_assistant):
    """So that its consent means something."""
    ((topic, body), *_) = discoveries("homeassistant", "g1", TOPICS, [])
    wrong = body | {"state_topic": "wild/#/card"}
    (answer,) = home_assistant([{"component": topic.split("/")[1], "payload": wrong, "states": {}}])
    assert "error" in answer


@pytest.mark.parametrize("key", ["connectivity", "lock", "door", "battery", "operation"])
def test_every_announced_entity_is_taken_with_every_key(asked, key):
    body, answer = asked[key]
    assert "error" not in answer, answer
    assert set(answer["left_out"]) <= NEWER
    assert set(answer["taken"]) >= set(body) - NEWER


def test_every_state_of_the_bolt_is_one_that_the_lock_entity_was_told_of(asked):
    body, answer = asked["lock"]
    shown = answer["shown"]["value_template"]
    assert shown == list(LOCK_STATES.values())
    announced = {value for name, value in body.items() if name.startswith("state_") and name != "state_topic"}
    assert set(shown) - {"None"} == announced


def test_the_other_states_are_shown_as_their_platforms_know_them(asked):
    shown = {key: answer["shown"]["value_template"] for key, (_, answer) in asked.items()}
    assert shown["door"] == ["ON", "OFF", "None"]
    assert shown["battery"] == ["80", "None"]
    assert shown["connectivity"] == ["ON", "OFF"]


def test_the_last_operation_is_an_event_of_a_type_that_was_announced(asked):
    body, answer = asked["operation"]
    success, failure = (json.loads(text) for text in answer["shown"]["value_template"])
    assert success.items() >= {"event_type": "success", "action": "unlock", "performed_via": "remote_api"}.items()
    assert failure.items() >= {"event_type": "failed", "error_code": "LOCK_JAMMED"}.items()
    assert {success["event_type"], failure["event_type"]} == set(body["event_types"])


@pytest.mark.parametrize("expiry", [None, 30])
def test_a_press_is_a_command_that_the_bridge_reads_and_says_until_when_it_is_good(home_assistant, expiry):
    announced = discoveries("homeassistant", "g1", TOPICS, [a_lock()], expiry=expiry)
    ((topic, body),) = [each for each in announced if each[0].endswith("/lock/config")]
    pressed = [body["payload_lock"], body["payload_unlock"], body["payload_open"]]
    question = {"component": topic.split("/")[1], "payload": body, "states": {"command_template": pressed}}
    before = datetime.now(UTC)
    (answer,) = home_assistant([question])
    after = datetime.now(UTC)
    assert "error" not in answer, answer
    commands = [parse_request(text.encode()) for text in answer["shown"]["command_template"]]
    assert [command.action for command in commands] == list(Action)
    for command in commands:
        if expiry is None:
            assert command.expires_at is None
        else:
            assert before <= command.expires_at - timedelta(seconds=expiry) <= after


def test_a_lock_whose_commands_must_be_signed_is_shown_and_cannot_be_pressed(home_assistant):
    announced = discoveries("homeassistant", "g1", TOPICS, [a_lock(require_signature=True)])
    assert not any("command_topic" in body for _, body in announced)
    ((topic, body),) = [each for each in announced if each[0].endswith("/lock/config")]
    question = {"component": topic.split("/")[1], "payload": body, "states": {"value_template": STATES["lock"]}}
    (answer,) = home_assistant([question])
    assert "error" not in answer, answer
    assert set(answer["taken"]) >= set(body) - NEWER
    shown = dict(zip(LOCK_STATES, answer["shown"]["value_template"], strict=True))
    known = {LockState.LOCKED: "OFF", LockState.UNLOCKED: "ON", LockState.UNLATCHED: "ON"}
    assert shown == dict.fromkeys(LOCK_STATES, "None") | known
