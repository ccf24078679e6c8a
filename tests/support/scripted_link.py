"""A link whose other end is a test: it answers, or fails, as told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from drivers.base import LinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream


class ScriptedLink:
    """A `drivers.base.Link`. `on_write` (with each value) and `on_subscribe` may `push`, `drop` or raise."""

    address = "54:D2:72:00:00:01"

    def __init__(self, *characteristics: str, fragment: int = 20) -> None:
        self.characteristics = set(characteristics)
        self.fragment = fragment
        self.writes: list[bytes] = []
        self.on_write: Callable[[bytes], None] = lambda _data: None
        self.on_subscribe: Callable[[], None] = lambda: None
        self.hangs = False
        self.open = True
        self.subscriptions = 0
        self._send: MemoryObjectSendStream[bytes] | None = None

    def has(self, characteristic: str) -> bool:
        return characteristic in self.characteristics

    async def read(self, characteristic: str) -> bytes:
        raise NotImplementedError

    async def write(self, characteristic: str, data: bytes, *, response: bool = True) -> None:
        assert characteristic in self.characteristics
        await anyio.lowlevel.checkpoint()
        self._check()
        self.writes.append(data)
        self.on_write(data)
        if self.hangs:
            await anyio.sleep_forever()
        self._check()

    @asynccontextmanager
    async def subscribe(self, characteristic: str) -> AsyncGenerator[MemoryObjectReceiveStream[bytes], None]:
        assert characteristic in self.characteristics
        self._check()
        self._send, receive = anyio.create_memory_object_stream[bytes](1000)
        self.subscriptions += 1
        self.on_subscribe()
        with self._send, receive:
            try:
                yield receive
            finally:
                self.subscriptions -= 1

    def push(self, *frames: bytes) -> None:
        """Send frames, each in as many indications as it takes."""
        for frame in frames:
            for start in range(0, len(frame), self.fragment):
                self.indicate(frame[start : start + self.fragment])

    def indicate(self, data: bytes) -> None:
        """Send one indication."""
        assert self._send is not None
        self._send.send_nowait(data)

    def drop(self) -> None:
        """End the link."""
        self.open = False
        if self._send is not None:
            self._send.close()

    def _check(self) -> None:
        if not self.open:
            raise LinkLost
