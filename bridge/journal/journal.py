"""The journal: what was asked, what was tried, what came of it, and the events that tell it.

Rules:
1. When a method that writes returns, what it wrote is on disk.
2. An attempt's outcome and its events are one transaction.
3. Order is the order of rows. Wall time is data, never a reason; only where a boot is over is there nothing better, and
   there it counts if it was known to be right then and is now. Else a row is as old as this boot at least.
"""

from __future__ import annotations

import secrets
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bridge.attempt import State, advance
from bridge.bell import Bell
from bridge.clock import Clock
from bridge.errors import Code, IllegalStep, StorageUnavailable
from bridge.journal import rows
from bridge.journal.posting import Posting
from bridge.journal.search import Search
from bridge.journal.store import Run, Store, in_thread
from bridge.model import Attempt, Command, Ending, Event, Task
from drivers.base import Action, Method

CUSTOM_ID_MEMORY = 24 * 3600.0
"""Seconds for which a command's `custom_id` is remembered."""
ATTEMPT_MEMORY = 30 * 24 * 3600.0
"""Seconds for which ended attempts are kept: far beyond every way in which a command can come back."""
EVENT_MEMORY = 7 * 24 * 3600.0
"""Seconds for which delivered events are kept; undelivered ones are kept as long as attempts."""

_UNSETTLED = "commands of before this record may come"

_AGE = "CASE WHEN boot_id = :boot THEN :now - arrived WHEN dated AND :dated THEN :wall - {at} ELSE :now END"
"""How old an attempt is in seconds, at least, by its wall time in column `at` if need be."""


async def open_journal(path: Path, clock: Clock, bell: Bell, run: Run = in_thread) -> Journal:
    """Open the journal, making or replacing its file as needed; the bell rings when events are recorded.

    Raises:
        StorageUnavailable: the file cannot be used; the message says what to do.
    """
    store = await Store.open(path, clock.wall(), run)
    made = str(uuid.uuid4())

    def begin(db: sqlite3.Connection) -> tuple[str, bool]:
        epoch = rows.keep_fact(db, "epoch", made)
        if epoch == made:
            rows.keep_name(db, _UNSETTLED)
        return epoch, rows.has_name(db, _UNSETTLED)

    try:
        epoch, fresh = await store.write(begin)
    except StorageUnavailable:
        await store.close()
        raise
    return Journal(store, clock, bell, epoch, fresh=fresh)


class Journal:
    """The journal of one bridge. Made by `open_journal`."""

    def __init__(self, store: Store, clock: Clock, bell: Bell, epoch: str, *, fresh: bool) -> None:
        self._store = store
        self._bell = bell
        self._clock = clock
        self.posting = Posting(store, clock)
        self.search = Search(store)
        self.epoch = epoch
        """The identity of this record: it changes when an earlier one was lost."""
        self.fresh = fresh
        """Whether commands may come of which an earlier record knew: until `settle`, over however many starts."""
        self.begun: Counter[tuple[str, Method]] = Counter()
        """How many attempts were recorded since the start, by what was asked and how it was given."""
        self.ended: Counter[tuple[str, State, Code | None]] = Counter()
        """How many had their outcome recorded since the start, by what was asked, outcome and reason."""

    @property
    def writable(self) -> bool:
        """Whether the last write reached the disk."""
        return self._store.writable

    @property
    def set_aside(self) -> Path | None:
        """Where the latest damaged record was put, when this one was begun."""
        return self._store.set_aside

    async def close(self) -> None:
        """Close the file."""
        await self._store.close()

    async def accept(self, command: Command, deadline: float) -> Attempt:
        """Record a command as a new attempt (durable point ①).

        Raises:
            StorageUnavailable: nothing was recorded.
        """
        attempt = Attempt(
            seq=0,
            action_id=f"act_{secrets.token_hex(8)}",
            attempt_id=uuid.uuid4(),
            lock_id=command.lock_id,
            action=command.action,
            method=command.method,
            custom_id=command.custom_id,
            boot_id=self._clock.boot_id,
            deadline=deadline,
            accepted_at=self._clock.wall(),
            setting=command.setting,
        )
        row = {
            "action_id": attempt.action_id,
            "attempt_id": str(attempt.attempt_id),
            "lock_id": command.lock_id,
            "action": command.action.value,
            "method": command.method.value,
            "custom_id": command.custom_id,
            "request_key": command.request_key,
            "packet_key": command.packet_key,
            "boot_id": attempt.boot_id,
            "arrived": command.arrived,
            "deadline": deadline,
            "accepted_at": attempt.accepted_at.timestamp(),
            "dated": self._clock.trusted(),
            "state": attempt.state.value,
            "setting": rows.setting(command.setting),
        }
        seq = await self._store.write(lambda db: rows.insert(db, "attempt", row))
        self.begun[attempt.action.value, attempt.method] += 1
        return replace(attempt, seq=seq)

    async def commit(self, attempt: Attempt) -> Attempt:
        """Record that the actuating write may be sent from now on (durable point ②).

        Raises:
            StorageUnavailable: it must not be sent.
            IllegalStep: the attempt is past this point already.
        """

        def work(db: sqlite3.Connection) -> Attempt:
            changed = db.execute(
                "UPDATE attempt SET state = 'committed' WHERE seq = ? AND state = 'accepted'", (attempt.seq,)
            ).rowcount
            if changed != 1:
                raise IllegalStep(f"attempt {attempt.action_id} was committed or ended before")
            return replace(attempt, state=State.COMMITTED)

        return await self._store.write(work)

    async def end(
        self,
        attempt: Attempt,
        ending: Ending,
        events: Callable[[Attempt], Sequence[Event]],
        facts: Callable[[], Mapping[str, str]] = dict,
    ) -> Attempt:
        """Record the outcome and the events that tell it, together (durable point ③).

        Args:
            attempt: as it was last recorded.
            ending: how it ends.
            events: makes the events of the ended attempt.
            facts: makes, after the events, what else is to be kept with them, by name.

        Raises:
            StorageUnavailable: nothing was recorded.
            IllegalStep: the attempt has its outcome already, or cannot take this step.
        """
        wall = self._clock.wall()
        ended = replace(
            attempt,
            state=advance(attempt.state, ending.step),
            method=ending.method or attempt.method,
            stage=ending.stage,
            code=ending.code,
            message=ending.message,
            changed=ending.changed,
            ended_at=wall,
        )
        told = events(ended)
        kept = facts()
        now, dated = wall.timestamp(), self._clock.trusted()

        def work(db: sqlite3.Connection) -> Attempt:
            changed = db.execute(
                "UPDATE attempt SET state = ?, method = ?, stage = ?, code = ?, message = ?, changed = ?, ended_at = ?"
                " WHERE seq = ? AND state = ?",
                (
                    ended.state,
                    ended.method,
                    ended.stage,
                    ended.code,
                    ended.message,
                    ended.changed,
                    now,
                    attempt.seq,
                    attempt.state,
                ),
            ).rowcount
            if changed != 1:
                raise IllegalStep(f"attempt {attempt.action_id} is no longer {attempt.state}")
            rows.insert_events(db, told, now, dated=dated, posted=not self.posting.on)
            rows.set_facts(db, kept)
            return ended

        result = await self._store.write(work)
        self.ended[ended.action.value, ended.state, ended.code] += 1
        self._bell.ring()
        return result

    async def tell(self, events: Sequence[Event], facts: Mapping[str, str] = MappingProxyType({})) -> None:
        """Record events that belong to no attempt, and what is to be kept with them, by name.

        Raises:
            StorageUnavailable: nothing was recorded.
        """
        now, dated = self._clock.wall().timestamp(), self._clock.trusted()

        def work(db: sqlite3.Connection) -> None:
            rows.insert_events(db, events, now, dated=dated, posted=not self.posting.on)
            rows.set_facts(db, facts)

        await self._store.write(work)
        self._bell.ring()

    async def tell_once(self, name: str, events: Sequence[Event]) -> bool:
        """Record events unless that was done under the same name before, and tell whether it was not.

        Raises:
            StorageUnavailable: nothing was recorded.
        """
        return await self.tell_turn(name, events, on=True)

    async def tell_turn(self, name: str, events: Sequence[Event], *, on: bool) -> bool:
        """Record that something named holds, or no longer does, and the events that tell it; only if it is a change.

        Args:
            name: of what holds or not; nothing does at first.
            events: tell of the change.
            on: whether it holds.

        Returns:
            Whether it is a change.

        Raises:
            StorageUnavailable: nothing was recorded.
        """
        now, dated = self._clock.wall().timestamp(), self._clock.trusted()

        def work(db: sqlite3.Connection) -> bool:
            changed = rows.turn_name(db, name, on=on)
            rows.insert_events(db, events if changed else [], now, dated=dated, posted=not self.posting.on)
            return changed

        changed = await self._store.write(work)
        self._bell.ring()
        return changed

    async def unsent(self, after: int, limit: int) -> list[Event]:
        """Return events that the broker has not acknowledged, in order, from beyond a place in the journal."""
        return await self._store.read(
            lambda db: [
                rows.event(row)
                for row in db.execute(
                    "SELECT * FROM event WHERE sent = 0 AND seq > ? ORDER BY seq LIMIT ?", (after, limit)
                )
            ]
        )

    async def backlog(self) -> int:
        """Count the events that the broker has not acknowledged, up to a million."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM event WHERE sent = 0 LIMIT 1000000)"
        return await self._store.read(lambda db: db.execute(sql).fetchone()[0])

    async def mark_sent(self, seqs: Iterable[int]) -> None:
        """Record that the broker has acknowledged events (durable point ④).

        Raises:
            StorageUnavailable: they will be sent again.
        """
        places = [(seq,) for seq in seqs]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE event SET sent = 1 WHERE seq = ?", places)

        await self._store.write(work)

    async def earlier(self, command: Command, window: float) -> Attempt | None:
        """Return the attempt that this command is a repetition of, if there is one.

        Args:
            command: by its `custom_id` within 24 hours, a signed one for as long as attempts are kept, so that a clock
                that is set back makes no recorded one new; by its keys within `window` seconds.
            window: for how long the keys mean anything.
        """
        time = self._time()

        def work(db: sqlite3.Connection) -> Attempt | None:
            for column, key, memory in (
                ("custom_id", command.custom_id, ATTEMPT_MEMORY if command.signed else CUSTOM_ID_MEMORY),
                ("request_key", None if command.custom_id else command.request_key, window),
                ("packet_key", command.packet_key if command.redelivered else None, window),
            ):
                if key is None:
                    continue
                known = {"key": key, "lock_id": command.lock_id, "action": command.action, "memory": memory}
                row = db.execute(
                    f"SELECT * FROM attempt WHERE {column} = :key AND lock_id = :lock_id AND action = :action"  # noqa: S608 - one of three literals
                    f" AND {_AGE.format(at='accepted_at')} <= :memory ORDER BY seq DESC LIMIT 1",
                    time | known,
                ).fetchone()
                if row is not None:
                    return rows.attempt(row)
            return None

        return await self._store.read(work)

    async def accepted_since(self, lock_id: str, action: Action | Task, since: float) -> int:
        """Count this boot's attempts at an action that arrived after a boot time."""
        return await self._store.read(
            lambda db: db.execute(
                "SELECT count(*) FROM (SELECT * FROM attempt WHERE lock_id = ? ORDER BY seq DESC LIMIT 1000)"
                " WHERE action = ? AND boot_id = ? AND arrived > ?",
                (lock_id, action, self._clock.boot_id, since),
            ).fetchone()[0]
        )

    async def open_attempts(self) -> list[Attempt]:
        """Return the attempts that have no outcome yet, in order."""
        return await self._store.read(
            lambda db: [
                rows.attempt(row)
                for row in db.execute("SELECT * FROM attempt WHERE state IN ('accepted', 'committed') ORDER BY seq")
            ]
        )

    async def fact(self, name: str, default: str) -> str:
        """Return a kept value, keeping `default` if there is none yet.

        Raises:
            StorageUnavailable: it could not be kept.
        """
        return await self._store.write(lambda db: rows.keep_fact(db, name, default))

    async def settle(self) -> None:
        """Record that no command of before this record can come any more.

        Raises:
            StorageUnavailable: it counts as fresh still.
        """
        await self._store.write(lambda db: rows.turn_name(db, _UNSETTLED, on=False))
        self.fresh = False

    async def facts(self) -> dict[str, str]:
        """Return every kept value by its name."""
        return await self._store.read(lambda db: dict(db.execute("SELECT name, value FROM fact").fetchall()))

    async def prune(self) -> None:
        """Forget ended attempts and events that are older than their memory.

        Raises:
            StorageUnavailable: nothing was forgotten.
        """
        time = self._time() | {"attempts": ATTEMPT_MEMORY, "events": EVENT_MEMORY}

        def work(db: sqlite3.Connection) -> None:
            old = _AGE.format(at="ended_at")
            db.execute(f"DELETE FROM attempt WHERE ended_at IS NOT NULL AND {old} > :attempts", time)  # noqa: S608 - a constant
            db.execute("DELETE FROM event WHERE sent = 1 AND posted = 1 AND created_at < :wall - :events", time)
            db.execute(
                "DELETE FROM event WHERE created_at < :wall - :attempts"
                " AND (attempt_id IS NOT NULL OR dated AND :dated)"
                " AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.attempt_id = event.attempt_id)",
                time,
            )

        await self._store.write(work)

    def _time(self) -> dict[str, Any]:
        """Return what the ages of rows are told by."""
        return {
            "boot": self._clock.boot_id,
            "now": self._clock.boottime(),
            "wall": self._clock.wall().timestamp(),
            "dated": self._clock.trusted(),
        }
