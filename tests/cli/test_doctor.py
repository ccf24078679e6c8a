import json

import anyio
import pytest
from anyio import to_thread

from bridge.config import load
from bridge.doctor import examination
from bridge.doctor.examination import Unaskable, examine
from bridge.doctor.finding import Status
from bridge.doctor.machine import Machine
from tests.support.mosquitto import Mosquitto, free_port


@pytest.fixture(autouse=True)
def no_bridge(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))


def at(config, port, **changes):
    text = config.read_text().replace("1883", str(port))
    for old, new in changes.items():
        text = text.replace(old, new)
    config.write_text(text)


def checks(ended):
    return {each["check"]: each for each in json.loads(ended.out)["checks"]}


async def test_a_machine_on_which_the_bridge_can_run_ends_with_zero(lock_bridge, config, tmp_path):
    async with Mosquitto(tmp_path) as broker:
        at(config, broker.port)
        ended = await to_thread.run_sync(lock_bridge, "doctor", "--json")
    found = checks(ended)
    assert (ended.code, json.loads(ended.out)["ok"]) == (0, True)
    assert {each["check"] for each in found.values() if each["status"] == "failure"} == set()
    assert found["broker"]["status"] == found["broker.retained"]["status"] == "ok"
    assert found["configuration"]["status"] == "ok"
    for check in ("bluetooth", "signal"):
        assert found[check]["message"].startswith("does not apply")
    assert {"service.running", "files", "disk.space", "disk.durability", "journal", "clock", "software"} <= found.keys()
    assert all(("remedy" in each) == (each["status"] != "ok") for each in found.values())


def test_a_failure_ends_with_one_and_names_its_remedy(lock_bridge, config):
    port = free_port()
    at(config, port)
    ended = lock_bridge("doctor")
    assert ended.code == 1
    told = " ".join(ended.out.split())
    assert "failure broker" in told
    assert "→ check mqtt.url" in told
    assert "1 failure" in told


def test_a_configuration_that_cannot_be_used_is_one_finding_and_ends_with_two(lock_bridge, config):
    config.write_text("[bridge]\nid = 1\n")
    ended = lock_bridge("doctor", "--json")
    assert ended.code == 2
    assert checks(ended)["configuration"]["status"] == "failure"
    assert {"clock", "software", "service.running"} <= checks(ended).keys()


def test_without_bluetooth_a_real_radio_is_a_failure(lock_bridge, config, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    at(config, free_port(), virtual="bluez")
    found = checks(lock_bridge("doctor", "--json"))
    assert found["bluetooth.service"]["status"] == "failure"
    assert found["signal"]["status"] == "warning"
    assert "D-Bus" in found["signal"]["message"]


SAID = {
    "radio": {"usable": True},
    "broker": {"trouble": None},
    "journal": {"writable": True},
    "locks": [{"lock_id": "front_door", "address": "x", "rssi": -60, "heard_s_ago": 1.0, "silent": False}],
}


@pytest.fixture
def loaded(config):
    def load_with(**changes):
        at(config, free_port(), **changes)
        return load(config)

    return load_with


def by_check(report):
    return {each.check: each for each in report.findings}


async def test_the_running_bridge_is_asked_how_it_hears_its_locks(loaded, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    found = by_check(await examine(loaded(virtual="bluez"), Machine(), lambda: SAID))
    assert found["signal.front_door"].message == "front_door is heard with -60 dBm"
    assert found["service.running"].status is Status.OK


async def test_a_bridge_that_may_not_be_asked_is_said_to_be(loaded):
    def denied():
        raise Unaskable("no permission")

    finding = by_check(await examine(loaded(), Machine(), denied))["service.running"]
    assert (finding.status, finding.message) == (Status.WARNING, "no permission")


async def test_no_check_keeps_another_from_being_made(loaded, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("5ec2e7")

    def forbidden(*_arguments):
        raise PermissionError(13, "Permission denied", "/var/lib/x")

    monkeypatch.setattr(examination.disk, "look", broken)
    monkeypatch.setattr(examination.files, "look", forbidden)
    monkeypatch.setattr(examination.power, "look", broken)
    found = by_check(await examine(loaded(), Machine(), lambda: None))
    assert found["disk"].message == "this could not be looked at (RuntimeError)"
    assert found["files"].message == "this user may not look at /var/lib/x"
    assert found["journal"].status is Status.OK


async def test_a_check_that_takes_too_long_is_given_up(loaded, monkeypatch):
    async def forever(_machine):
        await anyio.sleep_forever()

    monkeypatch.setattr(examination, "PATIENCE", 0.2)
    monkeypatch.setattr(examination, "_power", forever)
    found = by_check(await examine(loaded(), Machine(), lambda: None))
    assert "within 0.2 s" in found["power"].message


async def test_a_password_that_only_the_service_sees_is_not_guessed_at(loaded):
    config = loaded(**{"[bluetooth]": 'username = "bridge"\n[bluetooth]'})
    assert by_check(await examine(config, Machine(), lambda: SAID))["broker"].status is Status.OK
    assert by_check(await examine(config, Machine(), lambda: None))["broker"].status is Status.WARNING
