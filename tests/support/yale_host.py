"""A session with a virtual Yale lock, over a link in the same process and under virtual time."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio

from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings
from drivers.yale import YaleDriver, YaleOptions
from drivers.yale.protocol.codes import Op, Uuid

ADDRESS = "54:D2:72:00:00:01"
TAG = b"0123456789abcdef0123"
DRIVER = YaleDriver()
OPERATION = (Op.LOCK, Op.UNLOCK)


@asynccontextmanager
async def living(**settings):
    """A virtual lock, living, and the credential that opens it."""
    twin, credential = DRIVER.twin(ADDRESS, "YA12345", VirtualSettings(**settings))
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        yield twin, credential
        group.cancel_scope.cancel()


@asynccontextmanager
async def session_with(*, prepare=lambda _twin: None, **settings):
    """A session with a virtual lock that `prepare` did something to, the lock and the link."""
    async with living(**settings) as (twin, credential):
        prepare(twin)
        with TwinLink.connect(twin) as link:
            session = await DRIVER.open(link, credential, YaleOptions())
            yield session, twin, link
            await session.aclose()


async def act(session, action, seen=lambda _: None):
    """Carry an action out."""
    return await (await session.prepare(action, TAG)).run(seen)


async def settle(twin):
    """Wait until the motor stands."""
    still = anyio.Event()
    twin.lock.watch(lambda: None if twin.lock.busy else still.set())
    if twin.lock.busy:
        await still.wait()


def tap(twin):
    """Return a list of the frames that the lock's normal channel is asked from here on, as they are understood."""
    asked = []
    answer = twin._answer

    def answering(frame):
        asked.append(frame)
        answer(frame)

    twin._answer = answering
    return asked


def operations(asked):
    """Return those that can move the bolt."""
    return [frame for frame in asked if frame.op in OPERATION]


def without(link, *places):
    """Let the notifications at these places, counted from here on, not arrive."""
    count = iter(range(1000))
    link.on_notify = lambda name, data: [] if name == Uuid.NOTIFY and next(count) in places else [data]
