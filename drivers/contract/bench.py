"""What the suite works with: a virtual lock that lives, a link to it, a session over that."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from drivers.base import Action, Driver, Link, LockState, Options, Outcome, Session, Snapshot
from drivers.virtual.link import TwinLink
from drivers.virtual.lock import VirtualLock
from drivers.virtual.peripheral import Twin, VirtualSettings

Reach = Callable[[Twin], AbstractAsyncContextManager[Link]]
"""Lets a twin live and connects to it, for the length of the context."""

ADDRESS = "54:D2:72:00:00:01"
ANOTHER_ADDRESS = "54:D2:72:00:00:02"
TAG = b"0123456789abcdef0123"
TARGETS = {
    Action.LOCK: LockState.LOCKED,
    Action.UNLOCK: LockState.UNLOCKED,
    Action.UNLATCH: LockState.UNLATCHED,
}


@asynccontextmanager
async def in_process(twin: Twin) -> AsyncGenerator[Link]:
    """Reach a twin by a link in the same process."""
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        with TwinLink.connect(twin) as link:
            yield link
        group.cancel_scope.cancel()


@dataclass(frozen=True, slots=True)
class Bench:
    """One virtual lock and a session with it."""

    twin: Twin
    link: Link
    session: Session
    seen: list[Snapshot] = field(default_factory=list[Snapshot])
    """What the lock reported on the way of each action."""

    @property
    def lock(self) -> VirtualLock:
        """The lock behind the twin."""
        return self.twin.lock

    async def act(self, action: Action) -> Outcome:
        """Carry an action out."""
        return await (await self.session.prepare(action, TAG)).run(self.seen.append)

    async def settle(self) -> None:
        """Wait until the motor stands."""
        still = anyio.Event()
        self.lock.watch(lambda: None if self.lock.busy else still.set())
        if self.lock.busy:
            await still.wait()


class OpenBench(Protocol):
    """Opens a session with a lock that begins locked or not, for the length of the context."""

    def __call__(self, *, locked: bool = True) -> AbstractAsyncContextManager[Bench]:
        """Open it."""
        ...


@asynccontextmanager
async def bench(
    driver: Driver, reach: Reach, options: Options | None = None, *, locked: bool = True, motor_time: float = 1.0
) -> AsyncGenerator[Bench]:
    """Open a session with a virtual lock.

    Args:
        driver: under test.
        reach: the way to the lock.
        options: what is configured of the lock; None for the driver's defaults.
        locked: how the lock begins.
        motor_time: seconds of a travel.
    """
    settings = VirtualSettings(locked=locked, motor_time=motor_time)
    twin, key = driver.twin(ADDRESS, "Front door", settings, options)
    async with reach(twin) as link:
        session = await driver.open(link, key, options or driver.options())
        yield Bench(twin, link, session)
        await session.aclose()
