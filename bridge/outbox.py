"""What is told upstream: recorded events in their order, then the states that they led to.

Rules:
1. An event is sent until the broker has acknowledged it, and only then marked as sent.
2. Events go out in the order of the journal, so each lock's are in order; an event that the broker refuses does not
   hold up the others and is tried again later.
3. A lock's state is published after the events that were recorded before it.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import anyio
import structlog

from bridge import crash
from bridge.bell import Bell
from bridge.errors import StorageUnavailable
from bridge.journal import Journal
from bridge.model import Event
from bridge.states import States
from bridge.wire.state import Device

log = structlog.get_logger()

WINDOW = 32
"""Events on their way at the same time."""
REFUSED_PAUSE = 60.0
"""Seconds before an event that the broker refused is sent again."""
STORAGE_PAUSE = 5.0
"""Seconds before a journal that failed is asked again."""


class Delivery(Protocol):
    """A message on its way."""

    @property
    def finished(self) -> bool:
        """Whether `taken` would return at once."""
        ...

    async def taken(self) -> bool:
        """Wait for the broker's answer and tell whether it took the message."""
        ...


class Publisher(Protocol):
    """Where the outbox goes to. Loss of the connection cancels whoever uses it."""

    def event(self, event: Event) -> Delivery:
        """Send an event."""
        ...

    def state(self, device: Device) -> None:
        """Send a lock's state."""


class Outbox:
    """Sends what the journal holds and the states that changed."""

    def __init__(self, journal: Journal, states: States, bell: Bell) -> None:
        self._journal = journal
        self._states = states
        self._bell = bell
        self._caught_up = anyio.Event()
        self._serving = False

    @property
    def serving(self) -> bool:
        """Whether there is a broker to send to now."""
        return self._serving

    async def serve(self, publisher: Publisher) -> None:
        """Send for as long as the publisher can."""
        self._states.all_dirty()
        self._serving = True
        try:
            while True:
                try:
                    await self._serve(publisher)
                except StorageUnavailable as error:
                    log.warning("events not sent", reason=str(error))
                    await anyio.sleep(STORAGE_PAUSE)
        finally:
            self._serving = False

    async def _serve(self, publisher: Publisher) -> None:
        """Send until events that were refused are to be tried again, from the first one on."""
        position = 0
        again_at = float("inf")
        under_way: deque[tuple[Event, Delivery]] = deque()
        more = True  # whether the journal may hold events beyond the position
        while under_way or anyio.current_time() < again_at:
            asked = self._caught_up  # whoever asks from now on wants a look from now on
            more = self._bell.take() or more
            room = WINDOW - len(under_way) if anyio.current_time() < again_at else 0
            if more and room:
                events = await self._journal.unsent(position, room)
                for event in events:
                    under_way.append((event, publisher.event(event)))
                    position = event.seq
                more = len(events) == room
            if not more:
                self._send_states(publisher)
            if not under_way:
                asked.set()
                with anyio.move_on_after(again_at - anyio.current_time()):
                    await self._bell.wait()
                    more = True
            elif not await self._settle(under_way):
                again_at = min(again_at, anyio.current_time() + REFUSED_PAUSE)

    def _send_states(self, publisher: Publisher) -> None:
        for lock_id in self._states.take_dirty():
            publisher.state(self._states.device(lock_id))

    async def _settle(self, under_way: deque[tuple[Event, Delivery]]) -> bool:
        """Wait for the first answer, take note of all that are there, and tell whether none was a refusal."""
        sent: list[int] = []
        refused = 0
        while under_way and (under_way[0][1].finished or (not sent and not refused)):
            event, delivery = under_way.popleft()
            if await delivery.taken():
                sent.append(event.seq)
            else:
                refused += 1
                log.warning("event refused by the broker", event_type=event.event_type, lock_id=event.lock_id)
        crash.point("before_sent")
        if sent:
            await self._journal.mark_sent(sent)
            crash.point("after_sent")
        return refused == 0

    async def caught_up(self) -> None:
        """Return once everything recorded so far has been acknowledged, or at once if there is no connection.

        May take for ever: bound it.
        """
        if not self._serving:
            return
        self._caught_up = anyio.Event()
        self._bell.ring()
        await self._caught_up.wait()
