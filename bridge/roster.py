"""The locks that the running bridge serves: their workers, and those that are added while it runs.

What is added is a lock that the configuration file has since, and a key that pairing left. Whatever else changes in
the file counts from the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from bridge import radios
from bridge.bell import Bell
from bridge.config import Config, LockConfig, load
from bridge.keys.credentials import Credentials
from bridge.lock import Lock
from bridge.locks import made, stored_key
from bridge.worker import Worker

if TYPE_CHECKING:
    from drivers.virtual.peripheral import Twin

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What was found when the configuration was read again, by the locks' ids."""

    added: list[str]
    rekeyed: list[str]
    """Whose key is another one."""
    after_restart: list[str]
    """What the file says of them counts from the next start."""


class Roster:
    """The workers of all locks. Runs them.

    Args:
        config: as it was read at the start.
        workers: of its locks; a worker that is added goes there.
        twins: the virtual locks of this process, by their ids; their first keys are no files.
        take_in: makes one more lock known to everybody else, and returns its worker.
    """

    def __init__(
        self,
        config: Config,
        workers: dict[str, Worker],
        *,
        twins: Mapping[str, Twin],
        take_in: Callable[[Lock], Worker],
    ) -> None:
        self.keys = Credentials(config.bridge.state_dir)
        self._config = config
        self._known = {lock.id: lock for lock in config.locks}
        self._workers = workers
        self._twins = twins
        self._take_in = take_in
        self._more = Bell()
        self._turn = anyio.Lock()

    @property
    def locks(self) -> tuple[LockConfig, ...]:
        """The locks as they are configured."""
        return tuple(self._known.values())

    @property
    def config(self) -> Config:
        """The configuration as it was read at the start."""
        return self._config

    def worker(self, lock_id: str) -> Worker:
        """Return a configured lock's worker."""
        return self._workers[lock_id]

    async def run(self) -> None:
        """Run the workers, and those that are added."""
        running: set[str] = set()
        async with anyio.create_task_group() as group:
            while True:
                for lock_id in [each for each in self._workers if each not in running]:
                    running.add(lock_id)
                    group.start_soon(self._workers[lock_id].run)
                await self._more.wait()

    async def take_up(self) -> TakenUp:
        """Read the configuration again, and serve the locks and use the keys that were added.

        Raises:
            ConfigError: it cannot be used any more; everything is as it was.
            PermissionError: it may not be read.
        """
        async with self._turn:
            config = await to_thread.run_sync(load, self._config.source.file)
            served = {lock.address for lock in self._known.values()}
            found = TakenUp([], [], [])
            for lock in config.locks:
                if lock == self._known.get(lock.id):
                    if lock.id not in self._twins and self.rekey(lock.id):
                        found.rekeyed.append(lock.id)
                elif lock.id in self._known or lock.address in served or self._twins_are_here:
                    found.after_restart.append(lock.id)  # above all, one bolt never has two workers
                else:
                    self._begin(lock, require_signature=config.requires_signature(lock))
                    found.added.append(lock.id)
            return found

    def rekey(self, lock_id: str) -> bool:
        """Use a lock's stored key from now on; tell whether it is another one than before."""
        worker = self._workers[lock_id]
        key = stored_key(self.keys, self._known[lock_id])
        if key == worker.lock.credential:
            return False
        worker.rekey(key)
        return True

    @contextmanager
    def ready_to_pair(self) -> Generator[None]:
        """Have the virtual locks of this process ready to pair, as by their buttons."""
        with radios.ready_to_pair(self._twins.values()):
            yield

    @property
    def _twins_are_here(self) -> bool:
        """Whether virtual locks live in this process, where they are made at the start."""
        bluetooth = self._config.bluetooth
        return bluetooth.radio == "virtual" and bluetooth.virtual_air is None

    def _begin(self, lock: LockConfig, *, require_signature: bool) -> None:
        self._known[lock.id] = lock
        key = stored_key(self.keys, lock)
        self._workers[lock.id] = self._take_in(made(lock, key, require_signature=require_signature))
        self._more.ring()
        log.info("lock added", lock_id=lock.id)
