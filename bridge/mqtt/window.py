"""The outgoing window: what waits, what is in flight, and what the broker has answered. No I/O.

MQTT 5.0, section 4.9: no more PUBLISH packets without their PUBACK than the Receive Maximum of the receiver.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator

Answer = TypeVar("Answer")


class Request(Generic[Answer]):
    """Something the broker is asked: answered once, or lost."""

    def __init__(self) -> None:
        self.finished = False
        self.answer: Answer | None = None
        """What the broker said; none if the request was lost."""
        self._done: anyio.Event | None = None

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the answer."""
        return self._done is not None

    def finish(self, answer: Answer | None = None) -> None:
        """Note the answer, or that there will be none, and tell whoever waits."""
        self.finished, self.answer = True, answer
        if self._done is not None:
            self._done.set()

    async def wait(self) -> Answer | None:
        """Return the answer, or none if the request is lost."""
        if not self.finished:
            self._done = self._done or anyio.Event()
            await self._done.wait()
        return self.answer


class Outgoing(Request[Answer]):
    """A message on its way; `packed` is its MQTT 5 properties as bytes."""

    def __init__(self, topic: str, payload: bytes, packed: bytes, *, retain: bool) -> None:
        super().__init__()
        self.topic = topic
        self.payload = payload
        self.packed = packed
        self.retain = retain


class Window(Generic[Answer]):
    """Messages in order, at most `size` of them in flight."""

    def __init__(self) -> None:
        self.size = 0
        self._queue: deque[Outgoing[Answer]] = deque()
        self._in_flight: dict[int, Outgoing[Answer]] = {}

    def __iter__(self) -> Iterator[Outgoing[Answer]]:
        """Iterate over a copy of what is neither answered nor lost, in the order of sending."""
        return iter((*self._in_flight.values(), *self._queue))

    def __str__(self) -> str:
        """Return how much is where."""
        return f"queued={len(self._queue)}, in_flight={len(self._in_flight)}"

    def put(self, outgoing: Outgoing[Answer]) -> None:
        """Queue a message."""
        self._queue.append(outgoing)

    def take(self) -> Outgoing[Answer] | None:
        """Return the next message if there is a place for it; `sent` must follow."""
        return self._queue.popleft() if self._queue and len(self._in_flight) < self.size else None

    def sent(self, packet_id: int, outgoing: Outgoing[Answer]) -> None:
        """Note that a message is in flight."""
        self._in_flight[packet_id] = outgoing

    def answered(self, packet_id: int, answer: Answer) -> Outgoing[Answer]:
        """Free the place of a message in flight and finish it."""
        outgoing = self._in_flight.pop(packet_id)
        outgoing.finish(answer)
        return outgoing

    def lose_all(self) -> None:
        """Finish everything without an answer."""
        for outgoing in self:
            outgoing.finish()
        self._queue.clear()
        self._in_flight.clear()
