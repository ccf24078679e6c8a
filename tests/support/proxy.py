"""A TCP proxy between a client and a broker that can fail as networks do."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import SocketAttribute

from tests.support.mqtt_wire import kind_of, split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import SocketStream

    Direction = Literal["up", "down"]
    Fate = Literal["pass", "cut before", "cut after"]


def let_pass(_direction: Direction, _kind: int) -> Fate:
    """Do nothing to any packet."""
    return "pass"


class Proxy:
    """Forwards packets to a port; `fate` is asked about each of them ("up" is towards the broker)."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.fate: Callable[[Direction, int], Fate] = let_pass
        self.dribble = False
        """Whether it forwards byte by byte."""
        self.connections = 0
        self.shut = False
        """Whether it hangs up on whoever connects."""
        self._target = target
        self._flowing: dict[Direction, anyio.Event] = {"up": anyio.Event(), "down": anyio.Event()}
        self.flow()
        self._clients: dict[anyio.CancelScope, SocketStream] = {}

    def stall(self, *directions: Direction) -> None:
        """Forward nothing any more, either way unless told which, and keep the connections open."""
        for direction in directions or self._flowing:
            self._flowing[direction] = anyio.Event()

    def flow(self) -> None:
        """End the stall."""
        for flowing in self._flowing.values():
            flowing.set()

    def cut(self) -> None:
        """Close all connections."""
        for scope in self._clients:
            scope.cancel()

    async def dismiss(self, whole: bytes) -> None:
        """Say a packet to every client as if the broker had, and close the connections."""
        for client in tuple(self._clients.values()):
            await client.send(whole)
        self.cut()

    async def handle(self, client: SocketStream) -> None:
        """Forward one connection, both ways, until either side closes it."""
        self.connections += 1
        if self.shut:
            await client.aclose()
            return
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            async with client, await anyio.connect_tcp("127.0.0.1", self._target) as broker:
                with anyio.CancelScope() as scope:
                    self._clients[scope] = client
                    async with anyio.create_task_group() as group:
                        group.start_soon(self._forward, client, broker, "up", scope)
                        group.start_soon(self._forward, broker, client, "down", scope)
                del self._clients[scope]

    async def _forward(
        self, source: SocketStream, sink: SocketStream, direction: Direction, scope: anyio.CancelScope
    ) -> None:
        buffer = bytearray()
        try:
            while True:
                buffer += await source.receive()
                await self._flowing[direction].wait()
                for whole in split(buffer):
                    fate = self.fate(direction, kind_of(whole))
                    if fate != "cut before":
                        await self._write(sink, whole)
                    if fate != "pass":
                        return
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return
        finally:
            scope.cancel()

    async def _write(self, sink: SocketStream, whole: bytes) -> None:
        if not self.dribble:
            await sink.send(whole)
            return
        for byte in whole:
            await sink.send(bytes([byte]))
            await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """Run a proxy in front of a loopback port."""
    running = Proxy(target)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        running.port = listener.extra(SocketAttribute.local_port)
        group.start_soon(listener.serve, running.handle)
        yield running
        group.cancel_scope.cancel()
