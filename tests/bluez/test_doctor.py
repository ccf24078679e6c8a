"""The doctor on a machine with a real BlueZ."""

from __future__ import annotations

import subprocess
from contextlib import asynccontextmanager

import anyio
import pytest
from dbus_fast import BusType
from dbus_fast.aio import MessageBus

from bridge.ble.bluetoothd import Bluetoothd
from bridge.config import load
from bridge.doctor.examination import examine
from bridge.doctor.finding import Status
from bridge.doctor.machine import Machine
from drivers.nuki import NukiDriver
from drivers.virtual.peripheral import VirtualSettings
from tests.bluez.lab.controller import Ether
from tests.support.on_air import on_air
from tests.support.virtual_adapter import ADDRESS as ADAPTER
from tests.support.virtual_adapter import power, virtual_adapter

HERE, AWAY = "54:D2:72:00:00:03", "54:D2:72:00:00:04"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(f"""
[bridge]
id = "g1"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:1"
[bluetooth]
adapters = ["{ADAPTER}"]
[[locks]]
id = "here"
driver = "nuki"
address = "{HERE}"
[[locks]]
id = "away"
driver = "nuki"
address = "{AWAY}"
""")
    return load(file, {})


@asynccontextmanager
async def house():
    twin, _ = NukiDriver().twin(HERE, "Front door", VirtualSettings())
    ether = Ether()
    async with virtual_adapter(ether) as adapter, on_air(ether, twin):
        yield adapter.name


async def found(config):
    report = await examine(config, Machine(), lambda: None)
    return {each.check: each for each in report.findings}


async def test_a_good_adapter_is_told_and_each_lock_by_how_it_is_heard(config):
    with anyio.fail_after(50):
        async with house() as name:
            told = await found(config)
    for check in ("bluetooth.service", "bluetooth.version", "bluetooth.adapter", "signal.here"):
        assert told[check].status is Status.OK, told[check]
    assert told["bluetooth.adapter"].message == f"{name} ({ADAPTER}) is powered"
    assert told["signal.here"].message.endswith("dBm")
    assert told["bluetooth.others"].status is Status.OK  # the doctor's own scan is no other program's
    assert told["signal.away"].status is Status.WARNING


async def test_an_adapter_that_is_powered_off_is_a_failure(config):
    with anyio.fail_after(50):
        async with house() as name:
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            try:
                assert await power(bus, f"/org/bluez/{name}", on=False)
                told = await found(config)
            finally:
                bus.disconnect()
    assert told["bluetooth.adapter"].status is Status.FAILURE
    assert "powered off" in told["bluetooth.adapter"].message
    assert told["bluetooth.adapter"].remedy == "bluetoothctl power on"


async def test_without_an_adapter_that_is_the_failure(config):
    told = await found(config)
    assert told["bluetooth.service"].status is Status.OK
    assert told["bluetooth.adapter"].status is Status.FAILURE
    assert told["bluetooth.adapter"].message == "this machine has no Bluetooth adapter"


async def test_another_program_that_scans_is_noticed(config):
    with anyio.fail_after(50):
        async with house() as name:
            with subprocess.Popen(  # noqa: ASYNC220 - it runs beside
                ["bluetoothctl"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            ) as scanner:
                scanner.stdin.write(b"scan on\n")
                scanner.stdin.flush()
                await discovering(name)
                told = await examine(config, Machine(), lambda: None)
                scanner.kill()
    messages = [each.message for each in told.findings if each.check == "bluetooth.others"]
    assert any("bluetoothctl may use the same adapter" in message for message in messages)
    assert any("another program scans on" in message for message in messages)


async def discovering(name):
    async with Bluetoothd.reach() as bluetoothd:
        while not (await bluetoothd.adapter(f"/org/bluez/{name}"))["Discovering"]:  # noqa: ASYNC110 - no event
            await anyio.sleep(0.05)
