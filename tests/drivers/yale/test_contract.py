"""The Yale driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

from __future__ import annotations

import pytest

from bridge.ble import air as air_module
from drivers.contract import DriverContract
from drivers.yale import YaleDriver
from drivers.yale import handshake as handshake_module
from drivers.yale import session as session_module
from tests.support.by_virtual_radio import by_virtual_radio


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
