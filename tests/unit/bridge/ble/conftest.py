"""A bluetoothd and adapters that do as they are told, for all tests of the radio over them."""

from __future__ import annotations

import anyio
import pytest

from bridge.ble.air import LocalAir
from tests.support.echo_twin import ADDRESS, EchoTwin
from tests.support.fake_bluetoothd import HCI1, OTHER, SECOND, SetClock, install


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def bluetoothd(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def two(bluetoothd):
    """A bluetoothd with two adapters."""
    bluetoothd.adapters[HCI1] = {"Address": SECOND, "Powered": True}
    return bluetoothd


@pytest.fixture
async def air():
    air = LocalAir({address: EchoTwin(address) for address in (ADDRESS, OTHER)})
    async with anyio.create_task_group() as tasks:
        await tasks.start(air.run, lambda _: None)
        yield air
        tasks.cancel_scope.cancel()
