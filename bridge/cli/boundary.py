"""Where errors become one sentence and an exit code. Nothing that a person can cause ends in a traceback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import cast

import typer

from bridge.catalog import DriverMissing
from bridge.config.mistakes import ConfigError
from bridge.errors import BridgeError, WrongUsage
from drivers.base import DriverError


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """The lock refused, the check failed."""
    WRONG = 2
    """Wrong usage or configuration."""
    NOT_RUNNING = 3
    """The bridge is not running."""
    DENIED = 4
    """No permission."""


class Stop(Exception):
    """A command cannot go on. The message says why and what to do."""

    def __init__(self, message: str, code: Exit = Exit.FAILED, *, advice: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.advice = advice
        """What to do, where that is a matter of its own."""


_EXPECTED: Mapping[type[Exception], Exit] = {
    ConfigError: Exit.WRONG,
    DriverMissing: Exit.WRONG,
    WrongUsage: Exit.WRONG,
    BridgeError: Exit.FAILED,
    DriverError: Exit.FAILED,
    PermissionError: Exit.DENIED,
}
"""Errors that are told in their own words, the most special first."""


def stopped(error: Exception) -> Stop | None:
    """Return why the command stopped; None for an error that only a fault of the program can cause."""
    for leaf in leaves(error):
        if isinstance(leaf, Stop):
            return leaf
        for kind, code in _EXPECTED.items():
            if isinstance(leaf, kind):
                return Stop(_words(leaf), code)
    return None


def _words(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename or 'this'}; run it as a user who has, or with sudo"
    return str(error)


def leaves(error: Exception) -> Iterator[Exception]:
    """Return an error, or those that a task group gathered."""
    if isinstance(error, ExceptionGroup):
        for each in cast("ExceptionGroup[Exception]", error).exceptions:
            yield from leaves(each)
    else:
        yield error


def fail(message: str) -> None:
    """Tell an error, a line each."""
    for line in message.splitlines():
        typer.secho(f"error: {line}", fg=colour("red"), err=True)


def advise(advice: str) -> None:
    """Tell what to do, after what is wrong."""
    if advice:
        tell(f"  {advice}")


def warn(message: str) -> None:
    """Tell a warning."""
    typer.secho(f"warning: {message}", fg=colour("yellow"), err=True)


def tell(message: str) -> None:
    """Tell how it goes, apart from what the command prints."""
    typer.echo(message, err=True)


def show_json(data: object) -> None:
    """Print what a command found, for programs."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def colour(name: str | None) -> str | None:
    """Return the colour, unless none are wanted; what is no terminal is shown none in any case."""
    return None if os.environ.get("NO_COLOR") else name
