"""The SwitchBot driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.ble import air as air_module
from drivers.base import Action
from drivers.contract import DriverContract
from drivers.switchbot import SwitchBotDriver, patience
from drivers.switchbot.protocol.crypto import Mode
from drivers.switchbot.protocol.models import Model
from drivers.switchbot.virtual import SwitchBotTwin
from tests.support.by_virtual_radio import by_virtual_radio


class Variant(SwitchBotDriver):
    """The driver, with virtual locks of another model or firmware."""

    def __init__(self, *, latch=True, **options) -> None:
        self._options = {"latch": latch, **options}
        if not latch:
            self.capabilities = replace(self.capabilities, actions=frozenset({Action.LOCK, Action.UNLOCK}))

    def twin(self, address, name, settings):
        twin = SwitchBotTwin(address, name, settings, **self._options)
        return twin, twin.credential()


class TestInProcess(DriverContract):
    driver = SwitchBotDriver()


class TestWithNewerFirmware(DriverContract):
    driver = Variant(mode=Mode.GCM)


class TestPro(DriverContract):
    driver = Variant(model=Model.PRO)


class TestWithoutANightLatch(DriverContract):
    driver = Variant(latch=False)


class OnTheVirtualRadio(DriverContract):
    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture
    def motor_time(self):
        return 0.02

    @pytest.fixture
    def reach(self, monkeypatch):
        monkeypatch.setattr(air_module, "ADVERTISING_INTERVAL", 0.01)
        monkeypatch.setattr(patience, "RESPONSE_TIMEOUT", 0.5)  # this one's time is real
        monkeypatch.setattr(patience, "QUIET", 0.05)
        return by_virtual_radio


class TestOnTheVirtualRadio(OnTheVirtualRadio):
    driver = SwitchBotDriver()


class TestOnTheVirtualRadioWithNewerFirmware(OnTheVirtualRadio):
    driver = Variant(mode=Mode.GCM, model=Model.PRO)
