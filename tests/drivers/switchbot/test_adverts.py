import pytest

from drivers.base import Advertisement, LockState
from drivers.switchbot.advert import sight
from drivers.switchbot.protocol.adverts import COMPANY, SERVICE, model_of
from drivers.switchbot.protocol.models import TRAITS, Model
from drivers.switchbot.virtual import SwitchBotTwin
from drivers.virtual.peripheral import VirtualSettings
from tests.support.switchbot_bench import ADDRESS, living

EACH_MODEL = pytest.mark.parametrize("model", Model)


def twin_of(model, **options):
    return SwitchBotTwin(ADDRESS, "Front door", VirtualSettings(), model=model, **options)


@EACH_MODEL
def test_each_model_is_known_by_its_advertisement(model):
    sighting = sight(twin_of(model).advertisement())
    assert sighting.model == TRAITS[model].title
    assert sighting.changed is None
    assert sighting.pairable is None


@pytest.mark.parametrize(
    ("data", "model"),
    [
        ("6f8064", Model.LOCK),
        ("ef8064", Model.LOCK),
        ("4f8064", Model.LOCK),
        ("248064", Model.PRO),
        ("048064", Model.PRO),
        ("2d8064", Model.LITE),
        ("0d8064", Model.LITE),
        ("0080340010a5b8", Model.ULTRA),
        ("0080340110a5b8", Model.ULTRA),
        ("0080340010a5b800", Model.ULTRA),
        ("0080340210a5b8", None),
        ("000010a5b8", None),
        ("480064", None),  # a bot
        ("", None),
    ],
)
def test_the_service_data_names_the_model(data, model):
    assert model_of(bytes.fromhex(data)) is model


def test_service_data_alone_tells_of_no_change():
    assert sight(Advertisement(ADDRESS, service_data={SERVICE: b"o\x80\x64"})).marks == {}
    short = Advertisement(ADDRESS, service_data={SERVICE: b"o\x80\x64"}, manufacturer_data={COMPANY: bytes(8)})
    assert sight(short).marks == {}


@EACH_MODEL
async def test_a_turn_by_hand_changes_the_mark_and_nothing_else_does(model):
    async with living(model=model) as twin:
        before = sight(twin.advertisement()).marks
        assert sight(twin.advertisement()).marks == before
        twin.lock.manual_unlock()
        assert sight(twin.advertisement()).marks != before


@EACH_MODEL
async def test_a_mark_differs_though_the_bolt_came_back(model):
    """What was done and undone in between is a change, too."""
    async with living(model=model) as twin:
        before = sight(twin.advertisement()).marks
        twin.lock.manual_unlock()
        twin.lock.manual_lock()
        assert sight(twin.advertisement()).marks != before


async def test_the_count_begins_again_with_1():
    async with living() as twin:
        twin.sequence = 255
        twin.lock.manual_unlock()
        assert twin.advertisement().manufacturer_data[COMPANY][6] == 1


async def test_a_stale_advertisement_says_what_was():
    async with living() as twin:
        before = twin.advertisement()
        twin.stale = True
        twin.lock.manual_unlock()
        assert twin.lock.state is LockState.UNLOCKED
        assert twin.advertisement() == before


def test_a_lock_out_of_reach_says_nothing():
    twin = twin_of(Model.LOCK)
    twin.lock.reachable = False
    assert twin.advertisement() is None
