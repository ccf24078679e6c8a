"""The bridge's own parts around a model lock and either journal, in lives that end at any moment."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import anyio

from bridge import app, crash
from bridge.bell import Bell
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.journal import inline, open_journal, rows, store
from bridge.lifecycle import Bridge
from bridge.policy import Message
from bridge.service.progress import Progress
from drivers.base import Method
from tests.support.clock import NOON
from tests.support.fake_connection import FakeConnection, Sent
from tests.support.memory_journal import MemoryJournal
from tests.support.model_lock import ModelLock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import trio

    from bridge.dispatcher import Receipt
    from bridge.model import Attempt, Event

FRONT = "front_door"


class Died(BridgeError):
    """The process ends here."""


@dataclass
class HouseClock:
    """Goes with anyio's time, but for what a test does to it."""

    boot_id: str = "boot-1"
    synchronised: bool = True
    _boots: int = 1
    _boot_ahead: float = 0.0
    _wall_ahead: float = 0.0

    def boottime(self) -> float:
        return anyio.current_time() + self._boot_ahead

    def wall(self) -> Any:
        return NOON + timedelta(seconds=anyio.current_time() + self._wall_ahead)

    def trusted(self) -> bool:
        return self.synchronised

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock, as a time service does."""
        self._wall_ahead += seconds

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: its programs do not notice."""
        self._boot_ahead += seconds
        self._wall_ahead += seconds

    def reboot(self) -> None:
        """Begin another boot, whose boot time starts anew."""
        self._boots += 1
        self.boot_id = f"boot-{self._boots}"
        self._boot_ahead = 10.0 - anyio.current_time()


@dataclass
class Process:
    """What may die at each of its steps: a disk's, a lock's, a named point's."""

    end: Callable[[], None]
    alive: bool = True
    steps_left: int | None = None
    """How many more it takes; None for as many as it likes."""

    def step(self) -> None:
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                self.die()
        if not self.alive:
            raise Died

    def die(self) -> None:
        self.alive = False
        self.end()


class Broker:
    """As much of `bridge.mqtt.session.Session` as the bridge uses: one connection, once there is a broker."""

    def __init__(self, published: dict[str, set[bytes]]) -> None:
        self.reached = anyio.Event()
        self._published = published

    async def run(self, serve, *, task_status=anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await self.reached.wait()
        connection = FakeConnection()
        connection.puback = self._take
        with connection:
            await serve(connection)

    def _take(self, sent: Sent) -> bool:
        if "/events/" in sent.topic:
            self._published.setdefault(sent.body["event_id"], set()).add(sent.payload)
        return True


@dataclass
class ModelHouse:
    """The door, and what the bridge in it does and says.

    Args:
        nursery: of what goes on beside the test.
        path: of the journal; None for one in memory.
        commands: the configuration's table.
        has_log: whether the lock has one.
        motor_time: seconds that a travel takes.
    """

    nursery: trio.Nursery
    path: Path | None
    commands: dict[str, Any]
    has_log: bool
    motor_time: float
    disk_delay: float = 0.0
    clock: HouseClock = field(default_factory=HouseClock)
    published: dict[str, set[bytes]] = field(default_factory=dict)
    """What was published under each event's id."""

    def __post_init__(self) -> None:
        self.lock = ModelLock(self.clock, self.nursery, self.has_log, self.motor_time)
        self.lock.step = self._step
        self._memory = MemoryJournal(self.clock)
        self._config = Config.model_validate(
            {
                "bridge": {"id": "g1"},
                "mqtt": {"url": "mqtt://127.0.0.1"},
                "commands": self.commands,
                "bluetooth": {"radio": "virtual"},
                "homeassistant": {"discovery": False},
            }
        )
        self.process = Process(self._end, alive=False)
        self._gone = anyio.Event()
        self._gone.set()
        self.journal: Any = None
        self.bridge: Any = None

    async def start(self, steps: int | None = None) -> None:
        """Begin a life as `bridge.app.running` does, and return when it is ready or over.

        Args:
            steps: after which the process dies; None for never.
        """
        await self._gone.wait()
        self.process = Process(self._end, steps_left=steps)
        self._scope = anyio.CancelScope()
        self._gone = anyio.Event()
        ready = anyio.Event()
        self.nursery.start_soon(self._live, ready)
        await ready.wait()

    async def _live(self, ready: anyio.Event) -> None:
        self.journal = self.bridge = None
        self._connections: list[Any] = []
        bell = Bell()
        try:
            with self._scope:
                self.journal = await self._open(bell)
                self.bridge = await self._make(bell)
                async with anyio.create_task_group() as group:
                    await group.start(self.bridge.run)
                    ready.set()
        except* Died:
            pass
        finally:
            self.process.alive = False
            for connection in self._connections:
                connection.close()
            self._gone.set()
            ready.set()

    async def _disk(self, work: Callable[[], Any], /) -> Any:
        """Do it in place, as slowly as told; the process may die before it, or after it without learning of it."""
        if self.disk_delay:
            await anyio.sleep(self.disk_delay)
        process = self.process
        process.step()
        result = await inline(work)
        process.step()
        return result

    def _step(self) -> None:
        """Be a step of the process that lives now."""
        self.process.step()

    def _end(self) -> None:
        for worker in self.bridge.workers.values() if self.bridge else ():
            worker.stop()
            worker.abandon()
        self._scope.cancel()

    async def die(self) -> None:
        """End the process as a kill does, if it still runs."""
        if self.process.alive:
            self.process.die()
        await self._gone.wait()

    async def stop(self) -> None:
        """Tell the process to end, if it still runs, and wait until it has."""
        if self.process.alive:
            with suppress(Died):
                await self.bridge.stop()
        await self.die()

    async def _open(self, bell: Bell) -> Any:
        if self.path is None:
            self._memory.failing = False
            return self._memory.reopened(bell, self._disk)
        connect = store._connect

        def remembered(path: Path) -> Any:
            self._connections.append(connect(path))
            return self._connections[-1]

        with patch.object(store, "_connect", remembered):
            return await open_journal(self.path, self.clock, bell, self._disk)

    async def _make(self, bell: Bell) -> Bridge:
        self._broker = Broker(self.published)
        with (
            patch.object(app, "configured", lambda *_: [self.lock.configured()]),
            patch.object(app.radios, "make", lambda *_, **__: self.lock),
            patch.object(app, "Session", lambda _settings, _progress: self._broker),
        ):
            return await app.assemble(self._config, self.journal, self.clock, bell, Progress())

    @contextmanager
    def attended(self) -> Generator[None]:
        """Let the named points be steps of the process for the length of the context."""
        with patch.object(crash, "point", lambda _name: self._step()):
            yield

    def connect(self) -> None:
        """Let the bridge reach a broker that takes everything."""
        self._broker.reached.set()

    async def submit(self, body: dict[str, Any], **fields: Any) -> Receipt:
        """Give a command; fields are the message's."""
        known = {"method": Method.REMOTE_API, "arrived": self.clock.boottime(), "lock_id": FRONT}
        receipt = await self.bridge.dispatcher.submit(Message(payload=json.dumps(body).encode(), **(known | fields)))
        self.bridge.dispatcher.start(receipt)
        return receipt

    async def done(self) -> None:
        """Return once every attempt has its outcome, and every event was told."""
        while not all(each.state.terminal for each in self.attempts) or await self.journal.unsent(0, 1):  # noqa: ASYNC110 - no event tells
            await anyio.sleep(1)

    def break_storage(self, *, broken: bool) -> None:
        """Let no write reach the journal, or let them again."""
        if self.path is None:
            self._memory.failing = broken
        else:
            self.journal._store._connection.execute(f"PRAGMA query_only = {int(broken)}")

    @property
    def attempts(self) -> list[Attempt]:
        """What the journal holds."""
        if self.path is None:
            return [row.attempt for row in self._memory.rows]
        db = self.journal._store._connection
        return [rows.attempt(row) for row in db.execute("SELECT * FROM attempt ORDER BY seq")]

    @property
    def events(self) -> list[Event]:
        """What the journal holds."""
        if self.path is None:
            return self._memory.events
        db = self.journal._store._connection
        return [rows.event(row) for row in db.execute("SELECT * FROM event ORDER BY seq")]
