"""The radio over BlueZ as tests use it: run for a while, connected for a while, and whether it works."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio

from bridge.ble.bluez import BluezRadio
from bridge.clock import SystemClock
from tests.support.echo_twin import ADDRESS, ECHO

WITHIN = 15.0
"""Seconds in which a connection must come about."""


@asynccontextmanager
async def running(**options):
    """A radio that runs."""
    radio = BluezRadio(SystemClock(), **options)
    async with anyio.create_task_group() as tasks:
        await tasks.start(radio.run)
        yield radio
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def connected(radio: BluezRadio, address: str = ADDRESS):
    """An open link."""
    link = await radio.connect(address, within=WITHIN)
    try:
        yield link
    finally:
        await link.aclose()


async def hear(radio: BluezRadio, address: str = ADDRESS):
    """Return the next advertisement of a lock."""
    with anyio.fail_after(WITHIN):
        async with radio.advertisements() as advertisements:
            while (heard := await advertisements.receive()).address != address:
                pass
    return heard


async def assert_it_works(radio: BluezRadio, address: str = ADDRESS) -> None:
    """Connect to an `EchoTwin` and have a write echoed."""
    async with connected(radio, address) as link, link.subscribe(ECHO) as stream:
        await link.write(ECHO, b"works")
        with anyio.fail_after(5):
            assert await stream.receive() == b"works"
