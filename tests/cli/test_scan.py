import json

import pytest

from bridge.ble.fanout import Fanout
from bridge.ble.radio import RadioDown
from bridge.cli import scan as module
from bridge.cli import tools
from drivers.base import Advertisement, Sighting

ADDRESS = "54:D2:72:00:00:01"


def test_locks_are_listed_as_they_are_heard(lock_bridge, config):
    ended = lock_bridge("scan", "--seconds", "0.5")
    header, row = ended.out.splitlines()
    assert ended.code == 0
    assert header.split() == ["VENDOR", "MODEL", "ADDRESS", "SIGNAL", "PAIRING"]
    assert row.split()[0] == "nuki"
    assert ADDRESS in row


def test_locks_are_listed_for_programs(lock_bridge, config):
    ended = lock_bridge("scan", "--seconds", "0.5", "--json")
    (lock,) = json.loads(ended.out)
    assert (lock["driver"], lock["address"], set(lock)) == (
        "nuki",
        ADDRESS,
        {"driver", "model", "address", "name", "rssi", "pairable"},
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
    def __init__(self, pairable):
        self.pairable = pairable

    def sight(self, advertisement):
        return Sighting("Model", self.pairable) if advertisement.name else None


@pytest.mark.parametrize(
    ("pairable", "rssi", "told"),
    [(True, -60, "-60 dBm  ready to pair"), (False, -60, "-60 dBm  not in pairing mode"), (None, None, "?  ?")],
)
def test_a_row_tells_what_is_known(pairable, rssi, told):
    found = module._recognise(Advertisement(ADDRESS, "A", rssi), {"x": Driver(pairable)})
    assert found is not None
    assert found.row().endswith(told)


def test_what_no_driver_knows_is_not_listed():
    assert module._recognise(Advertisement(ADDRESS), {"x": Driver(None)}) is None


def test_a_driver_that_cannot_be_loaded_is_told(lock_bridge, config, monkeypatch):
    installed, load = tools.catalog.installed, tools.catalog.load

    def missing(name):
        if name == "yale":
            raise tools.catalog.DriverMissing("it needs a library")
        return load(name)

    monkeypatch.setattr(tools.catalog, "installed", lambda: [*installed(), "yale"])
    monkeypatch.setattr(tools.catalog, "load", missing)
    ended = lock_bridge("scan", "--seconds", "0.2")
    assert (ended.code, ended.err) == (0, "not looked for: it needs a library\n")


def test_the_links_of_a_running_bridge_are_left_alone(config):
    config.write_text(config.read_text().replace('"virtual"', '"bluez"'))
    assert not tools.radio_for(tools.config_or_default(config))._ours
