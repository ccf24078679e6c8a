"""Seam's documents are the law: every example in them is a test of what is built here."""

import json
import uuid
from datetime import datetime

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from bridge.attempt import State
from bridge.errors import Code, Refused
from bridge.wire import maker, seam, text
from drivers.base import Action, Method
from tests.support.clock import NOON
from tests.support.samples import IDENTITY, make_attempt
from tests.unit.bridge.wire import seeds

formats = FormatChecker(formats=("uuid",))


@formats.checks("date-time", raises=ValueError)
def is_time(value):
    return datetime.fromisoformat(value).tzinfo is not None


def on_the_wire(value):
    """What a receiver reads."""
    return json.loads(text.encode(value))


def check(value, schema):
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=formats).validate(on_the_wire(value))


def kinds(value):
    """The keys of an object and the types of their values."""
    return {key: type(item) for key, item in on_the_wire(value).items()}


def ended(state, **fields):
    return make_attempt(state, code=Code.LOCK_JAMMED, message="The deadbolt could not retract.", **fields)


ALL_ATTEMPTS = [
    make_attempt(state, action=action, code=None if state is State.CONFIRMED else Code.OUTCOME_UNKNOWN)
    for state in State
    for action in Action
]
ENDED_ATTEMPTS = [attempt for attempt in ALL_ATTEMPTS if attempt.state.terminal]


def test_the_example_request_is_read():
    request = maker.parse_request(text.encode(seeds.REQUEST))
    assert request == maker.ActionRequest(Action.UNLOCK, "req_98aa221", None)


def test_the_example_reply_to_it_is_what_is_answered():
    attempt = make_attempt(action_id="act_23423", custom_id="req_98aa221", lock_id="lock_491829")
    assert on_the_wire(maker.accepted(attempt)) == seeds.ACCEPTED


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("custom_id", ["req_98aa221", None])
def test_every_reply_to_an_accepted_command_has_exactly_the_examples_keys(state, custom_id):
    expected = dict(kinds(seeds.ACCEPTED))
    if custom_id is None:
        del expected["custom_id"]
    assert kinds(maker.accepted(make_attempt(state, custom_id=custom_id))) == expected


@pytest.mark.parametrize("name", seeds.REJECTED)
def test_the_example_rejections_are_what_is_answered(name):
    example = seeds.REJECTED[name]
    assert on_the_wire(maker.rejected(Refused(Code(example["error_code"]), example["message"]))) == example


@pytest.mark.parametrize("code", Code)
def test_every_rejection_has_exactly_the_examples_keys(code):
    assert kinds(maker.rejected(Refused(code, "Why.", retry_after=1.0))) == kinds(seeds.REJECTED["offline"])


@pytest.mark.parametrize("name", seeds.COMPLETED)
def test_the_example_completions_are_told_with_nothing_less(name):
    example = seeds.COMPLETED[name]
    attempt = make_attempt(
        State.CONFIRMED if example["status"] == "success" else State.FAILED,
        action_id=example["action_id"],
        action=Action(example["action"]),
        custom_id=example.get("custom_id"),
        lock_id=example["device_id"],
        method=Method(example.get("performed_via", "remote_api")),
        code=Code(example["error_code"]) if "error_code" in example else None,
        message=example.get("message"),
        ended_at=datetime.fromisoformat(example["timestamp"]),
    )
    event = on_the_wire(maker.completed(attempt, str(uuid.uuid4())))
    assert {key: event[key] for key in example} == example


@pytest.mark.parametrize("attempt", ENDED_ATTEMPTS, ids=lambda attempt: f"{attempt.action}-{attempt.state}")
def test_every_completion_has_the_examples_keys_and_its_attribution(attempt):
    example = seeds.COMPLETED["unlocked" if attempt.state is State.CONFIRMED else "jammed"]
    event = kinds(maker.completed(attempt, str(uuid.uuid4())))
    required = {key: kind for key, kind in kinds(example).items() if key != "custom_id"} | kinds(seeds.ATTRIBUTION)
    assert required.items() <= event.items()


@pytest.mark.parametrize("method", seeds.PERFORMED_VIA)
def test_every_common_attribution_can_be_told(method):
    assert maker.completed(ended(State.FAILED, method=Method(method)), "e")["performed_via"] == method


@pytest.mark.parametrize("mode", seeds.FAILURE_MODES)
def test_every_failure_mode_has_its_code(mode):
    attempt = make_attempt(State.FAILED, code=Code(seeds.FAILURE_MODES[mode]), message="Why.")
    assert maker.completed(attempt, "e")["error_code"] == seeds.FAILURE_MODES[mode]


@pytest.mark.parametrize("name", seeds.ATTEMPTS)
def test_the_example_attempts_are_told_by_the_same_keys_in_the_same_types(name):
    example = seeds.ATTEMPTS[name]
    attempt = seam.action_attempt(
        make_attempt(
            State.CONFIRMED,
            attempt_id=uuid.UUID(example["action_attempt_id"]),
            action=Action.LOCK if example["action_type"] == "LOCK_DOOR" else Action.UNLOCK,
        )
    )
    assert kinds(attempt) == kinds(example)
    assert kinds(example["result"]).items() <= kinds(attempt["result"]).items()
    told_by_the_lock = {"result": attempt["result"]}
    assert on_the_wire(attempt) == example | told_by_the_lock


@pytest.mark.parametrize("name", seeds.ATTEMPTS)
def test_the_schemas_hold_for_the_example_attempts(name):
    check(seeds.ATTEMPTS[name], seeds.ATTEMPT)
    check(seeds.ATTEMPTS[name], seeds.ATTEMPT_OBJECT)


@pytest.mark.parametrize("attempt", ALL_ATTEMPTS, ids=lambda attempt: f"{attempt.action}-{attempt.state}")
def test_every_attempt_holds_to_the_schema_and_carries_all_five_keys(attempt):
    built = seam.action_attempt(attempt)
    check(built, seeds.ATTEMPT)
    check(built, seeds.ATTEMPT_OBJECT)
    assert set(built) == set(seeds.ATTEMPT["properties"])


@pytest.mark.parametrize("attempt", ENDED_ATTEMPTS, ids=lambda attempt: f"{attempt.action}-{attempt.state}")
@pytest.mark.parametrize("schema", [seeds.EVENT, seeds.OLDER_EVENT], ids=["newer", "older"])
def test_every_attempts_event_has_the_properties_of_both_editions(attempt, schema):
    event = seam.attempt_event(attempt, IDENTITY, str(uuid.uuid4()), NOON)
    check(event, schema)
    assert event["action_type"] in seeds.ACTION_TYPES
    assert event["status"] == seam.action_attempt(attempt)["status"]


def test_the_list_of_types_is_whole():
    assert len(set(seeds.ACTION_TYPES)) == 12
    assert {seam.action_type(action) for action in Action} == {"LOCK_DOOR", "UNLOCK_DOOR"}
