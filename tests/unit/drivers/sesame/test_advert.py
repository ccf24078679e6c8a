import pytest

from drivers.base import Advertisement, Sighting
from drivers.sesame.advert import sight
from drivers.sesame.protocol.codes import COMPANY, MODELS

ADDRESS = "54:D2:72:00:00:01"


def heard(data, company=COMPANY):
    return sight(Advertisement(ADDRESS, manufacturer_data={company: data}))


@pytest.mark.parametrize(("number", "model"), MODELS.items())
def test_a_lock_is_known_by_its_product_number(number, model):
    assert heard(bytes([number, 0, 1]) + bytes(16)) == Sighting(model, pairable=False)


def test_a_lock_that_was_reset_can_be_registered():
    assert heard(bytes([5, 0, 0]) + bytes(16)) == Sighting("Sesame 5", pairable=True)


@pytest.mark.parametrize(
    "data",
    [b"", bytes([5, 0, 1]) + bytes(15), bytes([9, 0, 1]) + bytes(16), bytes([4, 0, 1]) + bytes(16)],
    ids=["nothing", "too short", "a keypad", "an older lock"],
)
def test_anything_else_is_none(data):
    assert heard(data) is None


def test_another_companys_data_is_none():
    assert heard(bytes([5, 0, 1]) + bytes(16), company=0x004C) is None
