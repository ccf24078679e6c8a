"""Configuration by environment: `LOCK_BRIDGE__MQTT__URL` stands for `url` in `[mqtt]` and wins over the file.

Rules:
1. Every variable with the prefix becomes a key; one that no table has is found by validation, like one in the file.
2. Numbers and booleans are read from their text, lists and tables from JSON. What cannot be read so stays text,
   which validation then refuses by name.
3. A lock is named by its place: `LOCK_BRIDGE__LOCKS__0__NAME`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from bridge.config.lines import KeyPath
from bridge.config.mistakes import dotted, without_secrets

PREFIX = "LOCK_BRIDGE__"

OptionsOf = Callable[[str], type[BaseModel] | None]
"""Finds the model of a driver's own table by the driver's name."""

_LOCKS = "locks"
_PLACE = re.compile(r"[0-9]{1,4}")
_CONTAINERS = (dict, list, tuple, frozenset, BaseModel)


def overlay(
    data: dict[str, Any], environ: Mapping[str, str], model: type[BaseModel], options_of: OptionsOf
) -> dict[KeyPath, str]:
    """Write the environment's values over the file's.

    Args:
        data: the file's tables; changed in place.
        environ: the process's environment.
        model: what `data` will be validated by.
        options_of: finds the model of a driver's own table.

    Returns:
        The variable that each overlaid key came from.
    """
    variables = sorted(name for name in environ if name.startswith(PREFIX))
    sources: dict[KeyPath, str] = {}
    _number_locks(data)
    for variable in variables:
        path = _path(variable)
        _put(data, path, _read(environ[variable], _types(annotation_at(model, path, options_of))))
        _number_locks(data)
        sources[path] = variable
    places = _list_locks(data)
    return {_moved(path, places): variable for path, variable in sources.items()}


def unreadable(environ: Mapping[str, str]) -> list[str]:
    """Return the keys, as far as they are no secrets, of variables that are no UTF-8 text."""
    found = (name for name in sorted(environ) if name.startswith(PREFIX) and not _is_text(name + environ[name]))
    return [ascii(dotted(without_secrets(_path(name)))).strip("'") for name in found]


def _is_text(value: str) -> bool:
    """Tell whether Python could decode all of it: what it could not are half surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _path(variable: str) -> KeyPath:
    section, *rest = variable.removeprefix(PREFIX).lower().split("__")
    if section == _LOCKS and rest and _PLACE.fullmatch(rest[0]):
        return (section, int(rest[0]), *rest[1:])
    return (section, *rest)


def _number_locks(data: dict[str, Any]) -> None:
    """Hold the locks by their places while variables are laid over them."""
    if isinstance(data.get(_LOCKS), list):
        locks: list[Any] = data[_LOCKS]
        data[_LOCKS] = dict(enumerate(locks))


def _list_locks(data: dict[str, Any]) -> dict[int, int]:
    """Make the numbered locks a list again; return the place where each number went."""
    if not isinstance(data.get(_LOCKS), dict):
        return {}
    locks: dict[Any, Any] = data[_LOCKS]
    if not all(isinstance(number, int) for number in locks):
        return {}
    numbers: list[int] = sorted(locks)
    data[_LOCKS] = [locks[number] for number in numbers]
    return {number: place for place, number in enumerate(numbers)}


def _moved(path: KeyPath, places: Mapping[int, int]) -> KeyPath:
    return tuple(places.get(part, part) if isinstance(part, int) else part for part in path)


def _put(table: dict[Any, Any], path: KeyPath, value: Any) -> None:  # noqa: ANN401 - whatever TOML can hold
    """Set a key. A table is added to; a plain value on the way gives place to a table, which validation refuses."""
    for part in path[:-1]:
        if not isinstance(table.get(part), dict):
            table[part] = {}
        table = table[part]
    if isinstance(value, dict) and isinstance(table.get(path[-1]), dict):
        table[path[-1]].update(value)
    else:
        table[path[-1]] = value


def annotation_at(model: type[BaseModel], path: KeyPath, options_of: OptionsOf) -> Any:  # noqa: ANN401 - a type form
    """Return the type of a key; None if there is no such key or it may hold anything."""
    annotation: Any = model
    for part in path:
        table = model_in(annotation)
        if isinstance(part, int):
            annotation = next(iter(get_args(annotation)), None)
        elif table is None:
            return None
        elif part in table.model_fields:
            annotation = table.model_fields[part].annotation
        else:
            annotation = options_of(part)
    return annotation


def model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type form
    """Return the model of the table that an annotation allows, if it allows one."""
    models = (one for one in _types(annotation) if isinstance(one, type) and issubclass(one, BaseModel))
    return next(models, None)


def _types(annotation: Any) -> set[Any]:  # noqa: ANN401 - a type form
    """Return the plain types that a value may have."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _types(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return {one for member in get_args(annotation) for one in _types(member)}
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    return set() if annotation is None else {origin or annotation}


def _read(text: str, types: set[Any]) -> Any:  # noqa: ANN401 - whatever TOML can hold
    if any(isinstance(one, type) and issubclass(one, _CONTAINERS) for one in types):
        try:
            return json.loads(text)
        except ValueError:
            return text
    for scalar in (bool, int, float):
        if scalar in types:
            try:
                return TypeAdapter(scalar).validate_strings(text)
            except ValidationError:
                return text
    return text
