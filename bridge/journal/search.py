"""Looking for attempts and events in the journal, in turns that let its writes pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from bridge.journal import lookups, rows
from bridge.journal.store import Store
from bridge.model import Attempt, Event


class Search:
    """Looks for what the journal holds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def attempt(self, attempt_id: str) -> Attempt | None:
        """Return an attempt by either of its identities."""
        return await self._store.read(
            lambda db: next(
                (
                    rows.attempt(row)
                    for row in db.execute(
                        "SELECT * FROM attempt WHERE attempt_id = ? OR action_id = ?",
                        (attempt_id, attempt_id),
                    )
                ),
                None,
            )
        )

    async def attempts(self, lock_ids: Iterable[str] | None, before: int, limit: int) -> list[Attempt]:
        """Return attempts from before a place in the journal, the latest first; of some locks, or of all."""
        if lock_ids is None:
            return await self._attempts(None, before, limit)
        found = [each for lock_id in lock_ids for each in await self._attempts(lock_id, before, limit)]
        return sorted(found, key=lambda attempt: attempt.seq, reverse=True)[:limit]

    async def _attempts(self, lock_id: str | None, before: int, limit: int) -> list[Attempt]:
        found: list[Attempt] = []
        some: list[Attempt] | None = None
        while some is None or (some and len(found) < limit):
            size = min(lookups.TURN, limit - len(found))
            some = await self._store.read(
                partial(lookups.latest_attempts, lock_id=lock_id, before=some[-1].seq if some else before, limit=size)
            )
            found += some
        return found

    async def attempts_named(self, names: Sequence[str]) -> dict[str, Attempt]:
        """Return the attempts that there are of those named, by the name, which is either of their identities."""
        found: dict[str, Attempt] = {}
        for begin in range(0, len(names), lookups.TURN):
            some = names[begin : begin + lookups.TURN]
            found |= await self._store.read(partial(lookups.named_attempts, names=some))
        return found

    async def events(self, sought: lookups.Sought, after: int, limit: int, skip: int = 0) -> list[Event]:
        """Return events in order, from beyond a place in the journal, but for as many as are to be skipped."""
        first, last = await self._store.read(lambda db: lookups.extent(db, sought))
        place = max(first, after + 1)
        found: list[Event] = []
        while place <= last and len(found) < limit:
            size = min(lookups.TURN, skip + limit - len(found))
            some = await self._store.read(partial(lookups.events, sought=sought, first=place, limit=size))
            found += some[skip:]
            skip = max(0, skip - len(some))
            place = some[-1].seq + 1 if len(some) == size else place + lookups.STRETCH
        return found

    async def latest_events(self, sought: lookups.Sought, limit: int) -> list[Event]:
        """Return the latest events, in order."""
        first, last = await self._store.read(lambda db: lookups.extent(db, sought))
        found: list[Event] = []
        end = last + 1
        while end > first and len(found) < limit:
            begin = max(first, end - lookups.STRETCH)
            some = await self._store.read(
                partial(lookups.latest_events, sought=sought, first=begin, end=end, limit=limit - len(found))
            )
            found += some
            end = begin
        return found[::-1]
