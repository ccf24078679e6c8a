"""JSON and time as they go over the wire."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NoReturn

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


def encode(value: object) -> bytes:
    """Return compact UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def decode(payload: bytes) -> object:
    """Return what JSON text in UTF-8 says.

    Raises:
        ValueError: it is not UTF-8, not JSON, nested too deeply, or names a key twice.
    """
    try:
        value: object = json.loads(payload.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it names a key twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_time(text: str) -> datetime:
    """Return the moment that an RFC 3339 text names.

    Raises:
        ValueError: it is something else, or has no offset.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("it is not an RFC 3339 time with an offset, such as 2026-01-31T10:00:00Z")
    return datetime.fromisoformat(text.upper())


def seconds(moment: datetime) -> str:
    """Return RFC 3339 in UTC, to the second, as device-maker shapes have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime) -> str:
    """Return RFC 3339 in UTC, to the millisecond, as Seam shapes have it."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
