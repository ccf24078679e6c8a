"""Rows of the journal and what they mean."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bridge.attempt import State
from bridge.errors import Code
from bridge.model import Attempt, Event, Task
from drivers.base import Action, AutoLock, Method, Stage

_TASKS = frozenset(Task)


def keep_fact(db: sqlite3.Connection, name: str, default: str) -> str:
    """Return a kept value, keeping `default` if there is none yet."""
    db.execute("INSERT INTO fact (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, default))
    value: str = db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()[0]
    return value


def set_facts(db: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    """Keep values in place of those that were kept by their names."""
    db.executemany(
        "INSERT INTO fact (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", facts.items()
    )


def keep_name(db: sqlite3.Connection, name: str) -> bool:
    """Keep a name as a fact, and tell whether it is new."""
    return db.execute("INSERT INTO fact (name, value) VALUES (?, '') ON CONFLICT DO NOTHING", (name,)).rowcount == 1


def has_name(db: sqlite3.Connection, name: str) -> bool:
    """Tell whether a name is kept."""
    return db.execute("SELECT 1 FROM fact WHERE name = ?", (name,)).fetchone() is not None


def turn_name(db: sqlite3.Connection, name: str, *, on: bool) -> bool:
    """Keep a name as a fact, or no longer, and tell whether that is a change."""
    if on:
        return keep_name(db, name)
    return db.execute("DELETE FROM fact WHERE name = ?", (name,)).rowcount == 1


def insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> int:
    """Insert a row and return its place."""
    columns, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    cursor = db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row)  # noqa: S608 - names from this module
    return cursor.lastrowid or 0


def insert_events(
    db: sqlite3.Connection, events: Sequence[Event], now: float, *, dated: bool = True, posted: bool = True
) -> None:
    """Insert events in their order.

    Args:
        db: the journal.
        events: what is told.
        now: wall time in seconds.
        dated: whether that is known to be right.
        posted: whether no webhook waits for them.
    """
    for event in events:
        row = {
            "event_id": str(event.event_id),
            "event_type": event.event_type,
            "lock_id": event.lock_id,
            "attempt_id": str(event.attempt_id) if event.attempt_id else None,
            "custom_id": event.custom_id,
            "body": json.dumps(event.body, ensure_ascii=False, separators=(",", ":")),
            "created_at": now,
            "dated": dated,
            "posted": posted,
        }
        insert(db, "event", row)


def attempt(row: sqlite3.Row) -> Attempt:
    """Read an attempt's row."""
    return Attempt(
        seq=row["seq"],
        action_id=row["action_id"],
        attempt_id=UUID(row["attempt_id"]),
        lock_id=row["lock_id"],
        action=Task(row["action"]) if row["action"] in _TASKS else Action(row["action"]),
        method=Method(row["method"]),
        custom_id=row["custom_id"],
        boot_id=row["boot_id"],
        deadline=row["deadline"],
        accepted_at=datetime.fromtimestamp(row["accepted_at"], UTC),
        state=State(row["state"]),
        stage=Stage(row["stage"]) if row["stage"] else None,
        code=Code(row["code"]) if row["code"] else None,
        message=row["message"],
        changed=None if row["changed"] is None else bool(row["changed"]),
        ended_at=None if row["ended_at"] is None else datetime.fromtimestamp(row["ended_at"], UTC),
        setting=None if row["setting"] is None else AutoLock(**json.loads(row["setting"])),
    )


def setting(wanted: AutoLock | None) -> str | None:
    """Return what a row keeps of a setting."""
    return None if wanted is None else json.dumps({"enabled": wanted.enabled, "delay": wanted.delay})


def event(row: sqlite3.Row) -> Event:
    """Read an event's row."""
    return Event(
        event_id=UUID(row["event_id"]),
        event_type=row["event_type"],
        lock_id=row["lock_id"],
        body=json.loads(row["body"]),
        attempt_id=UUID(row["attempt_id"]) if row["attempt_id"] else None,
        custom_id=row["custom_id"],
        seq=row["seq"],
    )
