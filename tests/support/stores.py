"""A store that a test opens and looks into."""

import contextlib

from bridge.journal.store import Store, inline
from tests.support.clock import NOON


@contextlib.asynccontextmanager
async def opened(path, run=inline):
    store = await Store.open(path, NOON, run)
    try:
        yield store
    finally:
        await store.close()


def put(name):
    """Work that keeps a value."""
    return lambda db: db.execute("INSERT INTO fact VALUES (?, ?)", (name, name)).lastrowid


def names(db):
    return {row["name"] for row in db.execute("SELECT name FROM fact")}


def pragma(name):
    return lambda db: db.execute(f"PRAGMA {name}").fetchone()[0]
