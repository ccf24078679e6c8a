"""What of the journal can be asked for: attempts and events by what names them.

Each lookup reads a bounded number of rows, since commands wait for it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.journal import rows
from bridge.model import Attempt, Event

TURN = 100
"""Rows that one lookup returns at most, by whoever calls it: between two lookups others have their turns."""
STRETCH = 1000
"""Events that one lookup goes through at most."""
MANY = 5000
"""Places in the journal that one lookup goes through at most."""


@dataclass(frozen=True, slots=True)
class Sought:
    """Which events are asked for. Of what is None, all."""

    since: float = -math.inf
    """Seconds of wall time, included."""
    until: float = math.inf
    """Seconds of wall time, not included."""
    event_types: Sequence[str] | None = None
    lock_ids: Sequence[str] | None = None
    event_ids: Sequence[str] | None = None
    account_ids: Sequence[str] | None = None
    """Connected accounts, which an event of the bridge itself has none of."""
    but: str | None = None
    """An event type that is left out."""


def latest_attempts(db: sqlite3.Connection, lock_id: str | None, before: int, limit: int) -> list[Attempt]:
    """Return attempts from before a place, the latest first."""
    of_lock = "" if lock_id is None else "lock_id = :lock_id AND"
    sql = f"SELECT * FROM attempt WHERE {of_lock} seq < :before ORDER BY seq DESC LIMIT :limit"  # noqa: S608 - a constant
    return [rows.attempt(row) for row in db.execute(sql, {"lock_id": lock_id, "before": before, "limit": limit})]


def named_attempts(db: sqlite3.Connection, names: Sequence[str]) -> dict[str, Attempt]:
    """Return the attempts that there are of those named, by the name, which is either of their identities."""
    sql = (
        "SELECT * FROM attempt WHERE attempt_id IN (SELECT value FROM json_each(:names))"
        " OR action_id IN (SELECT value FROM json_each(:names))"
    )
    found = [rows.attempt(row) for row in db.execute(sql, {"names": json.dumps(names)})]
    return {str(each.attempt_id): each for each in found} | {each.action_id: each for each in found}


def extent(db: sqlite3.Connection, sought: Sought) -> tuple[int, int]:
    """Return places that all events of a time lie between, both included; (0, -1) if there are none.

    Where they are many it is the whole journal: to find the first of them would take longer than to pass the others.
    """
    number, first, last = db.execute(
        "SELECT count(*), min(seq), max(seq) FROM"
        " (SELECT seq FROM event WHERE created_at >= ? AND created_at < ? LIMIT ?)",
        (sought.since, sought.until, MANY),
    ).fetchone()
    if number == MANY:
        first, last = db.execute("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)").fetchone()
    return (first, last) if number else (0, -1)


def events(db: sqlite3.Connection, sought: Sought, first: int, limit: int) -> list[Event]:
    """Return those of the events of one stretch that are asked for, in order, from a place on."""
    values = _values(sought) | {"first": first, "end": first + STRETCH, "limit": limit}
    return [rows.event(row) for row in db.execute(f"{_MATCHING} ORDER BY seq LIMIT :limit", values)]


def latest_events(db: sqlite3.Connection, sought: Sought, first: int, end: int, limit: int) -> list[Event]:
    """Return those of the events between two places that are asked for, the latest first."""
    values = _values(sought) | {"first": first, "end": end, "limit": limit}
    return [rows.event(row) for row in db.execute(f"{_MATCHING} ORDER BY seq DESC LIMIT :limit", values)]


_MATCHING = (
    "SELECT * FROM event NOT INDEXED WHERE seq >= :first AND seq < :end"
    " AND created_at >= :since AND created_at < :until AND event_type IS NOT :but"
    " AND (:types IS NULL OR event_type IN (SELECT value FROM json_each(:types)))"
    " AND (:locks IS NULL OR lock_id IN (SELECT value FROM json_each(:locks)))"
    " AND (:ids IS NULL OR event_id IN (SELECT value FROM json_each(:ids)))"
    " AND (:accounts IS NULL"
    " OR json_extract(body, '$.connected_account_id') IN (SELECT value FROM json_each(:accounts)))"
)


def _values(sought: Sought) -> dict[str, Any]:
    return {
        "since": sought.since,
        "until": sought.until,
        "types": _listed(sought.event_types),
        "locks": _listed(sought.lock_ids),
        "ids": _listed(sought.event_ids),
        "accounts": _listed(sought.account_ids),
        "but": sought.but,
    }


def _listed(names: Sequence[str] | None) -> str | None:
    return None if names is None else json.dumps(list(names))
