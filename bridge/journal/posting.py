"""The events that wait for the webhook."""

from __future__ import annotations

import sqlite3

from bridge.clock import Clock
from bridge.journal import rows
from bridge.journal.store import Store
from bridge.model import Event


class Posting:
    """What the journal keeps for the webhook: nothing, until it begins."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.on = False
        """Whether events are kept for it."""

    def begin(self) -> None:
        """Keep the events from now on for the webhook too."""
        self.on = True

    async def end(self) -> int:
        """Keep no event for the webhook, and return how many were.

        Raises:
            StorageUnavailable: those that were still are.
        """
        self.on = False
        if not await self.lines():
            return 0
        return await self._store.write(lambda db: db.execute("UPDATE event SET posted = 1 WHERE posted = 0").rowcount)

    async def lines(self) -> set[str | None]:
        """Return the locks that have events for the webhook; None among them for the bridge itself."""
        return await self._store.read(
            lambda db: {row[0] for row in db.execute("SELECT DISTINCT lock_id FROM event WHERE posted = 0")}
        )

    async def first(self, lock_id: str | None) -> Event | None:
        """Return a lock's first event that the webhook has not taken."""

        def work(db: sqlite3.Connection) -> Event | None:
            sql = "SELECT * FROM event WHERE posted = 0 AND lock_id IS ? ORDER BY seq LIMIT 1"
            row = db.execute(sql, (lock_id,)).fetchone()
            return None if row is None else rows.event(row)

        return await self._store.read(work)

    async def mark(self, seq: int) -> None:
        """Record that the webhook has taken an event.

        Raises:
            StorageUnavailable: it will be posted again.
        """
        await self._store.write(lambda db: db.execute("UPDATE event SET posted = 1 WHERE seq = ?", (seq,)))

    async def give_up(self, age: float) -> int:
        """Keep events that are older than so many seconds no longer for the webhook, and return how many.

        Where the clock is or was not known to be right they are kept: until they are forgotten altogether.

        Raises:
            StorageUnavailable: none was given up.
        """
        time = {"wall": self._clock.wall().timestamp(), "dated": self._clock.trusted(), "age": age}
        sql = "UPDATE event SET posted = 1 WHERE posted = 0 AND dated AND :dated AND created_at < :wall - :age"
        return await self._store.write(lambda db: db.execute(sql, time).rowcount)
