"""What is done at leisure with one lock: to know its state, and to notice and tell what others did there.

Rules:
1. A command comes first: all of this ends where it is when one comes, but for a page of the lock's log that is under
   way, which has half a second more, since to break it off costs a new connection.
2. What is noticed on the air is a hint; what is told was read over an authenticated session.
3. An entry of the log is told in the transaction that moves on the place in it.
4. A lock that cannot be read is tried again ever more rarely, and only once it is heard. A link that was made to look
   is given up after the look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta

import anyio
import structlog

from bridge import crash
from bridge.bell import Bell
from bridge.ble.radio import Radio
from bridge.clock import Clock
from bridge.errors import StorageUnavailable
from bridge.journal import Journal
from bridge.lock import Lock
from bridge.model import Attempt, Event
from bridge.service.progress import Progress
from bridge.sessions import Sessions
from bridge.states import States
from bridge.watch.hints import Hints
from bridge.watch.logbook import Logbook
from bridge.watch.memory import Memory
from bridge.watch.reckoning import Now, Reckoner, explained
from drivers.base import Advertisement, DriverError, Session, Snapshot

log = structlog.get_logger()

LOOK_TIME = 15.0
"""Seconds for which a lock that nobody asked for is looked for."""
SLACK = 105.0
"""Seconds that a look, or the reading of the log after it, may take on top before it counts as stuck."""
AFTERWARDS = 2.0
"""Seconds after a command, if no other comes, before the lock is looked at: why it refused, what else was done. Long
enough for whoever commands a lock again and again to be served without a look between."""
RETRY_PAUSE = 5.0
"""Seconds before a lock that could not be read is tried again, once it is heard; doubled each time."""
RETRY_PAUSE_LIMIT = 3600.0
STANDING_PAUSE, STANDING_PAUSE_LIMIT = 0.5, 60.0
"""Seconds before a standing link that ended is made again, doubled up to the limit while none lasts for longer."""
PASSING_PAUSE = 2.0
"""Seconds after which a state that ends by itself is read again."""
PASSING_LOOKS = 10
"""How often it is read again: a latch may be held back for a while."""
AUTO_POLL = 900.0
"""Seconds between looks at a lock whose advertisements tell of no change. At 1 to 2 seconds of connection each, that is
some 2 minutes a day."""
LAG = 1.0
"""Seconds after which a log that does not explain the lock's state is read again."""
LAG_LOOKS = 2


@dataclass(frozen=True, slots=True)
class Told:
    """What an attempt's outcome leaves to be known."""

    memory: Memory
    events: Sequence[Event]


class Watcher:
    """Watches one lock. Used by that lock's worker alone, but for `heard` and `hurry`."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        journal: Journal,
        states: States,
        clock: Clock,
        reckoner: Reckoner,
        memory: Memory,
        progress: Progress,
    ) -> None:
        self._sessions = sessions
        self._progress = progress
        self._journal = journal
        self._states = states
        self._clock = clock
        self._reckoner = reckoner
        self._memory = memory
        self._began = clock.boottime()
        self._bell = Bell()
        self._logbook = Logbook(sessions)
        self._look_at = 0.0  # anyio's time, as all that follow
        self._leave_at = 0.0
        self._calm_from = 0.0
        self._retry_pause = RETRY_PAUSE
        self._passing_looks = 0
        self._hints = Hints(self.lock.poll or AUTO_POLL, polled=self.lock.poll != 0)
        self._standing_since = 0.0
        self._standing_pause = STANDING_PAUSE
        if memory.last_operation is not None:
            states.operated(self.lock.id, memory.last_operation)

    @property
    def lock(self) -> Lock:
        """The lock."""
        return self._sessions.lock

    def heard(self, advertisement: Advertisement) -> None:
        """Take an advertisement of the lock's, from any task."""
        sighting = self.lock.driver.sight(advertisement)
        if sighting is not None and self._hints.heard(sighting, anyio.current_time()):
            self._bell.ring()

    def hurry(self) -> None:
        """A command waits: give what cannot be broken off a moment, and no more."""
        self._logbook.hurry()

    def ended(self, attempt: Attempt, before: Snapshot | None, told: Sequence[Event]) -> Told:
        """Reckon with an attempt's outcome.

        Args:
            attempt: which has its outcome.
            before: what the lock said before anything was sent.
            told: by what it is told.

        Returns:
            What is to be kept and told beside it: what else was found, and is not left to the log to tell.
        """
        memory, events = self._memory, list[Event]()
        now = self._now(None)
        if before is not None and not self._logbook.followed:
            memory, events = self._reckoner.settle(memory, before, now)
        after = self._reckoner.ended(memory, attempt, told, now, log_is_nameless=self._logbook.consumed)
        return Told(after, [*events, *told])

    def kept(self, told: Told) -> Mapping[str, str]:
        """Return what the journal is to keep of it."""
        return {fact_of(self.lock.id): told.memory.model_dump_json(exclude_none=True)}

    def remember(self, told: Told) -> None:
        """Go on from what was recorded of an attempt, and look at the lock once there is time."""
        self._know(told.memory)
        now = anyio.current_time()
        self._look_at = self._calm_from = now + AFTERWARDS
        self._leave_at = now + self.lock.linger
        self._passing_looks = 0

    def rekeyed(self) -> None:
        """Another key is used: look at the lock, and at its log too if the one before was not let in there."""
        self._logbook = Logbook(self._sessions)
        self._look_at = self._calm_from = anyio.current_time()

    async def watch(self) -> None:
        """Watch. Ends only by cancellation, for a command."""
        if not self._states.known(self.lock.id):
            self._look_at = self._calm_from = anyio.current_time()
        with anyio.move_on_after(self._calm_from - anyio.current_time()):
            if self._lingers:
                await self._sessions.crowded()
                await self._sessions.leave()
            await anyio.sleep_forever()
        while True:
            if anyio.current_time() >= self._look_at:
                await self._look()
            elif self._lingers and anyio.current_time() >= self._leave_at:
                await self._sessions.leave()
            await self._rest()

    @property
    def _lingers(self) -> bool:
        """Whether there is a link that is to be given up some time."""
        return self._sessions.open and self.lock.connection == "on_demand"

    async def _rest(self) -> None:
        """Wait until there is something to do."""
        if (due := self._hints.due(anyio.current_time())) is not None:
            self._look_at = min(self._look_at, due)
        elif self.lock.connection == "always" and not self._sessions.open:
            self._look_at = min(self._look_at, anyio.current_time() + self._standing_pause)
        until = min(self._look_at, self._leave_at if self._lingers else math.inf)
        with anyio.move_on_after(until - anyio.current_time()):
            await self._news()
        if not self._states.known(self.lock.id) and anyio.current_time() < self._look_at:
            await self._tell_condition()
            await self._wait_for_it()

    async def _news(self) -> None:
        """Return once something is to be looked at, or the link is lost or in somebody's way."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._doubt, group.cancel_scope)
            if self._sessions.open:
                group.start_soon(self._listen, group.cancel_scope)
            if self._lingers:
                group.start_soon(self._make_room, group.cancel_scope)
            await self._bell.wait()
            group.cancel_scope.cancel()

    async def _doubt(self, scope: anyio.CancelScope) -> None:
        await self._states.doubted(self.lock.id)
        scope.cancel()

    async def _make_room(self, scope: anyio.CancelScope) -> None:
        await self._sessions.crowded()
        self._leave_at = anyio.current_time()
        scope.cancel()

    async def _listen(self, scope: anyio.CancelScope) -> None:
        try:
            session = await self._sessions.get(LOOK_TIME)
            await session.changed()
            self._look_at = anyio.current_time()
        except DriverError as error:
            log.info("link ended", lock_id=self.lock.id, reason=error.message)
            lasted = anyio.current_time() - self._standing_since
            longer = min(2 * self._standing_pause, STANDING_PAUSE_LIMIT)
            self._standing_pause = STANDING_PAUSE if lasted > STANDING_PAUSE_LIMIT else longer
            await self._sessions.drop()
        scope.cancel()

    async def _look(self) -> None:
        """Read the lock, and tell what was found."""
        stood = self._sessions.open
        marks, before = self._hints.marks, self._memory
        stay = 0.0 if self._states.known(self.lock.id) else self.lock.linger
        try:
            with self._expected(), self._sessions.within(LOOK_TIME):
                session, snapshot = await self._sessions.settled(LOOK_TIME)
        except DriverError as error:
            log.info("lock not read", lock_id=self.lock.id, reason=error.message)
            await self._sessions.give_up(error)
            await self._tell_condition()
            await anyio.sleep(self._longer_pause())
            await self._wait_for_it()
            return
        if not stood:
            self._standing_since = anyio.current_time()
        self._hints.looked(marks, anyio.current_time())
        done = await self._reckon(session, snapshot)
        await self._tell_condition()
        self._hints.weighed(anyio.current_time(), found=_is_news(self._memory, before))
        pause = self._next_look() if done else self._longer_pause()
        if done:
            self._retry_pause = RETRY_PAUSE
        self._look_at = anyio.current_time() + pause
        self._leave_at = max(self._leave_at, anyio.current_time() + (stay or (pause if pause <= PASSING_PAUSE else 0)))

    def _expected(self) -> AbstractContextManager[None]:
        return self._progress.expected(f"the look at {self.lock.id}", within=LOOK_TIME + SLACK)

    def _next_look(self) -> float:
        """Return in how many seconds the lock is to be looked at though nothing is heard of it."""
        if self._states.passing(self.lock.id) and self._passing_looks < PASSING_LOOKS:
            self._passing_looks += 1
            return PASSING_PAUSE
        self._passing_looks = 0
        if self.lock.poll is not None:
            return self.lock.poll or math.inf
        tells = self.lock.connection == "always" or self.lock.capabilities.hint
        return math.inf if tells else AUTO_POLL

    def _longer_pause(self) -> float:
        limit = STANDING_PAUSE_LIMIT if self.lock.connection == "always" else RETRY_PAUSE_LIMIT
        pause, self._retry_pause = self._retry_pause, min(2 * self._retry_pause, limit)
        return pause

    async def _wait_for_it(self) -> None:
        """Wait until a lock that is not available is heard, and look at it then."""
        if not self._states.known(self.lock.id):
            await self._sessions.heard()
        self._look_at = anyio.current_time()

    async def _reckon(self, session: Session, snapshot: Snapshot) -> bool:
        """Tell what the log says and what it does not explain; tell whether there is nothing left to find out."""
        try:
            in_full = await self._read_log(session)
            for _ in range(LAG_LOOKS):
                if not (in_full and self._logbook.followed) or explained(self._memory, snapshot):
                    break
                await anyio.sleep(LAG)
                in_full = await self._read_log(session)
            now = self._now(session)
            await self._record(*self._reckoner.settle(self._memory, snapshot, now))
        except StorageUnavailable as error:
            log.warning("operations not recorded yet", lock_id=self.lock.id, reason=str(error))
            return False
        return in_full

    async def _read_log(self, session: Session) -> bool:
        """Tell what is new in the log; tell whether it was read, or is not to be."""
        if not self._logbook.open:
            return True
        more = True
        while more:
            with self._expected():  # a log may be long: each page is a piece of work
                try:
                    page = await self._logbook.news(session, self._memory)
                except DriverError as error:
                    log.info("log not read", lock_id=self.lock.id, reason=error.message)
                    return False
                if page is not None:
                    crash.point("before_told")
                    await self._record(*self._reckoner.follow(self._memory, page, self._now(session)))
            more = page is not None and page.more
        return True

    async def _tell_condition(self) -> None:
        """Tell whether the lock is available and how its battery is, where that is news."""
        device = self._states.device(self.lock.id)
        try:
            await self._record(*self._reckoner.condition(self._memory, device, self._now(None)))
        except StorageUnavailable as error:
            log.warning("condition not recorded yet", lock_id=self.lock.id, reason=str(error))

    async def _record(self, memory: Memory, events: Sequence[Event]) -> None:
        """Keep what was told, if it is news.

        Raises:
            StorageUnavailable: nothing was recorded, and the memory is as before.
        """
        if events or _is_news(memory, self._memory):
            kept = {fact_of(self.lock.id): memory.model_dump_json(exclude_none=True)}
            await self._journal.tell(events, kept)
            for event in events:
                log.info("noticed", lock_id=self.lock.id, event_type=event.event_type, event_id=str(event.event_id))
        self._know(memory)

    def _know(self, memory: Memory) -> None:
        before, self._memory = self._memory.last_operation, memory
        if memory.last_operation is not None and memory.last_operation != before:
            self._states.operated(self.lock.id, memory.last_operation)

    def _now(self, session: Session | None) -> Now:
        uptime = timedelta(seconds=self._clock.boottime() - self._began)
        return Now(self._clock.wall(), uptime, session.lock_time if session else None)


def _is_news(memory: Memory, before: Memory) -> bool:
    """Tell whether more is known than that all is as it was."""
    return memory.model_copy(update={"seen_at": before.seen_at, "emptied_at": before.emptied_at}) != before


def fact_of(lock_id: str) -> str:
    """Return the name by which the journal keeps what is known of a lock."""
    return f"watched {lock_id}"


async def keep_watch(radio: Radio, watchers: Mapping[str, Watcher]) -> None:
    """Tell the watchers what is on the air, by the address of each one's lock. Ends only by cancellation."""
    async with radio.advertisements() as heard:
        async for advertisement in heard:
            if (watcher := watchers.get(advertisement.address)) is not None:
                watcher.heard(advertisement)
