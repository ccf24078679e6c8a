"""The radio over BlueZ, with a bluetoothd and a scanner that do as they are told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
import structlog.testing
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError

from bridge.ble import bluez
from bridge.ble.air import LocalAir
from bridge.ble.bluetoothd import ADAPTER, DEVICE
from bridge.ble.bluez import ALLOWANCE, BluezRadio
from bridge.ble.link import BleakLink
from bridge.ble.radio import RadioDown, Unreachable
from bridge.ble.virtual import VirtualBackend
from drivers.base import Advertisement, LinkLost
from tests.support.echo_twin import ADDRESS, NAME, EchoTwin

OTHER = "54:D2:72:00:00:02"
HCI0 = "/org/bluez/hci0"


@pytest.fixture
def anyio_backend():
    return "asyncio"


class SetClock:
    """Boot time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def boottime(self) -> float:
        return self.now


class FakeBluetoothd:
    """A bluetoothd with one adapter, and two devices that somebody left behind."""

    def __init__(self) -> None:
        self.name = ":1.1"
        self.powered = True
        self.fail: Exception | None = None
        self.disconnected: list[str] = []
        self.scanners: list[FakeScanner] = []
        self.known: dict[str, tuple[BLEDevice, AdvertisementData]] = {}

    @asynccontextmanager
    async def reach(self):
        yield self

    async def owner(self) -> str:
        return self.name

    async def adapter(self, path: str):
        assert path == HCI0
        return {"Powered": self.powered}

    async def objects(self):
        return {
            HCI0: {ADAPTER: {"Address": "B8:27:EB:00:00:01", "Powered": self.powered}},
            f"{HCI0}/dev_1": {DEVICE: {"Address": ADDRESS, "Connected": True}},
            f"{HCI0}/dev_2": {DEVICE: {"Address": OTHER, "Connected": False}},
            f"{HCI0}/dev_3": {DEVICE: {"Address": "00:00:00:00:00:00", "Connected": True}},
        }

    async def disconnect(self, path: str) -> None:
        self.disconnected.append(path)
        if path.endswith("2"):
            raise RadioDown("Not connected.")

    def scanner(self, callback, *, bluez):
        scanner = FakeScanner(self, callback, bluez)
        self.scanners.append(scanner)
        return scanner

    def hear(self, address: str, device: BLEDevice, rssi: int = -70) -> None:
        data = AdvertisementData("Echo", {76: b"\x02"}, {"uuid": b"\x01"}, ["uuid"], None, rssi, ())
        self.known[address] = (device, data)
        self.scanners[-1].callback(device, data)


class FakeScanner:
    def __init__(self, bluetoothd: FakeBluetoothd, callback, options) -> None:
        self.bluetoothd = bluetoothd
        self.callback = callback
        self.options = options
        self.running = False

    async def start(self) -> None:
        if self.bluetoothd.fail:
            raise self.bluetoothd.fail
        self.running = True

    async def stop(self) -> None:
        self.running = False
        if self.bluetoothd.fail:
            raise self.bluetoothd.fail

    @property
    def discovered_devices_and_advertisement_data(self):
        return self.bluetoothd.known


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def bluetoothd(monkeypatch):
    fake = FakeBluetoothd()
    monkeypatch.setattr(bluez, "Bluetoothd", fake)
    monkeypatch.setattr(bluez, "BleakScanner", fake.scanner)
    monkeypatch.setattr(bluez, "CHECK", 0.002)
    monkeypatch.setattr(bluez, "FIRST_RETRY", 0.002)
    monkeypatch.setattr(bluez, "LAST_RETRY", 0.004)
    virtual = partial(BleakLink.connect, backend=VirtualBackend)
    monkeypatch.setattr(bluez, "BleakLink", type("Link", (), {"connect": staticmethod(virtual)}))
    return fake


@pytest.fixture
async def air():
    air = LocalAir({address: EchoTwin(address) for address in (ADDRESS, OTHER)})
    async with anyio.create_task_group() as tasks:
        await tasks.start(air.run, lambda _: None)
        yield air
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def running(clock, **options):
    radio = BluezRadio(clock, **options)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(radio.run)
            yield radio
            tasks.cancel_scope.cancel()


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await anyio.sleep(0.001)


async def test_the_radio_starts_with_a_scan_that_it_stops_at_the_end(bluetoothd, clock):
    async with running(clock) as radio:
        assert radio.usable
        (scanner,) = bluetoothd.scanners
        assert scanner.running
        assert scanner.options == {"adapter": "hci0", "filters": {"DuplicateData": True}}
    assert not radio.usable
    assert not scanner.running


async def test_what_a_killed_run_left_behind_is_disconnected_before_the_radio_has_started(bluetoothd, clock):
    async with running(clock, ours={ADDRESS, OTHER}):
        assert bluetoothd.disconnected == [f"{HCI0}/dev_1", f"{HCI0}/dev_2"]


async def test_a_radio_that_cannot_scan_says_why_and_tries_again(bluetoothd, clock):
    bluetoothd.fail = BleakDBusError("org.bluez.Error.NotReady", [])
    with structlog.testing.capture_logs() as logs:
        async with running(clock) as radio:
            assert not radio.usable
            with pytest.raises(RadioDown, match="powered off"):
                await radio.connect(ADDRESS, within=1)
            await until(lambda: len(bluetoothd.scanners) > 3)
            bluetoothd.fail = None
            await until(lambda: radio.usable)
    assert [entry["event"] for entry in logs].count("radio.down") == 1


async def test_a_radio_without_d_bus_starts_and_is_not_usable(clock, monkeypatch, tmp_path):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    async with running(clock) as radio:
        with pytest.raises(RadioDown, match="D-Bus cannot be reached"):
            await radio.connect(ADDRESS, within=1)


async def test_what_is_heard_is_handed_out(bluetoothd, clock, air):
    async with running(clock) as radio, radio.advertisements() as advertisements:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS.lower(), None, air))
        assert await advertisements.receive() == Advertisement(
            ADDRESS, "Echo", -70, {76: b"\x02"}, {"uuid": b"\x01"}, ("uuid",)
        )
        assert radio.presence(ADDRESS).heard_at == clock.now
        assert radio.presence(ADDRESS).rssi == -70


async def test_a_property_that_changed_is_no_advertisement(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air), rssi=-127)
        assert radio.presence(ADDRESS).heard_at is None


async def test_a_lock_is_silent_only_after_a_healthy_scan_did_not_hear_it_for_the_allowance(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air))
        clock.now += ALLOWANCE
        assert not radio.presence(ADDRESS).silent
        clock.now += 1
        assert radio.presence(ADDRESS).silent
        assert not radio.presence(OTHER).silent
        bluetoothd.powered = False
        await until(lambda: not radio.usable)
        assert not radio.presence(ADDRESS).silent
        bluetoothd.powered = True
        await until(lambda: radio.usable)
        assert not radio.presence(ADDRESS).silent
        clock.now += ALLOWANCE + 1
        assert radio.presence(ADDRESS).silent


async def test_the_time_in_which_a_connection_is_made_is_not_silence(bluetoothd, clock, air, monkeypatch):
    making, made = anyio.Event(), anyio.Event()

    async def slowly(device, **options):
        making.set()
        await made.wait()
        return await BleakLink.connect(device, backend=VirtualBackend, **options)

    monkeypatch.setattr(bluez.BleakLink, "connect", staticmethod(slowly))
    async with running(clock) as radio, anyio.create_task_group() as tasks:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air))
        bluetoothd.hear(OTHER, BLEDevice(OTHER, None, air))
        tasks.start_soon(_connect_and_close, radio)
        await making.wait()
        clock.now += ALLOWANCE + 1
        assert not radio.presence(OTHER).silent
        made.set()
        await until(lambda: radio._healthy_since == clock.now)
        assert not radio.presence(OTHER).silent
        clock.now += ALLOWANCE + 1
        assert radio.presence(OTHER).silent


async def test_an_adapter_that_comes_back_during_a_connection_is_healthy_after_it(bluetoothd, clock, air):
    async with running(clock) as radio:
        with radio._pausing_scan():
            bluetoothd.powered = False
            await until(lambda: not radio.usable)
            bluetoothd.powered = True
            await until(lambda: radio.usable)
            assert radio._healthy_since is None
        assert radio._healthy_since == clock.now
        with radio._pausing_scan():
            bluetoothd.powered = False
            await until(lambda: not radio.usable)
        assert radio._healthy_since is None


async def _connect_and_close(radio: BluezRadio) -> None:
    await (await radio.connect(ADDRESS, within=5)).aclose()


async def test_a_lock_is_waited_for_until_it_is_heard(bluetoothd, clock, air):
    async with running(clock) as radio, anyio.create_task_group() as tasks:
        tasks.start_soon(_connect_and_close, radio)
        await anyio.wait_all_tasks_blocked()
        bluetoothd.hear(OTHER, BLEDevice(OTHER, None, air))
        await anyio.wait_all_tasks_blocked()
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air))


async def test_a_lock_that_is_not_heard_is_unreachable_and_its_slot_free(bluetoothd, clock, air):
    async with running(clock, max_connections=1) as radio:
        for _ in range(2):
            with pytest.raises(Unreachable, match="not heard"):
                await radio.connect(ADDRESS, within=0.01)


@pytest.mark.parametrize("failures", [1, 3, 4])
async def test_a_connection_that_bluez_fails_to_make_is_tried_again_a_few_times(
    bluetoothd, clock, air, monkeypatch, failures
):
    monkeypatch.setattr(bluez, "AGAIN", 0.001)
    tries: list[BLEDevice] = []

    async def failing(device, **options):
        tries.append(device)
        if len(tries) <= failures:
            options["ended"]()
            raise Unreachable("The connection failed.") from BleakDeviceNotFoundError(ADDRESS)
        return await BleakLink.connect(device, backend=VirtualBackend, **options)

    monkeypatch.setattr(bluez.BleakLink, "connect", staticmethod(failing))
    async with running(clock, max_connections=1) as radio:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air))
        if failures < bluez.ATTEMPTS:
            await (await radio.connect(ADDRESS, within=5)).aclose()
        else:
            with pytest.raises(Unreachable):
                await radio.connect(ADDRESS, within=5)
    assert len(tries) == min(failures + 1, bluez.ATTEMPTS)


async def test_no_further_connection_is_tried_after_the_time(bluetoothd, clock, air):
    air.twins[ADDRESS].refusing = True
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air))
        with anyio.fail_after(0.2), pytest.raises(Unreachable, match="switched off"):
            await radio.connect(ADDRESS, within=0.1)


async def test_an_open_link_counts_as_hearing_the_lock(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air))
        link = await radio.connect(ADDRESS, within=5)
        clock.now += 100
        assert radio.presence(ADDRESS).heard_at == clock.now
        await link.aclose()
        assert radio.presence(ADDRESS).heard_at == clock.now - 100


async def test_a_slot_is_free_again_when_its_link_has_ended(bluetoothd, clock, air):
    async with running(clock, max_connections=1) as radio:
        for address in (ADDRESS, OTHER):
            bluetoothd.hear(address, BLEDevice(address, None, air))
        link = await radio.connect(ADDRESS, within=5)
        with pytest.raises(Unreachable, match="in use"):
            await radio.connect(OTHER, within=0.01)
        await link.aclose()
        link = await radio.connect(OTHER, within=5)
        air.twins[OTHER].central.drop()
        other = await radio.connect(ADDRESS, within=5)
        await link.aclose()
        await other.aclose()


@pytest.mark.parametrize("how", ["powered off", "restarted"])
async def test_links_are_lost_with_their_adapter_or_bluetoothd(bluetoothd, clock, air, how):
    async with running(clock, ours={ADDRESS}) as radio:
        bluetoothd.hear(ADDRESS, BLEDevice(ADDRESS, None, air))
        link = await radio.connect(ADDRESS, within=5)
        if how == "powered off":
            bluetoothd.powered = False
        else:
            bluetoothd.name = ":1.2"
        await until(lambda: not link.is_open)
        with pytest.raises(LinkLost):
            await link.read(NAME)
        await link.aclose()
        bluetoothd.powered = True
        await until(lambda: radio.usable)
        assert await (await radio.connect(ADDRESS, within=5)).read(NAME) == b"Echo"


async def test_the_adapter_going_down_is_told_to_whoever_waits_for_a_lock(bluetoothd, clock, air):
    async with running(clock) as radio:
        radio._scanner = None
        with pytest.raises(RadioDown):
            radio._device(ADDRESS)


async def test_strangers_are_forgotten_before_our_locks(bluetoothd, clock, air, monkeypatch):
    monkeypatch.setattr(bluez, "_REMEMBERED", 2)
    async with running(clock, ours={ADDRESS}) as radio:
        for address in (ADDRESS, "00:00:00:00:00:01", "00:00:00:00:00:02"):
            bluetoothd.hear(address, BLEDevice(address, None, air))
        assert radio.presence(ADDRESS).heard_at is not None
        assert radio.presence("00:00:00:00:00:01").heard_at is None
        assert radio.presence("00:00:00:00:00:02").heard_at is not None
