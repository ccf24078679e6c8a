"""A way to a virtual lock for the driver contract: the virtual radio, with the Bluetooth library in between."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from bridge.ble.air import LocalAir
from bridge.ble.virtual import VirtualRadio
from bridge.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from drivers.base import Link
    from drivers.virtual.peripheral import Twin


@asynccontextmanager
async def by_virtual_radio(twin: Twin) -> AsyncIterator[Link]:
    """Let a twin live on the virtual radio and connect to it."""
    async with anyio.create_task_group() as group:
        radio = VirtualRadio(LocalAir({twin.address: twin}), SystemClock())
        await group.start(radio.run)
        link = await radio.connect(twin.address, within=10)
        yield link
        await link.aclose()
        group.cancel_scope.cancel()
