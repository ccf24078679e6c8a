"""The Sesame driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from bridge.ble import air as air_module
from bridge.ble.air import LocalAir
from bridge.ble.virtual import VirtualRadio
from bridge.clock import SystemClock
from drivers.contract import DriverContract
from drivers.sesame import SesameDriver
from drivers.sesame import course as course_module
from drivers.sesame import session as session_module

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


class TestInProcess(DriverContract):
    driver = SesameDriver()


class TestOnTheVirtualRadio(DriverContract):
    driver = SesameDriver()

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture
    def motor_time(self):
        return 0.02

    @pytest.fixture
    def reach(self, monkeypatch):
        monkeypatch.setattr(air_module, "ADVERTISING_INTERVAL", 0.01)
        for module in (session_module, course_module):  # this one's time is real
            monkeypatch.setattr(module, "RESPONSE_TIMEOUT", 0.5)
        monkeypatch.setattr(course_module, "SETTLE_TIME", 0.1)
        return by_virtual_radio
