import pytest

from drivers.base import Advertisement, Sighting
from drivers.nuki.advert import MODEL, ULTRA_MODEL, sight
from drivers.nuki.protocol.codes import Uuid

ADDRESS = "54:D2:72:00:00:01"
LOCK = bytes.fromhex("0215a92ee200550111e4916c0800200c9a66") + bytes.fromhex("12345678")
OPENER = bytes.fromhex("0215a92ae200550111e4916c0800200c9a66") + bytes.fromhex("12345678")


def heard(beacon=None, **more):
    return sight(Advertisement(ADDRESS, manufacturer_data={} if beacon is None else {76: beacon}, **more))


@pytest.mark.parametrize(("power", "changed"), [(0xC4, False), (0xC5, True), (0xC8, False), (0xC9, True)])
def test_the_lowest_bit_of_the_power_says_that_the_state_changed(power, changed):
    assert heard(LOCK + bytes([power])) == Sighting(MODEL, pairable=False, changed=changed)


@pytest.mark.parametrize(
    "beacon",
    [
        pytest.param(bytes.fromhex("0631001122334455667788"), id="HomeKit"),
        pytest.param(OPENER + b"\xc5", id="opener"),
        pytest.param(LOCK, id="too short"),
        pytest.param(LOCK + b"\xc5\x00", id="too long"),
        pytest.param(b"", id="empty"),
        pytest.param(None, id="none"),
    ],
)
def test_what_is_no_beacon_of_a_lock_is_not_seen(beacon):
    assert heard(beacon) is None


@pytest.mark.parametrize(
    ("service", "model"), [(Uuid.PAIRING_SERVICE, MODEL), (Uuid.ULTRA_PAIRING_SERVICE, ULTRA_MODEL)]
)
def test_pairing_mode_is_announced_by_service_data(service, model):
    assert heard(service_data={service.value: b""}) == Sighting(model, pairable=True)


def test_a_lock_that_was_never_set_up_is_seen():
    assert heard(service_uuids=(Uuid.INIT_SERVICE.value,)) == Sighting(MODEL)


def test_an_opener_in_pairing_mode_is_no_lock():
    assert heard(service_data={Uuid.OPENER_PAIRING_SERVICE.value: b""}) is None
