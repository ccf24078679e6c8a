"""The radio over a bluetoothd that does as it is told."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from bridge.ble.bluez import BluezRadio
from bridge.ble.failures import while_connecting
from tests.support.fake_bluetoothd import FIRST, SECOND

BOTH = {"adapters": [FIRST, SECOND]}


@asynccontextmanager
async def running(clock, **options):
    radio = BluezRadio(clock, **options)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(radio.run)
            yield radio
            tasks.cancel_scope.cancel()


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await anyio.sleep(0.001)


async def refuse(error: Exception) -> None:
    await anyio.lowlevel.checkpoint()
    raise while_connecting(error, 5) from error
