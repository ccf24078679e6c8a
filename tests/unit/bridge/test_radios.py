import pytest

from bridge import radios
from bridge.ble.airsocket import SocketAir
from bridge.ble.bluez import BluezRadio
from bridge.ble.virtual import VirtualRadio
from bridge.clock import SystemClock
from bridge.config import Config


def configured(**bluetooth):
    lock = {"id": "a", "driver": "nuki", "address": "54:D2:72:00:00:01"}
    return Config.model_validate(
        {"bridge": {"id": "g1"}, "mqtt": {"url": "mqtt://localhost"}, "bluetooth": bluetooth, "locks": [lock]}
    )


def test_a_virtual_radio_has_a_twin_and_its_key_for_each_lock():
    config = configured(radio="virtual")
    ((lock_id, (twin, credential)),) = radios.virtual_locks(config).items()
    assert (lock_id, twin.address) == ("a", "54:D2:72:00:00:01")
    assert isinstance(credential, radios.catalog.load("nuki").credential)
    assert isinstance(radios.make(config, SystemClock(), {twin.address: twin}), VirtualRadio)


@pytest.mark.parametrize("bluetooth", [{"radio": "bluez"}, {"radio": "virtual", "virtual_air": "/run/air.sock"}])
def test_there_are_no_twins_where_the_locks_are_elsewhere(bluetooth):
    assert radios.virtual_locks(configured(**bluetooth)) == {}


def test_locks_in_another_process_are_reached_by_its_socket():
    radio = radios.make(configured(radio="virtual", virtual_air="/run/air.sock"), SystemClock(), {})
    assert isinstance(radio, VirtualRadio)
    assert isinstance(radio._air, SocketAir)


def test_a_real_radio_knows_its_locks_and_adapters():
    radio = radios.make(configured(radio="bluez", adapters=["00:11:22:33:44:55"]), SystemClock(), {})
    assert isinstance(radio, BluezRadio)
    assert tuple(radio._adapters) == ("00:11:22:33:44:55",)
    assert list(radio._ours) == ["54:D2:72:00:00:01"]
