"""The session with the broker: connect, serve, back off, again, for as long as the bridge lives.

Rules:
1. No broker, no network and no refusal ends it; each distinct trouble is told once as a warning and then as debug.
2. Reconnecting waits a random time (full jitter), so that a thousand bridges do not meet at a broker that restarts.
3. What the broker queued in a session that it cannot make readable is given up: the next connection starts clean,
   or one bad packet, delivered again and again, would keep the bridge out for ever.
4. MQTT 3.1.1 is asked for in bridge mode, so that retained commands show; a broker that refuses it is asked plainly.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import structlog

from bridge.mqtt.broker import (
    BrokerRefused,
    BrokerUnreachable,
    ConnectionLost,
    HandshakeFailed,
    Message,
    Misspoken,
    MqttError,
    PublishProperties,
    PublishRefused,
    Settings,
    SubscribeRefused,
    Subscription,
    Will,
    first_of,
)
from bridge.mqtt.connection import CONNECT_TIMEOUT, Connection
from bridge.service.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskStatus

__all__ = [
    "BrokerRefused",
    "BrokerUnreachable",
    "Connection",
    "ConnectionLost",
    "Message",
    "MqttError",
    "PublishProperties",
    "PublishRefused",
    "Session",
    "Settings",
    "SubscribeRefused",
    "Subscription",
    "Will",
    "probe",
]

FIRST_WAIT = 1.0
"""Upper bound in seconds of the wait after the first failure; it doubles from there."""

LONGEST_WAIT = 60.0
"""Upper bound in seconds of any wait."""

LIVED = 30.0
"""Seconds after which a connection counts as one that lived: its end begins a new row of failures."""

CONNECT_TIME = 2 * CONNECT_TIMEOUT + 30.0
"""Seconds in which it must be clear whether there is a connection, bridge mode being refused included."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Session:
    """Keeps a connection to the broker."""

    def __init__(
        self, settings: Settings, progress: Progress, *, jitter: Callable[[float, float], float] = random.uniform
    ) -> None:
        self.last_error: MqttError | None = None
        """Why there is no connection now, or why the latest attempt failed; none while connected."""
        self._settings = settings
        self._progress = progress
        self._jitter = jitter
        self._generation = 0
        self._bridge_mode = settings.protocol == 4  # noqa: PLR2004 - MQTT 3.1.1
        self._clean = False
        self._failures = 0
        self._told: set[str] = set()
        self._log = _log.bind(broker=settings.address)

    async def run(
        self,
        serve: Callable[[Connection], Awaitable[None]],
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Connect and call `serve(connection)`, again and again; return only when `serve` returns by itself.

        `serve` is cancelled when its connection ends. An `MqttError` that it raises counts as the end of the
        connection; any other exception ends the session. Being cancelled leaves the broker properly.
        `started` is told at once: a broker that is away does not keep the bridge from being ready.
        """
        task_status.started()
        while not await self._converse(serve):
            wait = self._jitter(0.0, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self._failures, 16)))
            self._failures += 1
            await anyio.sleep(wait)

    async def _converse(self, serve: Callable[[Connection], Awaitable[None]]) -> bool:
        """Hold one connection from its beginning to its end. Return whether it was `serve` that ended it."""
        since: float | None = None
        finished = False
        try:
            with self._progress.expected("connecting to the broker", within=CONNECT_TIME):
                connection = await self._connect()
            since = anyio.current_time()
            self.last_error = None
            self._clean = False
            self._log.info(
                "connected to the broker", session_present=connection.session_present, generation=connection.generation
            )
            await connection.run(serve)
            finished = True
        except* MqttError as group:
            self._note(first_of(group), lived=since is not None and anyio.current_time() - since >= LIVED)
        return finished

    async def _connect(self) -> Connection:
        self._generation += 1
        if self._bridge_mode:
            try:
                return await self._open(bridge_mode=True)
            except HandshakeFailed as error:
                connection = await self._open(bridge_mode=False)
                self._bridge_mode = not error.refused_level
                return connection
        return await self._open(bridge_mode=False)

    async def _open(self, *, bridge_mode: bool) -> Connection:
        return await Connection.open(self._settings, self._generation, clean=self._clean, bridge_mode=bridge_mode)

    def _note(self, error: MqttError, *, lived: bool) -> None:
        if lived:
            self._failures = 0
            self._told.clear()
        self.last_error = error
        self._clean = self._clean or isinstance(error, Misspoken)
        told = f"{type(error).__name__}: {error.reason}"
        tell = self._log.debug if told in self._told else self._log.warning
        self._told.add(told)
        tell("no connection to the broker", error=type(error).__name__, reason=error.reason)


async def probe(settings: Settings) -> None:
    """Connect once and leave again, under a client id of its own so that a running bridge is not thrown out.

    Raises:
        BrokerUnreachable: network, name or TLS; a certificate's problem is named.
        BrokerRefused: and why.
    """
    visitor = replace(settings, client_id=f"{settings.client_id}-probe", session_expiry=0, will=None)
    connection = await Connection.open(visitor, generation=0, clean=True)
    await connection.run(_nothing)


async def _nothing(_connection: Connection) -> None: ...
