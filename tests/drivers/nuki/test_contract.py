"""The Nuki driver keeps the contract: under virtual time, and through the virtual radio's Bluetooth library."""

from __future__ import annotations

import pytest

from bridge.ble import air as air_module
from drivers.base import capabilities
from drivers.contract import DriverContract
from drivers.nuki import NukiDriver, NukiOptions
from drivers.nuki import conversation as conversation_module
from drivers.nuki import session as session_module
from drivers.virtual.peripheral import VirtualSettings
from tests.support.by_virtual_radio import by_virtual_radio


class TestInProcess(DriverContract):
    driver = NukiDriver()


class TestWithoutTags(DriverContract):
    driver = NukiDriver()
    options = NukiOptions(log_tag=False)


class WithoutPin(NukiDriver):
    def twin(self, address, name, settings, options=None):
        twin, key = super().twin(address, name, settings, options)
        return twin, key.model_copy(update={"pin": None})


def test_what_a_nuki_can_find_again_depends_on_the_tag_and_the_pin():
    for driver, options, tells in (
        (NukiDriver(), NukiOptions(), True),
        (NukiDriver(), NukiOptions(log_tag=False), False),
        (WithoutPin(), NukiOptions(), False),
    ):
        _, key = driver.twin("54:D2:72:00:00:01", "Front door", VirtualSettings(), options)
        assert capabilities(driver, options, key).tagged_log is tells
        assert capabilities(driver, options, None).tagged_log is options.log_tag


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
