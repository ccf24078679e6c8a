from importlib.metadata import EntryPoint

import pytest

from bridge import catalog
from bridge.catalog import DriverMissing, installed, load
from drivers.base import Driver
from drivers.nuki import NukiDriver


@pytest.fixture
def offer(monkeypatch):
    """Offer drivers by entry points of the given values."""

    def offer(**values):
        points = [EntryPoint(name, value, catalog.GROUP) for name, value in values.items()]
        monkeypatch.setattr(
            catalog, "entry_points", lambda group, name=None: [p for p in points if name in (None, p.name)]
        )
        load.cache_clear()

    yield offer
    load.cache_clear()


def test_the_installed_drivers_are_named_without_being_imported(offer):
    offer(yale="nowhere:Yale", nuki="drivers.nuki:NukiDriver")
    assert installed() == ["nuki", "yale"]


def test_a_driver_is_made_once():
    driver = load("nuki")
    assert isinstance(driver, NukiDriver)
    assert isinstance(driver, Driver)
    assert load("nuki") is driver


def test_a_driver_may_be_offered_ready_made(offer):
    offer(made="tests.unit.bridge.test_catalog:MADE")
    assert load("made") is MADE


MADE = NukiDriver()


def test_an_unknown_driver_is_told_with_those_that_there_are(offer):
    offer(nuki="drivers.nuki:NukiDriver")
    with pytest.raises(DriverMissing, match='there is no driver "yale"; installed are: nuki'):
        load("yale")


def test_where_no_driver_is_installed_the_remedy_is_told(offer):
    offer()
    with pytest.raises(DriverMissing, match=r'pip install "lock-bridge\[all\]"'):
        load("nuki")


@pytest.mark.parametrize(("name", "extra"), [("nuki", "nuki"), ("acme", "all")])
def test_a_driver_whose_library_is_missing_names_the_extra_that_brings_it(offer, name, extra):
    offer(**{name: "no_such_library:Driver"})
    with pytest.raises(DriverMissing, match=rf'No module named .*pip install "lock-bridge\[{extra}\]"'):
        load(name)


@pytest.mark.parametrize("value", ["drivers.nuki:NoSuchDriver"])
def test_a_driver_that_is_not_where_it_is_said_to_be_is_told(offer, value):
    offer(nuki=value)
    with pytest.raises(DriverMissing, match='the driver "nuki" cannot be loaded'):
        load("nuki")


def test_what_is_no_driver_is_told(offer):
    offer(odd="pathlib:Path")
    with pytest.raises(DriverMissing, match='what is installed as the driver "odd" is none'):
        load("odd")
