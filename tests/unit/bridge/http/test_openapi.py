"""The OpenAPI document: valid in itself, and at one with what Seam's own documents show."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from bridge.http import answers, openapi
from bridge.http.operation import Operation
from bridge.questions.requests import QUESTIONS, ListActionAttempts
from bridge.wire import answer, maker
from tests.unit.bridge.wire import seeds


async def nothing(_call):
    return answers.json({})


def operation(method, path, **fields):
    return Operation(method, path, nothing, "Something", **fields)


@pytest.fixture
def document():
    made = [
        operation(
            "POST",
            "/locks/{lock_id}/actions",
            maker=True,
            judges_length=True,
            takes=maker.ActionBody,
            answers=maker.Accepted,
        ),
        operation("GET", "/health", scope=None),
        operation("GET", "/bridge/status", local=True),
    ]
    for name, kind in QUESTIONS.items():
        shown = {"takes": kind, "answers": answer.ActionAttemptsAnswer}
        made += [operation(verb, f"/{name}", **shown) for verb in ("GET", "POST")]
    return openapi.document(made, "1.2.3")


def schema(document, path, verb="post"):
    found = document["paths"][path][verb]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**found, "components": document["components"]})


def test_it_is_json_and_every_schema_in_it_is_one(document):
    assert json.loads(json.dumps(document)) == document
    for found in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(found)
    assert document["info"]["version"] == "1.2.3"


def test_what_is_for_the_command_line_is_left_out(document):
    assert "/bridge/status" not in document["paths"]


def test_every_operation_has_a_name_of_its_own_and_wants_a_key_but_for_health(document):
    told = [each for verbs in document["paths"].values() for each in verbs.values()]
    names = [each["operationId"] for each in told]
    assert len(set(names)) == len(names)
    assert "actionAttemptsGetPost" in names
    assert document["security"] == [{"api_key": []}]
    assert [each["operationId"] for each in told if each.get("security") == []] == ["healthGet"]
    assert "401" not in document["paths"]["/health"]["get"]["responses"]


def test_a_path_a_query_and_a_body_are_told_as_what_they_are(document):
    (lock_id,) = document["paths"]["/locks/{lock_id}/actions"]["post"]["parameters"]
    assert (lock_id["name"], lock_id["in"], lock_id["required"]) == ("lock_id", "path", True)
    parameters = {each["name"]: each for each in document["paths"]["/action_attempts/list"]["get"]["parameters"]}
    assert set(parameters) == set(ListActionAttempts.model_fields)
    assert parameters["limit"]["schema"] == {
        "default": 500,
        "exclusiveMinimum": 0,
        "title": "Limit",
        "type": "integer",
    }
    assert parameters["action_attempt_ids"]["schema"]["type"] == "array"
    assert "object" not in {each["schema"]["type"] for each in document["paths"]["/devices/list"]["get"]["parameters"]}
    assert "requestBody" not in document["paths"]["/action_attempts/list"]["get"]


def test_errors_have_the_shape_of_their_face(document):
    def error(path, verb):
        return document["paths"][path][verb]["responses"]["401"]["content"]["application/json"]["schema"]["$ref"]

    assert error("/locks/{lock_id}/actions", "post").endswith("/Rejected")
    assert error("/action_attempts/get", "post").endswith("/ErrorBody")


def test_what_judges_the_length_of_its_body_refuses_a_long_one_in_its_own_way(document):
    def refuses_long(path):
        return "413" in document["paths"][path]["post"]["responses"]

    assert not refuses_long("/locks/{lock_id}/actions")
    assert refuses_long("/action_attempts/get")


def test_the_example_request_fits_and_one_with_another_field_does_not(document):
    actions = schema(document, "/locks/{lock_id}/actions")
    assert actions.is_valid(seeds.REQUEST)
    assert not actions.is_valid({**seeds.REQUEST, "force": True})
    assert not actions.is_valid({"action": "open"})


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({}, True),
        ({"limit": 500, "page_cursor": None, "device_id": "a"}, True),
        ({"limit": 0}, False),
        ({"limit": "5"}, False),
        ({"action_attempt_ids": "a"}, False),
        ({"more": 1}, False),
    ],
)
def test_a_list_of_attempts_is_asked_for_as_seams_schema_has_it(document, body, fits):
    assert schema(document, "/action_attempts/list").is_valid(body) is fits


@pytest.mark.parametrize(
    ("path", "body", "fits"),
    [
        ("/events/list", {}, False),
        ("/events/list", {"since": None}, False),
        ("/events/list", {"since": "2026-01-01T00:00:00Z"}, True),
        ("/locks/get", {}, False),
        ("/locks/get", {"name": "a"}, True),
        ("/events/get", {"device_id": "a"}, True),
        ("/workspaces/get", {}, True),
    ],
)
def test_where_one_of_several_fields_is_required_the_schema_says_so(document, path, body, fits):
    assert schema(document, path).is_valid(body) is fits
