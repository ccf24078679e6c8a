"""A virtual Sesame that lives, and sessions with it."""

from contextlib import asynccontextmanager

import anyio

from drivers.base import (
    Action,
)
from drivers.sesame import SesameDriver, SesameOptions
from drivers.sesame.channel import open_channel
from drivers.sesame.credential import credential_of
from drivers.sesame.virtual import SesameTwin
from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings

ADDRESS = "54:D2:72:AA:BB:CC"
TAG = b"act_0123456789abcdef"
DRIVER = SesameDriver()


@asynccontextmanager
async def reached(*, registered=True, **settings):
    """A virtual lock and a link to it."""
    twin = SesameTwin(ADDRESS, "Front door", VirtualSettings(**settings))
    if registered:
        twin.register()
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        with TwinLink.connect(twin) as link:
            yield twin, link
        group.cancel_scope.cancel()


@asynccontextmanager
async def session_with(**settings):
    async with reached(**settings) as (twin, link):
        session = await DRIVER.open(link, credential_of(twin.secret), SesameOptions())
        yield session, twin, link
        await session.aclose()


async def act(session, action=Action.UNLOCK):
    seen = []
    outcome = await (await session.prepare(action, TAG)).run(lambda snapshot: seen.append(snapshot.lock_state))
    return outcome, seen


def settle(twin):
    return anyio.sleep(2 * twin.lock.motor_time)


@asynccontextmanager
async def logged_in():
    """A virtual lock, and a way to ask it for anything."""
    async with reached() as (twin, link):
        channel = await open_channel(link)
        await channel.login(twin.secret)

        async def ask(item, data=b""):
            await channel.send(item, data)
            return await channel.response(item)

        yield twin, ask
        await channel.aclose()
