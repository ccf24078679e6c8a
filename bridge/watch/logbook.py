"""What is new in a lock's own log, as little of it as tells.

To break off an exchange with the log costs the connection, so each page of it goes on for a moment though a command
waits; then it is broken off.

A log that forgets what is read is read only where its owner says so, entry by entry: each is recorded before the next
is taken, and one that could not be recorded is kept and told first. Lost is at most the one that was under way when
the link or the process ended.
"""

from __future__ import annotations

from dataclasses import replace

import anyio
import anyio.lowlevel
import structlog

from bridge.sessions import Sessions
from bridge.watch.memory import Memory, Place
from bridge.watch.reckoning import Page
from drivers.base import Consuming, ConsumingOptions, DriverError, Fault, LinkLost, LogRecord, Session

log = structlog.get_logger()

LOG_TIME = 45.0
"""Seconds that a look into the log may take."""
PAGE = 8
"""Entries that are asked for at one time."""
MOST = 256
"""Entries that are read at one look."""
PAGE_TIME = 30.0
"""Seconds that a page may take, and the list of users, without which a lock's log names no kind of key."""
GRACE = 0.5
"""Seconds that it has left once a command waits."""
SHUT = 24 * 3600.0
"""Seconds for which a log that may not be read is left alone: a wrong PIN too often shuts everybody out."""


class Logbook:
    """Reads one lock's log."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._page = anyio.CancelScope()
        self._shut_until = 0.0
        self._was_read = False
        self._taken: LogRecord | None = None

    @property
    def consumed(self) -> bool:
        """Whether the log forgets what is read of it, and is to be read all the same."""
        options = self._sessions.lock.options
        return isinstance(options, ConsumingOptions) and options.consume_log

    @property
    def followed(self) -> bool:
        """Whether what was done is told by the log, sooner or later."""
        return self._was_read and self.open

    @property
    def open(self) -> bool:
        """Whether the log is to be read, as far as is known."""
        can = self._sessions.lock.capabilities.log or self.consumed
        return self._sessions.lock.read_log and can and anyio.current_time() >= self._shut_until

    def hurry(self) -> None:
        """A command waits: give what cannot be broken off a moment, and no more."""
        self._page.deadline = min(self._page.deadline, anyio.current_time() + GRACE)

    async def news(self, session: Session, memory: Memory) -> Page | None:
        """Return the entries that come after the one that was last taken account of; None if they may not be read.

        Raises:
            DriverError: they could not be read, and the link is ended.
        """
        try:
            with self._sessions.within(LOG_TIME):
                if isinstance(session, Consuming) and self.consumed:
                    page = await self._take(session, memory)
                else:
                    page = await self._news(session, memory)
        except DriverError as error:
            if error.fault is Fault.NOT_AUTHORIZED:
                self._shut_until = anyio.current_time() + SHUT
                log.warning("log not read", lock_id=self._sessions.lock.id, reason=error.message)
                return None
            await self._sessions.drop()
            raise
        self._was_read = self._was_read or not page.more
        return page

    async def _take(self, session: Consuming, memory: Memory) -> Page:
        """Return the next entry that is not recorded yet; on first acquaintance, none of all that there are."""
        first = not self._was_read
        if memory.place is None:
            while await self._take_one(session) is not None:
                pass
            return Page([], acquaintance=True, taken=True)
        number = memory.place.index + 1
        if self._taken is None or self._taken.record_id < number:
            found = await self._take_one(session)
            self._taken = None if found is None else replace(found, record_id=number)
        if self._taken is None:
            return Page([], taken=True)
        return Page([self._taken], first_look=first, taken=True, more=True)

    async def _take_one(self, session: Consuming) -> LogRecord | None:
        """Take an entry, whatever else waits; one that is under way is not broken off within its time."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + PAGE_TIME) as self._page:
            return await session.take()
        await anyio.lowlevel.checkpoint_if_cancelled()
        raise LinkLost("The lock's log was not read in time.")

    async def _news(self, session: Session, memory: Memory) -> Page:
        place, first = memory.place, not self._was_read
        newest = await self._read(session, None, 1)
        if not newest or (place is not None and _is_at(place, newest[0])):
            return Page([])
        if place is None or newest[0].record_id <= place.index:
            return await self._acquaintance(session, memory, newest)
        found: list[LogRecord] = []
        after = max(0, place.index - 1)
        while len(found) < MOST and after < newest[0].record_id:
            some = await self._read(session, after, PAGE)
            if not some:
                break
            if not found and some[0].record_id == place.index and not _is_at(place, some[0]):
                return await self._acquaintance(session, memory, newest)
            found += some
            after = some[-1].record_id
        return Page([record for record in found if record.record_id > place.index], first_look=first)

    async def _acquaintance(self, session: Session, memory: Memory, newest: list[LogRecord]) -> Page:
        """Begin to follow a log from its end; look further back only for what waits to be explained."""
        if memory.place is not None:
            log.warning("the lock's log began anew", lock_id=self._sessions.lock.id)
        if memory.pending:
            newest = await self._read(session, None, PAGE)
        return Page(newest[::-1], acquaintance=True)

    async def _read(self, session: Session, after: int | None, count: int) -> list[LogRecord]:
        """Read so many entries."""
        await anyio.lowlevel.checkpoint_if_cancelled()  # between two pages nothing is lost by an end
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + PAGE_TIME) as self._page:
            return await session.log(after, count)
        await self._sessions.drop()
        await anyio.lowlevel.checkpoint_if_cancelled()
        raise LinkLost("The lock's log was not read in time.")


def _is_at(place: Place, record: LogRecord) -> bool:
    return place == Place(index=record.record_id, at=record.at)
