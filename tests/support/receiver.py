"""A real HTTP server that takes webhooks, on loopback, with every request as it came."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable

    from anyio.abc import ByteStream

LONGEST_HEAD = 64 * 1024


@dataclass(frozen=True)
class Post:
    """One request."""

    target: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class HttpReceiver:
    """Answers each request with what `says` returns: a status and raw header lines."""

    port: int
    scheme: str
    posts: list[Post] = field(default_factory=list)
    says: Callable[[Post], tuple[int, str]] = lambda _: (204, "")

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    @classmethod
    @asynccontextmanager
    async def listening(cls, tls: ssl.SSLContext | None = None) -> AsyncGenerator[HttpReceiver]:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as tcp, anyio.create_task_group() as group:
            port = tcp.extra(anyio.abc.SocketAttribute.local_port)
            receiver = cls(port, "https" if tls else "http")
            listener = TLSListener(tcp, tls, standard_compatible=False) if tls else tcp
            group.start_soon(listener.serve, receiver._serve)
            yield receiver
            group.cancel_scope.cancel()

    async def _serve(self, stream: ByteStream) -> None:
        async with stream:
            lines = BufferedByteReceiveStream(stream)
            try:
                while True:
                    await self._answer(stream, lines)
            except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _answer(self, stream: ByteStream, lines: BufferedByteReceiveStream) -> None:
        head = (await lines.receive_until(b"\r\n\r\n", LONGEST_HEAD)).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await lines.receive_exactly(int(headers["content-length"]))
        post = Post(head[0], headers, body)
        self.posts.append(post)
        status, extra = self.says(post)
        await stream.send(f"HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n{extra}\r\n".encode())
