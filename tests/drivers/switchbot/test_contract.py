"""The SwitchBot driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

from __future__ import annotations

import pytest

from bridge.ble import air as air_module
from drivers.contract import DriverContract
from drivers.switchbot import SwitchBotDriver, SwitchBotOptions, patience
from drivers.switchbot.protocol.crypto import Mode
from drivers.switchbot.protocol.models import Model
from tests.support.by_virtual_radio import by_virtual_radio


class Variant(SwitchBotDriver):
    """The driver, with virtual locks of another firmware."""

    def __init__(self, **fields) -> None:
        self._fields = fields

    def twin(self, address, name, settings, options=None):
        twin, _ = super().twin(address, name, settings, options)
        for field, value in self._fields.items():
            setattr(twin, field, value)
        return twin, twin.credential()


class TestInProcess(DriverContract):
    driver = SwitchBotDriver()


class TestWithNewerFirmware(DriverContract):
    driver = Variant(mode=Mode.GCM)


class TestPro(DriverContract):
    driver = SwitchBotDriver()
    options = SwitchBotOptions(model=Model.PRO)


class TestUltraMax(DriverContract):
    driver = SwitchBotDriver()
    options = SwitchBotOptions(model=Model.ULTRA_MAX)


class TestLite(DriverContract):
    driver = SwitchBotDriver()
    options = SwitchBotOptions(model=Model.LITE)


class TestWithoutADoorSensor(DriverContract):
    driver = SwitchBotDriver()
    options = SwitchBotOptions(door_sensor=False)


class TestWithoutANightLatch(DriverContract):
    driver = SwitchBotDriver()
    options = SwitchBotOptions(night_latch=False)


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
    driver = Variant(mode=Mode.GCM)
    options = SwitchBotOptions(model=Model.PRO)
