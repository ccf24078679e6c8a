"""What the doctor finds: one sentence each, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and may surprise."""
    FAILURE = "failure"
    """Commands will fail, or be lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    """Its name, such as `bluetooth.adapter`: the same in every version."""
    status: Status
    message: str
    remedy: str | None = None
    """What to do; every finding that is not ok has one."""


def ok(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Status.OK, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Return that something may surprise."""
    return Finding(check, Status.WARNING, message, remedy)


def failure(check: str, message: str, remedy: str) -> Finding:
    """Return that something does not work."""
    return Finding(check, Status.FAILURE, message, remedy)
