import json

import pytest

from bridge import catalog
from bridge.ble.fanout import Fanout
from bridge.ble.radio import RadioDown
from bridge.cli import scan as module
from bridge.cli import tools
from bridge.sightings import recognise
from drivers.base import Advertisement, Sighting
from tests.support.terminal import Terminal

ADDRESS = "54:D2:72:00:00:01"
NOT_READY = ["not", "in", "pairing", "mode"]


def test_locks_are_listed_as_they_are_heard(lock_bridge, config):
    ended = lock_bridge("scan", "--seconds", "1.5")
    header, row = ended.out.splitlines()
    assert ended.code == 0
    assert header.split() == ["VENDOR", "MODEL", "ADDRESS", "SIGNAL", "PAIRING", "CONFIGURED", "AS"]
    assert row.split() == ["nuki", "Nuki", "Smart", "Lock", ADDRESS, "-60", "dBm", *NOT_READY, "front_door"]


def test_locks_are_listed_for_programs(lock_bridge, config):
    ended = lock_bridge("scan", "--seconds", "1.5", "--json")
    (lock,) = json.loads(ended.out)
    assert (lock["driver"], lock["address"], set(lock)) == (
        "nuki",
        ADDRESS,
        {"driver", "model", "address", "name", "rssi", "pairable", "lock_id"},
    )


def test_where_no_lock_is_heard_it_says_what_to_do(lock_bridge, config):
    config.write_text(config.read_text().partition("[[locks]]")[0])
    ended = lock_bridge("scan", "--seconds", "0.2")
    assert ended.code == 0
    assert ended.err.startswith("No lock was heard in 0.2 s. Go nearer")


class DownRadio:
    usable = False

    async def run(self, *, task_status):
        task_status.started()

    async def connect(self, address, *, within):
        raise RadioDown("There is no Bluetooth adapter.")

    def advertisements(self):
        return Fanout().listen()


def test_without_an_adapter_it_says_why_and_what_to_do(lock_bridge, config, monkeypatch):
    monkeypatch.setattr(tools, "radio_for", lambda _config: DownRadio())
    ended = lock_bridge("scan", "--seconds", "5")
    assert ended.code == 1
    assert ended.err == (
        "error: There is no Bluetooth adapter. See that BlueZ runs (systemctl status bluetooth) "
        "and that an adapter is powered (bluetoothctl power on).\n"
    )


def test_a_machine_without_a_configuration_can_be_scanned_from(monkeypatch, tmp_path):
    monkeypatch.setattr(tools, "DEFAULT_FILE", tmp_path / "none.toml")
    config = tools.config_or_default(None, adapter="00:11:22:33:44:55")
    assert config.bluetooth.radio == "bluez"
    assert config.bluetooth.adapters == ("00:11:22:33:44:55",)


class Driver:
    def __init__(self, pairable, model="Model"):
        self.pairable = pairable
        self.model = model

    def sight(self, advertisement):
        return Sighting(self.model, self.pairable) if advertisement.name else None


@pytest.mark.parametrize(
    ("pairable", "rssi", "told"),
    [(True, -60, "-60 dBm ready to pair -"), (False, -60, "-60 dBm not in pairing mode -"), (None, None, "? ? -")],
)
def test_a_row_tells_what_is_known(monkeypatch, pairable, rssi, told):
    monkeypatch.setenv("NO_COLOR", "1")
    found = recognise(Advertisement(ADDRESS, "A", rssi), {"x": Driver(pairable)}, {})
    assert found is not None
    assert " ".join(module.line(module._row(found.told()), module._WIDTHS).split()).endswith(told)


def test_what_no_driver_knows_is_not_listed():
    assert recognise(Advertisement(ADDRESS), {"x": Driver(None)}, {}) is None


def test_a_terminal_shows_a_table_that_changes(config, tmp_path):
    variables = {"RUNTIME_DIRECTORY": str(tmp_path), "LOCK_BRIDGE_CONFIG": str(config)}
    with Terminal("scan", "--seconds", "2", **variables) as terminal:
        terminal.until(ADDRESS)
        assert terminal.end() == 0
    assert terminal.shown.count("VENDOR") > 1
    assert terminal.shown.splitlines()[-1].startswith("nuki")


def test_a_name_from_the_air_cannot_play_with_the_terminal():
    found = recognise(Advertisement(ADDRESS, "A", -60), {"x": Driver(None, "evil\x1b]0;\u202e")}, {})
    assert module._row(found.told())[1] == "evil\ufffd]0;\ufffd"


def test_a_driver_that_cannot_be_loaded_is_told(lock_bridge, config, monkeypatch):
    installed, load = catalog.installed, catalog.load

    def missing(name):
        if name == "acme":
            raise catalog.DriverMissing("it needs a library")
        return load(name)

    monkeypatch.setattr(catalog, "installed", lambda: [*installed(), "acme"])
    monkeypatch.setattr(catalog, "load", missing)
    ended = lock_bridge("scan", "--seconds", "0.2")
    assert (ended.code, ended.err) == (0, "not looked for: it needs a library\n")


def test_the_links_of_a_running_bridge_are_left_alone(config):
    config.write_text(config.read_text().replace('"virtual"', '"bluez"'))
    radio = tools.radio_for(tools.config_or_default(config))
    assert not any(adapter._around.ours for adapter in radio.patients)
