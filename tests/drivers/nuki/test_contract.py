"""The Nuki driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

from __future__ import annotations

import pytest

from bridge.ble import air as air_module
from drivers.contract import DriverContract
from drivers.nuki import NukiDriver
from drivers.nuki import conversation as conversation_module
from drivers.nuki import session as session_module
from tests.support.by_virtual_radio import by_virtual_radio


class TestInProcess(DriverContract):
    driver = NukiDriver()


class TestOnTheVirtualRadio(DriverContract):
    driver = NukiDriver()

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture
    def motor_time(self):
        return 0.02

    @pytest.fixture
    def reach(self, monkeypatch):
        monkeypatch.setattr(air_module, "ADVERTISING_INTERVAL", 0.01)
        for module in (conversation_module, session_module):
            monkeypatch.setattr(module, "RESPONSE_TIMEOUT", 0.5)  # this one's time is real
        return by_virtual_radio
