"""Questions from the parameters of a query. Pure.

Seam's clients write a list as repeated keys and an empty one as a key without a value; people write `ids[]=` and
`ids=a,b` too. What is under a key of an object they write as `object.key`, without a value where it is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, get_args, get_origin
from urllib.parse import urlencode

from pydantic import BaseModel

from bridge.questions.requests import invalid


def fields(kind: type[BaseModel], parameters: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields that a query's parameters stand for; that they fit is seen when the question is read.

    Raises:
        Unanswered: one that is no list is given twice.
    """
    lists = {name for name, field in kind.model_fields.items() if is_list(field.annotation)}
    found: dict[str, Any] = {}
    objects: dict[str, dict[str, Any]] = {
        name: {} for name, field in kind.model_fields.items() if _is(dict, field.annotation)
    }
    for key, value in parameters:
        name = key.removesuffix("[]")
        whole, _, inner = key.partition(".")
        if name in lists:
            found.setdefault(name, []).extend(value.split(",") if value else ())
        elif key in found or inner in objects.get(whole, {}):
            raise invalid({(key,): "it is given twice"})
        elif whole in objects and inner:
            objects[whole][inner] = value or None
        else:
            found[key] = value
    return {name: inside for name, inside in objects.items() if inside} | found


def is_list(annotation: object) -> bool:
    """Tell whether a field holds a list, or nothing."""
    return _is(tuple, annotation)


def _is(kind: type, annotation: object) -> bool:
    """Tell whether a field holds something of a kind, or nothing."""
    if get_origin(annotation) is kind:
        return True
    return any(_is(kind, each) for each in get_args(annotation) if each is not Ellipsis)


def query(given: Mapping[str, object]) -> str:
    """Return a query with which the same is asked."""
    parameters: list[tuple[str, str]] = []
    for name, value in given.items():
        if isinstance(value, Mapping):
            inside = cast("Mapping[str, object]", value)
            parameters += [(f"{name}.{key}", "" if each is None else str(each)) for key, each in inside.items()]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            parameters += [(name, str(each)) for each in value] or [(name, "")]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] # JSON
        elif value is not None:
            parameters.append((name, str(value)))
    return urlencode(parameters)
