"""P3: what moves the bolt is sent right after the last check of its deadline, whatever had to be waited for before."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
import trio.testing

from bridge import catalog
from drivers.base import Action
from drivers.contract.bench import ADDRESS, TAG, in_process
from drivers.virtual.peripheral import VirtualSettings

AT_ONCE = 0.2
"""Seconds that a virtual lock may take to turn its motor on; none of them takes part of it to answer something else."""


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Checks:
    def __init__(self):
        self.at = []

    def __call__(self):
        self.at.append(anyio.current_time())


@asynccontextmanager
async def at_the_door(name):
    driver = catalog.load(name)
    twin, key = driver.twin(ADDRESS, "Front door", VirtualSettings())
    async with in_process(twin) as link:
        session = await driver.open(link, key, driver.options())
        yield twin.lock, link, session
        await session.aclose()


@asynccontextmanager
async def slowly(link):
    """Let what the lock says take three seconds."""
    async with anyio.create_task_group() as tasks:

        async def deliver(characteristic, data):
            await anyio.sleep(3)
            link.deliver(characteristic, data)

        def later(characteristic, data):
            tasks.start_soon(deliver, characteristic, data)
            return ()

        at_once, link.on_notify = link.on_notify, later
        yield
        link.on_notify = at_once
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("cut", [None, 0.01, 0.1, 1.0, 2.9])
@pytest.mark.parametrize("name", catalog.installed())
async def test_p3_it_is_checked_once_and_right_before_the_bolt_moves(name, cut):
    check = Checks()
    async with at_the_door(name) as (lock, link, session):
        await session.read()
        actuation = await session.prepare(Action.UNLOCK, TAG)
        async with slowly(link):
            if cut is not None:
                with anyio.move_on_after(cut):
                    await session.read()
            await actuation.run(lambda _: None, check)
        (movement,) = lock.movements
        (checked_at,) = check.at
        assert 0 <= movement.at - checked_at < AT_ONCE
