"""A broker that says exactly what a test wants, over TCP or TLS."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

from bridge.mqtt.broker import Settings
from tests.support.mqtt_wire import CONNECT, connack, kind_of, split

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import ByteStream


class Guest:
    """One client of the fake broker."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._packets: list[bytes] = []

    async def say(self, *packets: bytes) -> None:
        """Send bytes, all in one write and so in one TLS record."""
        await self._stream.send(b"".join(packets))

    async def hear(self, kind: int | None = None) -> bytes:
        """Return the client's next packet, or its next of a type."""
        while True:
            while not self._packets:
                self._buffer += await self._stream.receive()
                self._packets += split(self._buffer)
            whole = self._packets.pop(0)
            if kind in (None, kind_of(whole)):
                return whole

    async def wait_for_end(self) -> None:
        """Return when the client has hung up."""
        while True:
            await self.hear()


@asynccontextmanager
async def fake_broker(
    script: Callable[[Guest], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Run a fake broker on a free port; `script` is called for each client and hangs up by returning."""

    async def handle(stream: ByteStream) -> None:
        async with stream:
            try:
                await script(Guest(stream))
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = tcp.extra(SocketAttribute.local_port)
    listener = TLSListener(tcp, tls, standard_compatible=False) if tls else tcp
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield port
        group.cancel_scope.cancel()


def to(port: int, **more) -> Settings:
    """Return the settings of a client of the broker at a port."""
    return Settings(**{"client_id": "bridge", "host": "127.0.0.1", "port": port, **more})


async def welcome(guest: Guest, *more: bytes, properties: bytes = b"") -> None:
    """Take a client, saying more in the same write."""
    await guest.hear(CONNECT)
    await guest.say(connack(properties), *more)
