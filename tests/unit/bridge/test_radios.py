import pytest
import trio.testing

from bridge import radios
from bridge.attempt import State
from bridge.ble.airsocket import SocketAir
from bridge.ble.bluez import BluezRadio
from bridge.ble.caretaker import Caretaker
from bridge.ble.virtual import VirtualRadio
from bridge.clock import SystemClock
from bridge.config import Config
from bridge.interlock import Interlock
from drivers.switchbot.protocol.models import Model
from tests.support.house import House, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


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


@pytest.mark.parametrize("model", Model)
async def test_a_virtual_lock_is_the_model_that_is_configured(tmp_path, model):
    options = {"model": model.value}
    async with House.standing(tmp_path, driver="switchbot", options=options) as house, house.life() as life:
        await until(lambda: life.device()["lock_state"] == "locked")
        assert (await life.perform("unlock")).state is State.CONFIRMED
        assert life.device()["lock_state"] == "unlocked"


@pytest.mark.parametrize("bluetooth", [{"radio": "bluez"}, {"radio": "virtual", "virtual_air": "/run/air.sock"}])
def test_there_are_no_twins_where_the_locks_are_elsewhere(bluetooth):
    assert radios.virtual_locks(configured(**bluetooth)) == {}


def test_locks_in_another_process_are_reached_by_its_socket():
    radio = radios.make(configured(radio="virtual", virtual_air="/run/air.sock"), SystemClock(), {})
    assert isinstance(radio, VirtualRadio)
    assert isinstance(radio._air, SocketAir)


def test_a_real_radio_knows_its_locks_and_adapters():
    addresses = ["00:11:22:33:44:55", "00:11:22:33:44:66"]
    config = configured(radio="bluez", adapters=addresses, scan="auto", max_connections=5)
    radio = radios.make(config, SystemClock(), {})
    assert isinstance(radio, BluezRadio)
    assert [patient.address for patient in radio.patients] == addresses
    for patient in radio.patients:
        assert patient._mode == "auto"
        assert list(patient._around.ours) == ["54:D2:72:00:00:01"]
        assert patient._claim is None
        assert radio._means.slots.free(patient) == 5


def test_a_bridge_claims_its_adapters_and_other_programs_do_not():
    radio = radios.make(configured(radio="bluez"), SystemClock(), {}, exclusive=True)
    assert isinstance(radio, BluezRadio)
    assert radio.patients[0]._claim is not None


@pytest.mark.parametrize("kind", ["bluez", "virtual"])
def test_a_real_radio_is_looked_after_and_a_virtual_one_needs_nobody(kind):
    config, clock = configured(radio=kind), SystemClock()
    twins = {twin.address: twin for twin, _ in radios.virtual_locks(config).values()}
    radio = radios.make(config, clock, twins)
    caretaker = radios.caretaker(config, radio, clock, Interlock(), object())
    assert isinstance(caretaker, Caretaker) == (kind == "bluez")
    assert (caretaker is None) == (kind == "virtual")
