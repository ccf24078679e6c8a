"""What is wrong in a configuration, in sentences that say what to do. No value that may be secret is repeated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Never

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from bridge.config.lines import KeyPath
from bridge.errors import BridgeError

_CODES = "pin_codes"
_CODE_IN_NAME = re.compile(rf"({_CODES}__).*", re.IGNORECASE | re.DOTALL)
"""Below it the keys themselves are secret."""

TOO_DEEP = "tables or lists are nested too deeply"

_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is required",
        "int_type": "must be a whole number, without quotes",
        "float_type": "must be a number, without quotes",
        "bool_type": "must be true or false, without quotes",
        "string_type": "must be text in quotes",
        "path_type": "must be a path in quotes",
        "list_type": "must be a list, in square brackets",
        "tuple_type": "must be a list, in square brackets",
        "frozen_set_type": "must be a list, in square brackets",
        "dict_type": "must be a table",
        "model_type": "must be a table",
        "model_attributes_type": "must be a table",
        "uuid_type": "must be a UUID in quotes",
        "uuid_parsing": "must be a UUID such as 123e4567-e89b-12d3-a456-426614174000",
        "greater_than_equal": "must be at least {ge:g}",
        "greater_than": "must be more than {gt:g}",
        "less_than_equal": "must be at most {le:g}",
        "less_than": "must be less than {lt:g}",
        "literal_error": "must be {expected}",
        "enum": "must be {expected}",
        "finite_number": "must be a finite number",
        "json_invalid": TOO_DEEP,
    }
)
"""Pydantic's kinds of error as sentences about the key."""

_FOLLOWERS = frozenset({"default_factory_not_called"})
"""Kinds of error that only follow from another one."""


_SYNTAX: Mapping[str, str] = MappingProxyType(
    {
        "Invalid value": "a value is missing, or is text without quotes",
        "Cannot overwrite a value": "a key is written twice",
        "Invalid statement": "neither a [table] nor a key = value",
    }
)
"""What `tomllib` says, in words that help; the rest is told as it says it."""

_TWICE: Mapping[str, str] = MappingProxyType(
    {
        "Cannot declare": "a table is written twice",
        "Cannot mutate": "a table is written twice",
        "Cannot redefine": "a table is written twice",
        "Duplicate inline table key": "a key is written twice",
    }
)
"""The beginnings of what `tomllib` says with the key in it, which may be an access code."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to put right."""

    key: str
    """Dotted, as in `mqtt.url` or `locks[0].id`; empty if the file as a whole is meant."""
    line: int | None
    """Where it stands in the file, from 1; None if it is not in the file."""
    message: str

    def told(self, file: str) -> str:
        """Return the line to print, `config.toml:12: mqtt.url: is required`."""
        place = file if self.line is None else f"{file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


def _none() -> Mapping[KeyPath, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Source:
    """Where the keys of a configuration come from. Access codes are among them, so they are not shown."""

    file: Path | None = None
    lines: Mapping[KeyPath, int] = field(default_factory=_none, repr=False)
    variables: Mapping[KeyPath, str] = field(default_factory=_none, repr=False)

    def mistake(self, path: KeyPath, message: str) -> Mistake:
        """Return a mistake about a key, at the nearest place that there is: the key itself, or its table."""
        for length in range(len(path), 0, -1):
            variable = self.variables.get(path[:length])
            if variable is None and length == len(path) and path not in self.lines:
                variable = self._made_by(path)
            if variable:
                return Mistake(dotted(path), None, f"{message} (set by {variable} in the environment)")
            if line := self.lines.get(path[:length]):
                return Mistake(dotted(path), line, message)
        return Mistake(dotted(path), None, message)

    def _made_by(self, table: KeyPath) -> str | None:
        """Return a variable that set a key of this table, without an access code that its name may hold."""
        below = (name for key, name in self.variables.items() if key[: len(table)] == table)
        return next((_CODE_IN_NAME.sub(r"\1…", name) for name in below), None)


class ConfigError(BridgeError):
    """The configuration cannot be used. Each mistake says what to do about it."""

    def __init__(self, mistakes: Iterable[Mistake], file: Path | None = None) -> None:
        self.mistakes = list(mistakes)
        self.file = file
        super().__init__("\n".join(mistake.told(str(file or "configuration")) for mistake in self.mistakes))


def misfit(*found: tuple[KeyPath, str]) -> Never:
    """Refuse what a model's validator found, each at a key of the model.

    Raises:
        ValidationError: always.
    """
    raise ValidationError.from_exception_data(
        "configuration",
        [
            InitErrorDetails(
                type=PydanticCustomError("misfit", "{sentence}", {"sentence": sentence}), loc=path, input=None
            )
            for path, sentence in found
        ],
    )


def dotted(path: KeyPath) -> str:
    """Return a key as people write it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def without_secrets(path: KeyPath) -> KeyPath:
    """Cut a key where its parts begin to be secret themselves."""
    return path[: path.index(_CODES) + 1] if _CODES in path else path


def sentences(
    error: ValidationError, written: Callable[[KeyPath], KeyPath], known: Callable[[KeyPath], Sequence[str]]
) -> Iterable[tuple[KeyPath, str]]:
    """Tell each error of a validation as a key and a sentence.

    Args:
        error: what pydantic found.
        written: turns a place in the model into the key as it is in the file.
        known: returns the keys that a table may have.
    """
    for detail in error.errors(include_url=False, include_input=False):
        if detail["type"] not in _FOLLOWERS:
            path = without_secrets(written(detail["loc"]))
            yield path, _sentence(detail, known(path[:-1]))


def syntax_mistake(told: str, text: str) -> Mistake:
    """Return the mistake that `tomllib` told of a text that is no TOML."""
    what, _, place = told.rpartition(" (at ")
    numbers = re.findall(r"\d+", place)
    line = int(numbers[0]) if numbers else text.rstrip().count("\n") + 1
    twice = next((sentence for beginning, sentence in _TWICE.items() if what.startswith(beginning)), None)
    return Mistake("", line, twice or _SYNTAX.get(what) or f"not valid TOML: {what[:1].lower()}{what[1:]}")


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return the sentence about a key that its table does not have."""
    if name in known:
        return "is of use with another driver than this lock's"
    close = difflib.get_close_matches(name, known, n=1)
    return f'unknown key; did you mean "{close[0]}"?' if close else "unknown key"


def _sentence(detail: ErrorDetails, known: Sequence[str]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return suggestion(str(detail["loc"][-1]), known)
    context: dict[str, Any] = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if template := _SENTENCES.get(kind):
        return template.format(**context).replace("'", '"')
    return detail["msg"][:1].lower() + detail["msg"][1:]
