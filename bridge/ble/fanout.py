"""One source, any number of listeners, none of which can hold it up."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

T = TypeVar("T")

BACKLOG = 256
"""Items that a listener may be behind before it loses the oldest."""


class Fanout(Generic[T]):
    """Hands every item to every listener; one that is slow loses the oldest."""

    def __init__(self, backlog: int = BACKLOG) -> None:
        self._backlog = backlog
        self._listeners: list[tuple[MemoryObjectSendStream[T], MemoryObjectReceiveStream[T]]] = []

    def send(self, item: T) -> None:
        """Hand out an item. Never blocks."""
        for send, receive in self._listeners:
            try:
                send.send_nowait(item)
            except anyio.WouldBlock:
                receive.receive_nowait()
                send.send_nowait(item)

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[MemoryObjectReceiveStream[T], None]:
        """Listen from now on."""
        send, receive = anyio.create_memory_object_stream[T](self._backlog)
        # The spare receiver drops the oldest, and keeps `send` whole if the listener closes its own early.
        spare = receive.clone()
        listener = (send, spare)
        with send, receive, spare:
            self._listeners.append(listener)
            try:
                yield receive
            finally:
                self._listeners.remove(listener)
