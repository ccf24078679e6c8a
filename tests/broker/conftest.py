"""A real broker for each test, and connections to it that are open for the length of a `with`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import anyio
import pytest

from bridge.mqtt.session import Connection, Session, Settings
from bridge.service.progress import Progress
from tests.support.mosquitto import Mosquitto
from tests.support.peer import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    Connected = Callable[..., AbstractAsyncContextManager[Connection]]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def peer(broker: Mosquitto) -> AsyncIterator[Peer]:
    async with Peer(broker.port) as connected_peer:
        yield connected_peer


@pytest.fixture
def settings(broker: Mosquitto) -> Settings:
    return Settings(client_id="bridge", host="127.0.0.1", port=broker.port)


@pytest.fixture
def connected() -> Connected:
    generations = count(1)

    @asynccontextmanager
    async def connect(settings: Settings, *, clean: bool = False, **more: bool) -> AsyncIterator[Connection]:
        connection = await Connection.open(settings, next(generations), clean=clean, **more)
        finished = anyio.Event()

        async def serve(_connection: Connection) -> None:
            await finished.wait()

        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, serve)
            yield connection
            finished.set()

    return connect


class Visits:
    """What a session's `serve` was called with; each call lasts until the connection ends or `finish`."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self._finished = anyio.Event()
        self._changed = anyio.Event()

    async def serve(self, connection: Connection) -> None:
        self.connections.append(connection)
        self._changed.set()
        await self._finished.wait()

    def finish(self) -> None:
        self._finished.set()

    async def expect(self, number: int) -> Connection:
        with anyio.fail_after(10):
            while len(self.connections) < number:
                self._changed = anyio.Event()
                await self._changed.wait()
        return self.connections[number - 1]


@pytest.fixture
def visits() -> Visits:
    return Visits()


@pytest.fixture
def keeping(visits: Visits) -> Callable[[Settings], AbstractAsyncContextManager[Session]]:
    @asynccontextmanager
    async def keep(settings: Settings) -> AsyncIterator[Session]:
        session = Session(settings, Progress(), jitter=lambda low, high: min(high, low + 0.02))
        async with anyio.create_task_group() as group:
            await group.start(session.run, visits.serve)
            yield session
            group.cancel_scope.cancel()

    return keep
