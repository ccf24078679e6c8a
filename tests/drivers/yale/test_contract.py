"""The Yale driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

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
from drivers.yale import YaleDriver
from drivers.yale import handshake as handshake_module
from drivers.yale import session as session_module

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
    driver = YaleDriver()


class TestOnTheVirtualRadio(DriverContract):
    driver = YaleDriver()

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture
    def motor_time(self):
        return 0.02

    @pytest.fixture
    def reach(self, monkeypatch):
        monkeypatch.setattr(air_module, "ADVERTISING_INTERVAL", 0.01)
        for name, seconds in {"RESPONSE_TIMEOUT": 0.5, "OPTIONAL_TIMEOUT": 0.2, "REST": 0.0}.items():
            monkeypatch.setattr(session_module, name, seconds)  # this one's time is real
        monkeypatch.setattr(handshake_module, "RESPONSE_TIMEOUT", 0.5)
        return by_virtual_radio
