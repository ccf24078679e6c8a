import pytest

from drivers.base import Advertisement
from drivers.yale.advert import MODEL, sight
from drivers.yale.protocol.codes import Uuid

ADDRESS = "54:D2:72:00:00:01"
CLOUD = bytes(2) + bytes(range(16))
HOMEKIT = bytes([6, 0x31, 0, *range(6), 6, 0, 0x39, 0x30, 1, 2])


def marks(data, *services):
    sighting = sight(Advertisement(ADDRESS, manufacturer_data=data, service_uuids=services))
    return None if sighting is None else sighting.marks


@pytest.mark.parametrize("company", [465, 302])
@pytest.mark.parametrize("value", [0, 1])
def test_the_byte_under_the_vendors_number_is_another_after_each_change(company, value):
    assert marks({company: bytes([value])}) == {"toggle": str(value)}


def test_the_identifier_in_the_cloud_is_no_mark():
    assert marks({465: CLOUD}) == {}
    assert marks({465: CLOUD, 302: b"\x01"}) == {"toggle": "1"}


def test_a_byte_that_is_to_be_ignored_is():
    assert marks({465: b"\xff"}) == {}


@pytest.mark.parametrize("data", [b"", b"\x00\x01", bytes(17), bytes(19)])
def test_other_data_under_the_vendors_number_is_no_lock(data):
    assert marks({465: data}) is None


def test_the_state_number_of_homekit_is_a_mark_of_its_own():
    assert marks({465: b"\x01", 76: HOMEKIT}) == {"toggle": "1", "homekit": "12345"}


@pytest.mark.parametrize("data", [b"", HOMEKIT[:14], b"\x11" + HOMEKIT[1:], b"\x02\x15" + bytes(21)])
def test_other_data_of_apples_is_no_mark(data):
    assert marks({76: data}, Uuid.SERVICE.value) == {}


def test_homekit_alone_is_any_accessorys():
    assert marks({76: HOMEKIT}) is None


def test_the_service_alone_is_a_lock():
    sighting = sight(Advertisement(ADDRESS, service_uuids=(Uuid.SERVICE.value,)))
    assert sighting is not None
    assert (sighting.model, sighting.pairable, sighting.changed) == (MODEL, None, None)
