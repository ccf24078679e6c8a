"""The HTTP door's server: takes connections and gives each to uvicorn's protocol.

The connections are taken here and not by uvicorn's own server, since a door needs what that does not have: limits to
how many there are and to how slow they may be, before a request is there as well; an end with the bridge's own task
group; and no wake-ups while nothing happens.

Rules:
1. The Unix socket and TCP are two doors: what comes by the one never takes the other's places.
2. Every connection is a task of the door's group, and ends with it.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import anyio
import anyio.abc
import structlog
from uvicorn.config import Config as Settings
from uvicorn.server import ServerState

from bridge.http.connection import GuardedConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from starlette.types import ASGIApp

log = structlog.get_logger()

MOST_CONNECTIONS = 64
"""Connections of one door at one time; what comes beyond them is closed unheard."""
MOST_FROM_ONE = 32
"""Of them, those from one address."""
IDLE_TIME = 30
"""Seconds for which a connection is kept between two requests."""
HANDSHAKE_TIME = 10.0
"""Seconds for TLS."""
LAST_WORDS = 1.0
"""Seconds in which answers that are under way may still go out once the door closes."""
EXHAUSTED_PAUSE = 1.0
"""Seconds before a connection is taken again where there was no room for one more."""


class Server:
    """Serves one application on some sockets that are of one kind."""

    def __init__(self, app: ASGIApp, listeners: Sequence[socket.socket], tls: ssl.SSLContext | None = None) -> None:
        """Take the application and the sockets, which are closed when the server ends.

        Args:
            app: answers the requests.
            listeners: that listen already.
            tls: as which side of TLS to speak; None to speak in clear.
        """
        self._listeners = listeners
        self._tls = tls
        self._from: dict[str, int] = {}
        self._told = False
        self._state = ServerState()
        self._settings = Settings(
            app,
            http=GuardedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE_TIME,
        )
        self._settings.load()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        try:
            async with anyio.create_task_group() as group:
                for listener in self._listeners:
                    group.start_soon(self._take, listener, group)
                task_status.started()
        finally:
            for listener in self._listeners:
                listener.close()
            with anyio.CancelScope(shield=True):
                await self._end_answers()

    async def _take(self, listener: socket.socket, group: anyio.abc.TaskGroup) -> None:
        """Take connections for as long as there are places."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                taken, address = await loop.sock_accept(listener)
            except ConnectionAbortedError:  # the client is gone already
                continue
            except OSError as error:  # the process or the machine has no room for one more
                log.warning("connection not taken", reason=error.strerror)
                await anyio.sleep(EXHAUSTED_PAUSE)
                continue
            host = str(address[0]) if address else ""
            if self._full(host):
                self._tell_full(host)
                taken.close()
            else:
                self._from[host] = self._from.get(host, 0) + 1
                group.start_soon(self._serve, taken, host)

    def _full(self, host: str) -> bool:
        limit = MOST_FROM_ONE if host else MOST_CONNECTIONS
        return sum(self._from.values()) >= MOST_CONNECTIONS or self._from.get(host, 0) >= limit

    def _tell_full(self, host: str) -> None:
        """Log that there are too many connections, once until one of them ends."""
        if not self._told:
            log.warning("connection not taken", reason="there are too many", address=host)
        self._told = True

    async def _serve(self, taken: socket.socket, host: str) -> None:
        """Let uvicorn's protocol have the connection until it ends."""
        connection = GuardedConnection(self._settings, self._state)
        try:
            with suppress(OSError):  # the client went away, or does not speak TLS
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: connection,
                    taken,
                    ssl=self._tls,
                    ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_TIME,
                )
                await connection.closed.wait()
        finally:
            connection.end()
            self._told = False
            self._from[host] -= 1
            if not self._from[host]:
                del self._from[host]

    async def _end_answers(self) -> None:
        """Let the answers that are under way go out, for a moment; then end their connections, and so them."""
        await self._answered()
        for connection in tuple(self._state.connections):
            cast("GuardedConnection", connection).abort()
        await self._answered()
        for task in self._state.tasks:
            task.cancel()

    async def _answered(self) -> None:
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=LAST_WORDS)
