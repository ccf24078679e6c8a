"""The Sesame driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

from __future__ import annotations

import pytest

from bridge.ble import air as air_module
from drivers.contract import DriverContract
from drivers.sesame import SesameDriver
from drivers.sesame import course as course_module
from drivers.sesame import session as session_module
from tests.support.by_virtual_radio import by_virtual_radio


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
