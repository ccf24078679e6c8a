"""A bluetoothd with adapters, and scanners on them, that do as they are told; links go to virtual locks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

from bleak.backends.bluezdbus.version import BlueZFeatures
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError, BleakError

from bridge.ble import adapter, approach, scan
from bridge.ble.bluetoothd import ADAPTER, DEVICE
from bridge.ble.link import BleakLink
from bridge.ble.radio import RadioDown
from bridge.ble.virtual import VirtualBackend

OTHER = "54:D2:72:00:00:02"
HCI0, HCI1 = "/org/bluez/hci0", "/org/bluez/hci1"
FIRST, SECOND = "B8:27:EB:00:00:01", "00:1A:7D:00:00:02"


class SetClock:
    """Boot time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def boottime(self) -> float:
        return self.now


class FakeBluetoothd:
    """A bluetoothd.

    Attributes:
        adapters: path to its properties.
        devices: path to its properties; what somebody left behind, or what the bridge made of it.
        fail: what starting and stopping a scan raises, by the adapter's name; None for all of them.
        mute: whether it answers nothing.
        connects: the adapter's path of each connect to a lock, and `withins` how long it might take.
        on_connect: what a connect does first: called with the device, may raise.
    """

    def __init__(self) -> None:
        self.name = ":1.1"
        self.adapters = {HCI0: {"Address": FIRST, "Powered": True}}
        self.devices: dict[str, dict[str, object]] = {}
        self.fail: dict[str | None, Exception] = {}
        self.mute: Exception | None = None
        self.disconnected: list[str] = []
        self.removed: list[str] = []
        self.scanners: list[FakeScanner] = []
        self.connects: list[str] = []
        self.withins: list[float] = []
        self.on_connect = None
        self.departures = {}

    @asynccontextmanager
    async def reach(self):
        yield self

    def _answers(self) -> None:
        if self.mute is not None:
            raise self.mute

    async def owner(self) -> str:
        self._answers()
        return self.name

    async def adapter(self, path: str):
        self._answers()
        if path not in self.adapters:
            raise RadioDown("No.") from BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", [])
        return self.adapters[path]

    async def device(self, path: str):
        self._answers()
        return self.devices.get(path, {"Paired": False})

    async def objects(self):
        self._answers()
        return {path: {ADAPTER: properties} for path, properties in self.adapters.items()} | {
            path: {DEVICE: properties} for path, properties in self.devices.items()
        }

    async def on_departure(self, path: str, gone) -> None:
        self.departures[path] = gone

    async def disconnect(self, path: str) -> None:
        self.disconnected.append(path)
        if not self.devices.get(path, {}).get("Connected"):
            raise RadioDown("Not connected.")

    async def remove(self, adapter_path: str, path: str) -> None:
        self.removed.append(path)
        for scanner in self.scanners:
            scanner.known.pop(":".join(path[-17:].split("_")), None)

    def scanner(self, callback, *, bluez, scanning_mode="active"):
        scanner = FakeScanner(self, callback, bluez, scanning_mode)
        self.scanners.append(scanner)
        return scanner

    def on(self, path: str) -> FakeScanner:
        """Return the scanner that runs on an adapter."""
        return next(each for each in self.scanners if each.running and path.endswith(each.options["adapter"]))

    def hear(self, address: str, air: object, rssi: int = -70, *, path: str = HCI0) -> None:
        """Have an adapter hear a device."""
        scanner = self.on(path)
        device = BLEDevice(address, None, SimpleNamespace(air=air, path=path))
        data = AdvertisementData("Echo", {76: b"\x02"}, {"uuid": b"\x01"}, ["uuid"], None, rssi, ())
        scanner.known[address.upper()] = (device, data)
        scanner.callback(device, data)

    async def connect(self, device: BLEDevice, **options: object) -> BleakLink:
        """Stand in for `BleakLink.connect`: over the virtual air."""
        self.connects.append(device.details.path)
        self.withins.append(options["within"])
        if self.on_connect is not None:
            try:
                await self.on_connect(device)
            except BaseException:
                options["ended"]()
                raise
        device = BLEDevice(device.address, None, device.details.air)
        return await BleakLink.connect(device, **(options | {"backend": VirtualBackend}))


class FakeScanner:
    def __init__(self, bluetoothd: FakeBluetoothd, callback, options, mode: str) -> None:
        self.bluetoothd = bluetoothd
        self.callback = callback
        self.options = options
        self.mode = mode
        self.running = False
        self.known: dict[str, tuple[BLEDevice, AdvertisementData]] = {}

    async def start(self) -> None:
        if self.mode == "passive" and "passive" in self.bluetoothd.fail:
            raise self.bluetoothd.fail["passive"]
        self._may_fail()
        self.running = True

    async def stop(self) -> None:
        self.running = False
        self._may_fail()

    def _may_fail(self) -> None:
        for name in (None, self.options["adapter"]):
            if name in self.bluetoothd.fail:
                raise self.bluetoothd.fail[name]

    @property
    def discovered_devices_and_advertisement_data(self):
        return self.known


def install(monkeypatch) -> FakeBluetoothd:
    """Put it in the place of the machine's."""
    fake = FakeBluetoothd()
    monkeypatch.setattr(BlueZFeatures, "checked_bluez_version", True)
    monkeypatch.setattr(adapter, "Bluetoothd", fake)
    monkeypatch.setattr(adapter, "CHECK", 0.002)
    monkeypatch.setattr(adapter, "FIRST_RETRY", 0.002)
    monkeypatch.setattr(adapter, "LAST_RETRY", 0.004)
    monkeypatch.setattr(adapter, "BleakLink", SimpleNamespace(connect=fake.connect))
    monkeypatch.setattr(scan, "BleakScanner", fake.scanner)
    monkeypatch.setattr(approach, "AGAIN", 0.001)
    return fake


NOT_SUPPORTED = BleakError("passive scanning on Linux requires BlueZ >= 5.56 with --experimental enabled")
