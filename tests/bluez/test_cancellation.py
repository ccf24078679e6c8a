"""A deadline or a shutdown at any point of a connection leaves BlueZ able to connect again at once.

Each point has a lock of its own, which BlueZ has not met before: it is discovered in full.
"""

from __future__ import annotations

from itertools import count

import anyio
import pytest

from tests.bluez.lab.air import Moment
from tests.support.echo_twin import ECHO, EchoTwin
from tests.support.eventually import eventually
from tests.support.on_air import on_air
from tests.support.radio import assert_it_works, connected, hear, running

AT_ONCE = 10.0
"""Seconds in which the next connection, its exchange and its end must be done. BlueZ takes two over the end."""

POINTS = [
    (Moment.CONNECT, 1),
    (Moment.DISCOVERY, 1),
    (Moment.DISCOVERY, 3),
    (Moment.DISCOVERY, 5),
    (Moment.SUBSCRIBE, 1),
    (Moment.WRITE, 1),
    (Moment.WRITTEN, 1),
    (Moment.NOTICE, 1),
    (Moment.SUBSCRIBE, 2),  # the end of the subscription
    (Moment.DISCONNECT, 1),
]
NUMBERS = count()
BETWEEN = [0.0, 0.05, 0.1, 0.15, 0.25]
"""Seconds after the beginning: between what passes on the air, BlueZ and bleak are at work."""


@pytest.fixture
async def place(adapter):
    """A radio, and a lock of its own."""
    twin = EchoTwin(f"54:D2:72:00:01:{next(NUMBERS):02X}")
    async with on_air(adapter.ether, twin), running(adapters=[adapter.address], ours={twin.address}) as radio:
        await hear(radio, twin.address)
        yield radio, twin
    adapter.ether.heal(twin.address)


async def exchange(radio, twin) -> None:
    """Do everything that is done over a link, once, until the lock is let go of."""
    async with connected(radio, twin.address) as link, link.subscribe(ECHO) as stream:
        await link.write(ECHO, b"one")
        await stream.receive()
    await eventually(lambda: twin.central is None)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0]}-{point[1]}")
async def test_cancelled_as_something_passes_on_the_air(place, ether, point):
    radio, twin = place
    moment, nth = point
    with anyio.CancelScope() as scope:
        ether.at(moment, twin.address, scope.cancel, nth=nth)
        await exchange(radio, twin)
    assert scope.cancel_called, "the point was reached"
    with anyio.fail_after(AT_ONCE):
        await assert_it_works(radio, twin.address)


@pytest.mark.parametrize("after", BETWEEN)
async def test_cancelled_between_two_things_that_pass(place, after):
    radio, twin = place
    with anyio.move_on_after(after):
        await exchange(radio, twin)
    with anyio.fail_after(AT_ONCE):
        await assert_it_works(radio, twin.address)


@pytest.mark.parametrize("after", [0.0, 1.0])
async def test_cancelled_while_it_disconnects(place, after):
    radio, twin = place
    link = await radio.connect(twin.address, within=AT_ONCE)
    with anyio.move_on_after(after):
        await link.aclose()
    with anyio.fail_after(AT_ONCE):
        await assert_it_works(radio, twin.address)
