"""The OpenAPI document, made from the same operations and models that answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from bridge.http.answers import REQUEST_ID
from bridge.http.operation import Operation
from bridge.wire import answer, maker

_PARAMETER = re.compile(r"\{(\w+)\}")

_EVERYWHERE: Mapping[int, str] = MappingProxyType(
    {
        401: "No API key, or none of this bridge's",
        403: "The API key does not allow it, or a web page sent it",
        405: "Another method",
        429: "Too much, too often",
        500: "The bridge failed to answer",
    }
)
_WITH_BODY: Mapping[int, str] = MappingProxyType(
    {400: "No JSON", 413: "The body is too long", 415: "The body is not declared as JSON"}
)


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """Return the document that tells of operations.

    Args:
        operations: those that it tells of.
        version: of the bridge.
    """
    told = [operation for operation in operations if not operation.local]
    shapes = [TypeAdapter[Any](shape) for shape in (maker.Rejected, answer.ErrorBody)]
    inputs: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        (("error", shape is shapes[0]), "serialization", shape) for shape in shapes
    ]
    for operation in told:
        if operation.takes is not None:
            inputs.append(((operation.method, operation.path), "validation", TypeAdapter[Any](operation.takes)))
        if operation.answers is not None:
            inputs.append(((operation.method, operation.path), "serialization", TypeAdapter[Any](operation.answers)))
    schemas, definitions = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in told:
        key = (operation.method, operation.path)
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation,
            takes=schemas.get((key, "validation")),
            answers=schemas.get((key, "serialization")),
            error=schemas[("error", operation.maker), "serialization"],
            definitions=definitions.get("$defs", {}),
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lock-bridge",
            "version": version,
            "description": "Bluetooth locks: the device-maker face, the Seam face and operations of one bridge.",
        },
        "security": [{"api_key": []}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "bearerFormat": "API Key"}},
        },
    }


def _operation(
    operation: Operation,
    *,
    takes: Mapping[str, Any] | None,
    answers: Mapping[str, Any] | None,
    error: Mapping[str, Any],
    definitions: Mapping[str, Any],
) -> dict[str, Any]:
    statuses = {**_EVERYWHERE, **(_WITH_BODY if operation.method == "POST" else {}), **operation.statuses}
    if operation.judges_length:
        del statuses[HTTPStatus.REQUEST_ENTITY_TOO_LARGE]  # which it answers with its own refusal
    if operation.scope is None:
        del statuses[HTTPStatus.UNAUTHORIZED]
    told: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "responses": {
            "200": _answer("What was asked for", answers or {}, operation.media_type),
            **{str(status): _answer(text, error, "application/json") for status, text in sorted(statuses.items())},
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(operation.path)
    ]
    if operation.method == "GET" and operation.takes is not None:
        parameters += _query(_resolved(takes or {}, definitions))
    elif takes is not None:
        fields = _resolved(takes, definitions)
        told["requestBody"] = {
            "required": bool(fields.get("required") or fields.get("anyOf")),
            "content": {"application/json": {"schema": takes}},
        }
    if parameters:
        told["parameters"] = parameters
    if operation.scope is None:
        told["security"] = []
    return told


def _name(operation: Operation) -> str:
    """Name an operation as Seam does: `actionAttemptsGetPost`."""
    words = [word for part in re.split(r"\W+", operation.path) for word in part.split("_") if word]
    first, *rest = [*words, operation.method.lower()]
    return first + "".join(word.capitalize() for word in rest)


def _answer(text: str, schema: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    return {
        "description": text,
        "headers": {REQUEST_ID: {"required": True, "schema": {"type": "string", "format": "uuid"}}},
        "content": {media_type: {"schema": schema}},
    }


def _query(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of a query that stand for a model's fields.

    An object is left out: the document has no words for how Seam's clients write one in a query.
    """
    required: Sequence[str] = schema.get("required", ())
    fields = {name: _plain(field) for name, field in schema.get("properties", {}).items()}
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in fields.items()
        if field.get("type") != "object"
    ]


def _plain(field: Mapping[str, Any]) -> dict[str, Any]:
    """Take away null, which a query cannot say but by not saying anything."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]
    found = {key: value for key, value in field.items() if key != "anyOf" and value is not None}
    if len(kinds) == 1:
        found |= kinds[0]
    return found


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else schema
