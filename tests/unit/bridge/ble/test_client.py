"""A connection of which BlueZ tells too late or not at all that it is there, and what it offers; or all of it twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from bleak.backends.bluezdbus import client as bleak_client
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from dbus_fast import Message, MessageType, Variant

from bridge.ble import client as module
from bridge.ble.client import BluezClient
from bridge.ble.failures import AlreadyNotifying

if TYPE_CHECKING:
    from collections.abc import Sequence

ADDRESS = "54:D2:72:00:00:01"
PATH = "/org/bluez/hci0/dev_54_D2_72_00_00_01"
DEVICE = "org.bluez.Device1"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def table(number: int) -> BleakGATTServiceCollection:
    """Return so many characteristics."""
    found = BleakGATTServiceCollection()
    service = BleakGATTService(None, 1, "00001801-0000-1000-8000-00805f9b34fb")
    found.add_service(service)
    for handle in range(2, number + 2):
        uuid = f"0000{handle:04x}-0000-1000-8000-00805f9b34fb"
        found.add_characteristic(BleakGATTCharacteristic(None, handle, uuid, ["read"], lambda: 20, service))
    return found


class Manager:
    """What bleak was told of a device.

    Attributes:
        growing: how many characteristics are told at each look.
    """

    def __init__(self, *, told: bool = True, growing: Sequence[int] = (1,)) -> None:
        self._properties = {PATH: {DEVICE: {"Connected": told}}}
        self._growing = list(growing)

    def is_connected(self, path: str) -> bool:
        return self._properties[path][DEVICE]["Connected"]

    async def get_services(self, path: str, *_options: object) -> BleakGATTServiceCollection:
        if not self.is_connected(path):
            raise BleakError("failed to discover services, device disconnected")
        number = self._growing.pop(0) if len(self._growing) > 1 else self._growing[0]
        return table(number)


class Bus:
    """A connection to a BlueZ that says whether what it is asked for is so.

    Args:
        says: yes, no or, if None, that there is no such thing; one after the other, the last for ever.

    Attributes:
        asked: the questions.
        told: all else that it was told to do.
        meanwhile: what happens while it answers.
    """

    def __init__(self, *says: bool | None) -> None:
        self.connected = True
        self.asked: list[tuple[str | None, list[str]]] = []
        self.told: list[str | None] = []
        self.meanwhile = lambda: None
        self._says = list(says)

    async def call(self, message: Message) -> Message:
        self.meanwhile()
        if message.member != "Get":
            self.told.append(message.member)
            return Message(message_type=MessageType.METHOD_RETURN, reply_serial=1)
        self.asked.append((message.path, message.body))
        says = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if says is None:
            return Message(
                message_type=MessageType.ERROR, reply_serial=1, error_name="org.freedesktop.DBus.Error.UnknownObject"
            )
        return Message(message_type=MessageType.METHOD_RETURN, reply_serial=1, signature="v", body=[Variant("b", says)])

    def disconnect(self) -> None:
        self.connected = False
        self.told.append("closed")

    async def wait_for_disconnect(self) -> None:
        pass


@pytest.fixture
def connected(monkeypatch):
    """Make a client whose Connect has come back."""

    def make(manager: Manager, bus: Bus | None) -> BluezClient:
        async def found() -> Manager:
            return manager

        for each in (module, bleak_client):
            monkeypatch.setattr(each, "get_global_bluez_manager", found)
        device = BLEDevice(ADDRESS, None, {"path": PATH, "props": {}})
        client = BluezClient(device, disconnected_callback=None, timeout=1, bluez={})
        client._is_connected, client._bus = True, bus
        return client

    return make


async def test_a_connection_that_was_told_of_is_not_asked_about(connected):
    bus = Bus(True)
    assert (await connected(Manager(), bus)._get_services()).characteristics
    assert not bus.asked


async def test_a_connection_that_was_not_told_of_is_found_by_asking(connected):
    manager, bus = Manager(told=False), Bus(True)
    assert (await connected(manager, bus)._get_services()).characteristics
    assert bus.asked == [(PATH, [DEVICE, "Connected"])]
    assert manager.is_connected(PATH)


@pytest.mark.parametrize("says", [False, None])
async def test_a_connection_that_is_not_there_has_ended(connected, says):
    with pytest.raises(BleakError, match="device disconnected"):
        await connected(Manager(told=False), Bus(says))._get_services()


async def test_a_connection_that_ends_while_it_is_asked_about_has_ended(connected):
    manager, bus = Manager(told=False), Bus(True)
    client = connected(manager, bus)
    bus.meanwhile = lambda: setattr(client, "_is_connected", False)
    with pytest.raises(BleakError):
        await client._get_services()
    assert not manager.is_connected(PATH)


async def test_a_client_whose_bus_is_gone_asks_nobody(connected):
    with pytest.raises(BleakError):
        await connected(Manager(told=False), None)._get_services()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.001)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("growing", [[0, 3], [0, 0, 0, 3], [0, 1, 2, 3, 3]])
async def test_services_that_are_told_after_they_were_said_to_be_resolved_are_waited_for(connected, growing):
    services = await connected(Manager(growing=growing), Bus(True))._get_services()
    assert len(services.characteristics) == 3


@pytest.mark.usefixtures("quick")
async def test_a_device_without_services_has_none(connected):
    services = await connected(Manager(growing=[0]), Bus(True))._get_services()
    assert not services.characteristics


@pytest.mark.usefixtures("quick")
async def test_a_connection_that_ends_while_its_services_are_waited_for_has_ended(connected, monkeypatch):
    manager = Manager(growing=[0])
    client = connected(manager, Bus(True))
    monkeypatch.setattr(module.asyncio, "sleep", lambda _: ended(client))

    async def ended(client):
        client._is_connected = False

    with pytest.raises(BleakError):
        await client._get_services()


CHARACTERISTIC = "org.bluez.GattCharacteristic1"
CHARACTERISTIC_PATH = f"{PATH}/service0001/char0002"


@pytest.fixture
def characteristic():
    service = BleakGATTService(None, 1, "00001801-0000-1000-8000-00805f9b34fb")
    uuid = "00000002-0000-1000-8000-00805f9b34fb"
    return BleakGATTCharacteristic((CHARACTERISTIC_PATH, {}), 2, uuid, ["indicate"], lambda: 20, service)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("says", [[False], [True, True, False]])
async def test_what_nobody_else_is_told_is_subscribed_to(connected, characteristic, says):
    bus = Bus(*says)
    await connected(Manager(), bus).start_notify(characteristic, print, bluez={})
    assert bus.asked == [(CHARACTERISTIC_PATH, [CHARACTERISTIC, "Notifying"])] * len(says)
    assert bus.told == ["StartNotify"]


@pytest.mark.usefixtures("quick")
async def test_what_somebody_else_is_told_is_not_subscribed_to(connected, characteristic):
    bus = Bus(True)
    with pytest.raises(AlreadyNotifying):
        await connected(Manager(), bus).start_notify(characteristic, print, bluez={})
    assert bus.told == []


async def test_the_bus_is_closed_after_bluez_has_come_to_all_that_it_was_asked(connected):
    bus = Bus(True)
    client = connected(Manager(), bus)
    client._is_connected = False
    await client.disconnect()
    assert bus.told == ["Ping", "closed"]
    assert client._bus is None


async def test_a_bluez_that_does_not_come_to_it_holds_nothing_up(connected, monkeypatch):
    async def hang(_message: Message) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(module, "FAREWELL", 0.01)
    bus = Bus(True)
    client = connected(Manager(), bus)
    client._is_connected = False
    monkeypatch.setattr(bus, "call", hang)
    await client.disconnect()
    assert bus.told == ["closed"]


async def test_a_bus_that_is_lost_is_asked_nothing(connected):
    bus = Bus(True)
    client = connected(Manager(), bus)
    client._is_connected = bus.connected = False
    await client.disconnect()
    assert bus.told == ["closed"]
