"""Every event to the webhook, in order for each lock, until it is taken.

Rules:
1. An event is posted until the receiver answers with a 2xx, and only then marked; a crash in between posts it again,
   with the same `webhook-id`.
2. The events of one lock are posted one after the other, so an event that is not taken holds up those behind it; those
   of other locks go on.
3. What was not taken within `GIVE_UP` is given up, and that is logged and counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import anyio
import structlog

from bridge.bell import Bell
from bridge.clock import Clock
from bridge.errors import StorageUnavailable
from bridge.journal import Journal
from bridge.model import Event
from bridge.webhooks.signing import Signer
from bridge.wire import text

log = structlog.get_logger()

AT_ONCE = 4
"""POSTs under way at the same time."""
FIRST_PAUSE = 2.0
"""Seconds, about, before the first repetition; doubled each time."""
LONGEST_PAUSE = 900.0
"""Seconds, about, that a receiver that is back waits at most."""
GIVE_UP = 3 * 24 * 3600.0
"""Seconds after which an event is given up."""
TIDY_PAUSE = 3600.0
"""Seconds between looks for events to give up."""
STORAGE_PAUSE = 5.0
"""Seconds before a journal that failed is asked again."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a POST."""

    status: int | None
    """None if there was no answer."""
    retry_after: float | None = None
    """Seconds after which the receiver wants it again, if it said so."""
    trouble: str | None = None
    """Why there was no answer, without the URL."""

    @property
    def taken(self) -> bool:
        """Whether the receiver has it: only a 2xx says so, a redirect does not."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class Poster(Protocol):
    """Posts to the one URL."""

    async def post(self, headers: dict[str, str], body: bytes) -> Posted:
        """Post once. Never raises for what the receiver or the network does."""
        ...


def pause(tries: int, retry_after: float | None, jitter: float) -> float:
    """Return for how many seconds to wait after a number of tries in a row that came to nothing.

    Args:
        tries: one or more.
        retry_after: seconds that the receiver asked for.
        jitter: from 0 to 1; spreads what failed together.
    """
    backoff = min(FIRST_PAUSE * 2.0 ** min(tries - 1, 30), LONGEST_PAUSE) * (0.5 + jitter / 2)
    return max(backoff, min(retry_after or 0.0, LONGEST_PAUSE))


class Webhooks:
    """Posts what the journal holds."""

    def __init__(
        self,
        journal: Journal,
        bell: Bell,
        clock: Clock,
        *,
        signer: Signer,
        connect: Callable[[], AbstractAsyncContextManager[Poster]],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Take what to post with.

        Args:
            journal: holds the events.
            bell: rings when there are more.
            clock: dates the signatures.
            signer: signs.
            connect: opens what posts.
            jitter: from 0 to 1.
        """
        self._journal = journal
        self._bell = bell
        self._clock = clock
        self._signer = signer
        self._connect = connect
        self._jitter = jitter
        self._lines: set[str | None] = set()
        self._room = anyio.CapacityLimiter(AT_ONCE)
        self.counts: Counter[str] = Counter()
        """Since the start: `taken` events, tries that were `refused`, and events `given_up`."""

    async def run(self) -> None:
        """Post. Ends only by cancellation."""
        with self._bell.another() as bell:
            async with self._connect() as poster, anyio.create_task_group() as group:
                group.start_soon(self._keep_tidy)
                await self._watch(bell, lambda lock_id: group.start_soon(self._post_line, poster, bell, lock_id))

    async def _watch(self, bell: Bell, begin: Callable[[str | None], object]) -> None:
        """Begin a line for each lock that has events and none yet."""
        while True:
            try:
                waiting = await self._journal.posting.lines()
            except StorageUnavailable as error:
                log.warning("events not posted", reason=str(error))
                await anyio.sleep(STORAGE_PAUSE)
                continue
            for lock_id in waiting - self._lines:
                self._lines.add(lock_id)
                begin(lock_id)
            await bell.wait()

    async def _post_line(self, poster: Poster, bell: Bell, lock_id: str | None) -> None:
        """Post the events of one lock, or those of the bridge itself, until none is left."""
        tries = 0
        while (event := await self._next(lock_id)) is not None:
            posted = await self._post(poster, event)
            if posted.taken:
                tries = 0
                self.counts["taken"] += 1
                await self._mark(event)
            else:
                tries += 1
                self.counts["refused"] += 1
                seconds = pause(tries, posted.retry_after, self._jitter())
                log.warning(
                    "event not taken by the webhook",
                    event_id=str(event.event_id),
                    event_type=event.event_type,
                    lock_id=lock_id,
                    status=posted.status,
                    reason=posted.trouble,
                    tries=tries,
                    again_in=round(seconds),
                )
                await anyio.sleep(seconds)
        self._lines.discard(lock_id)
        bell.ring()  # for what came in since the last look

    async def _post(self, poster: Poster, event: Event) -> Posted:
        body = text.encode(event.body)
        async with self._room:
            return await poster.post(self._signer.headers(str(event.event_id), self._clock.wall(), body), body)

    async def _next(self, lock_id: str | None) -> Event | None:
        while True:
            try:
                return await self._journal.posting.first(lock_id)
            except StorageUnavailable as error:
                log.warning("events not posted", reason=str(error))
                await anyio.sleep(STORAGE_PAUSE)

    async def _mark(self, event: Event) -> None:
        while True:
            try:
                return await self._journal.posting.mark(event.seq)
            except StorageUnavailable as error:
                log.warning("event not marked as posted", reason=str(error))
                await anyio.sleep(STORAGE_PAUSE)

    async def _keep_tidy(self) -> None:
        while True:
            try:
                number = await self._journal.posting.give_up(GIVE_UP)
            except StorageUnavailable as error:
                log.warning("old events not given up", reason=str(error))
            else:
                if number:
                    self.counts["given_up"] += number
                    log.error("events given up: the webhook did not take them", number=number)
            await anyio.sleep(TIDY_PAUSE)
