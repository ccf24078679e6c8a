"""A house with virtual locks and the lives of the bridge in it, one after the other over one journal.

The locks are Nuki's, unless another vendor is named. Everything is the bridge's own but the radio, the clock and the
broker, so it runs under virtual time. What really moved, and when, is in `House.movements`.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import anyio

from bridge import app, catalog, crash, radios
from bridge.attempt import State
from bridge.bell import Bell
from bridge.config import Config
from bridge.config.model import _part_options
from bridge.errors import BridgeError
from bridge.journal import Journal, inline, open_journal
from bridge.lifecycle import Bridge
from bridge.policy import Message
from bridge.service.progress import Progress
from drivers.base import Action, Method
from drivers.virtual.operation import Completion
from tests.support.clock import RunningClock
from tests.support.fake_connection import FakeConnection, FakeSession
from tests.support.twin_radio import TwinRadio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from bridge.dispatcher import Receipt
    from bridge.model import Attempt
    from bridge.states import States
    from drivers.base import Credential
    from drivers.virtual.lock import VirtualLock
    from drivers.virtual.operation import Movement

FRONT = "front_door"
BACK = "back_door"
BASE = "lockbridge/g1"
TTL = 30.0
PATIENCE = 1000.0
"""Seconds for which something is waited for."""


class Died(BridgeError):
    """The process ends here."""


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds, looked at every 10 ms of virtual time for a few minutes of it."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await anyio.sleep(0.01)


class House:
    """The locks, and what a bridge in it is told of them."""

    def __init__(
        self,
        path: Path,
        *lock_ids: str,
        driver: str = "nuki",
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.path = path
        self.clock = RunningClock()
        self.driver = driver
        self.lock_ids = lock_ids or (FRONT,)
        self.configured = set(self.lock_ids)
        self.discovery = False
        self.commands: dict[str, Any] = {}
        self.lock_fields: dict[str, Any] = {}
        self.options = options or {}
        """The driver's, of every lock."""
        self._settings = settings
        self.twins: dict[str, Any] = {}
        self.credentials: dict[str, Credential] = {}
        for lock_id, (twin, credential) in radios.virtual_locks(self._config()).items():
            self.twins[lock_id], self.credentials[lock_id] = twin, credential
            twin.lock.now = self.clock.wall
        self.radio = TwinRadio(*self.twins.values())
        self.disk_delay = 0.0

    @classmethod
    @asynccontextmanager
    async def standing(cls, path: Path, *lock_ids: str, **fields: Any) -> AsyncGenerator[House]:
        """Let the locks live for the length of the context; the fields are a house's."""
        house = cls(path, *lock_ids, **fields)
        async with anyio.create_task_group() as group:
            for twin in house.twins.values():
                await group.start(twin.run)
            yield house
            group.cancel_scope.cancel()

    @property
    def lock(self) -> VirtualLock:
        """The front door's."""
        return self.twins[FRONT].lock

    @property
    def movements(self) -> list[Movement]:
        """Every start of the front door's motor."""
        return self.lock.movements

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[Life]:
        """Run a bridge. Leaving the context ends it as a kill does: without a farewell, whatever is under way."""
        bell = Bell()
        journal = await open_journal(self.path / "journal.db", self.clock, bell, run=self._disk)
        try:
            life = Life(await self._bridge(journal, bell))
            async with anyio.create_task_group() as group:
                await group.start(life.bridge.run)
                yield life
                for worker in life.bridge.workers.values():
                    worker.stop()
                    worker.abandon()
                group.cancel_scope.cancel()
        finally:
            await journal.close()

    @asynccontextmanager
    async def last_moments(self, point: str) -> AsyncGenerator[Life]:
        """Run a bridge that dies at a crash point, and return once it has."""

        def die(name: str) -> None:
            if name == point:
                raise Died

        try:
            async with self.life() as life:
                with patch.object(crash, "point", die):
                    yield life
                    await anyio.sleep(PATIENCE)
        except* Died:
            pass
        else:
            raise AssertionError(f"it never came to {point}")

    async def _disk(self, work):
        """Write and read in place, as slowly as told."""
        if self.disk_delay:
            await anyio.sleep(self.disk_delay)
        return await inline(work)

    async def _bridge(self, journal: Journal, bell: Bell) -> Bridge:
        """Put the bridge together as its own root does, but for the radio and the session with a broker."""
        twins = {lock_id: (twin, self.credentials[lock_id]) for lock_id, twin in self.twins.items()}
        with (
            patch.object(app.radios, "virtual_locks", lambda _config: twins),
            patch.object(app.radios, "make", lambda *_, **__: self.radio),
            patch.object(app, "Session", lambda _settings, _progress: FakeSession()),
        ):
            return await app.assemble(self._config(), journal, self.clock, bell, Progress())

    def _config(self) -> Config:
        actions = sorted(catalog.load(self.driver).capabilities.actions)
        own = {self.driver: self.options, "virtual": self._settings}
        lock = {"driver": self.driver, "actions": actions, **own, **self.lock_fields}
        tables = {
            "bridge": {"id": "g1", "state_dir": str(self.path)},
            "mqtt": {"url": "mqtt://127.0.0.1"},
            "commands": {"rate_limit": 0, **self.commands},
            "bluetooth": {"radio": "virtual"},
            "homeassistant": {"discovery": self.discovery},
            "locks": [{"id": lock_id, **lock} for lock_id in self.lock_ids if lock_id in self.configured],
        }
        _part_options(tables)
        return Config.model_validate(tables)


@dataclass(frozen=True)
class Life:
    """A bridge that runs."""

    bridge: Bridge

    @property
    def states(self) -> States:
        return self.bridge.outbox._states

    def connect(self, **fields: Any) -> FakeConnection:
        """Give the bridge a connection to a broker."""
        connection = FakeConnection(**fields)
        self.bridge.session.connect(connection)
        return connection

    async def submit(
        self, action: str = "unlock", lock_id: str = FRONT, *, start: bool = True, **fields: Any
    ) -> Receipt:
        """Give a command; further fields are the body's (`custom_id`, `expires_at`) or the message's."""
        body = {"action": action}
        body |= {name: fields.pop(name) for name in ("custom_id", "expires_at") if name in fields}
        known = {"method": Method.REMOTE_API, "arrived": self.bridge.clock.boottime()}
        message = Message(lock_id=lock_id, payload=json.dumps(body).encode(), **(known | fields))
        receipt = await self.bridge.dispatcher.submit(message)
        if start:
            self.bridge.dispatcher.start(receipt)
        return receipt

    async def ended(self, receipt: Receipt) -> Attempt:
        """Return the attempt once it has its outcome."""
        state = f"SELECT state FROM attempt WHERE seq = {receipt.attempt.seq}"
        await until(lambda: State(self.rows(state)[0][0]).terminal)
        return await self.attempt(receipt)

    async def perform(self, action: str = "unlock", lock_id: str = FRONT, **fields: Any) -> Attempt:
        """Give a command and return its attempt once it has its outcome."""
        return await self.ended(await self.submit(action, lock_id, **fields))

    async def attempt(self, receipt: Receipt) -> Attempt:
        attempt = await self.bridge.journal.search.attempt(receipt.attempt.action_id)
        assert attempt is not None
        return attempt

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the journal's file."""
        return [tuple(row) for row in self.bridge.journal._store._connection.execute(sql)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The recorded events' bodies, in order, but for those of the locks' condition."""
        return [event for event in self.all_events if not event["event_type"].startswith("device.")]

    @property
    def all_events(self) -> list[dict[str, Any]]:
        """Every recorded event's body, in order."""
        return [json.loads(body) for (body,) in self.rows("SELECT body FROM event ORDER BY seq")]

    def told(self, attempt: Attempt) -> list[dict[str, Any]]:
        """Return the recorded events of one attempt, in order."""
        sql = f"SELECT body FROM event WHERE attempt_id = '{attempt.attempt_id}' ORDER BY seq"
        return [json.loads(body) for (body,) in self.rows(sql)]

    def device(self, lock_id: str = FRONT) -> dict[str, Any]:
        """Return the lock's outward state."""
        return dict(self.states.device(lock_id))

    @contextmanager
    def unwritable(self) -> Generator[None]:
        """Let no write reach the journal for the length of the context."""
        self.lock_journal()
        try:
            yield
        finally:
            self.unlock_journal()

    def lock_journal(self) -> None:
        self.rows("PRAGMA query_only = 1")

    def unlock_journal(self) -> None:
        self.rows("PRAGMA query_only = 0")


def check(house: House, life: Life, attempt: Attempt) -> None:
    """Check an attempt's outcome against what the lock really did, and its events against its outcome."""
    lock = house.twins[attempt.lock_id].lock
    moved = [movement for movement in lock.movements if movement.tag == attempt.tag]
    assert attempt.state.terminal
    assert len(moved) <= 1
    assert all(movement.at < attempt.deadline for movement in moved)
    ends = [operation.completion for operation in lock.log if operation.tag == attempt.tag]
    if attempt.state is State.FAILED:
        assert Completion.SUCCESS not in ends
    if attempt.state is State.CONFIRMED and attempt.changed:
        assert ends == [Completion.SUCCESS]
    _check_events(life.told(attempt), attempt)


def _check_events(told: list[dict[str, Any]], attempt: Attempt) -> None:
    succeeded = attempt.state is State.CONFIRMED
    kind = "lock_door" if attempt.action is Action.LOCK else "unlock_door"
    kinds = ["lock.action_completed", f"action_attempt.{kind}.{'succeeded' if succeeded else 'failed'}"]
    if succeeded and attempt.changed is not False:
        kinds.append("lock.locked" if attempt.action is Action.LOCK else "lock.unlocked")
    assert [event["event_type"] for event in told] == kinds
    assert told[0]["status"] == ("success" if succeeded else "failed")
    assert told[0]["was_confirmed_by_device"] is succeeded
    assert told[0].get("error_code") == attempt.code
    assert told[1]["status"] == ("success" if succeeded else "error")
