"""Puts a virtual lock on a virtual air as a real GATT peripheral, for a real bluetoothd to find."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from bumble.att import ATT_Error, ATT_Handle_Value_Confirmation, Attribute, Bearer
from bumble.core import AdvertisingData
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.gatt_server import Server
from bumble.hci import Address, OwnAddressType
from bumble.host import Host
from bumble.ll import AdvNonConnInd
from bumble.transport.common import AsyncPipeSink

from drivers.virtual.peripheral import AttError, Greeting, Property
from tests.bluez.lab.controller import LockController

if TYPE_CHECKING:
    from drivers.base import Advertisement
    from drivers.virtual.peripheral import Twin
    from tests.bluez.lab.air import Ether

INTERVAL = 100.0
"""Milliseconds between two advertisements."""

ATT_TIME = 30.0
"""Seconds in which an indication must be confirmed (Bluetooth Core, vol 3 part F, 3.3.3)."""
LOOK = 0.05
"""Seconds between two looks at what the lock advertises."""

LONGEST = 31
"""Bytes of a legacy advertisement."""
BASE_UUID = "-0000-1000-8000-00805f9b34fb"
"""How UUIDs end that have a form of 16 bits (Bluetooth Core, vol 3 part B, 2.5.1)."""


@asynccontextmanager
async def on_air(ether: Ether, twin: Twin, *, hashed: bool = True):
    """Run the twin and carry its GATT traffic until the end of the context.

    `hashed` is whether it tells by a hash (Bluetooth Core, vol 3 part G, 7.3) that its table changed, as few locks do.
    """
    peripheral = Peripheral(ether, twin, hashed=hashed)
    async with anyio.create_task_group() as tasks:
        await tasks.start(twin.run)
        await peripheral.start()
        tasks.start_soon(peripheral.advertise)
        tasks.start_soon(peripheral.speak)
        yield peripheral
        tasks.cancel_scope.cancel()
    await peripheral.stop()


@asynccontextmanager
async def beacons(ether: Ether, number: int):
    """So many other devices around that advertise once a second, until the end of the context."""
    async with anyio.create_task_group() as tasks:
        for each in range(number):
            tasks.start_soon(_beacon, ether, f"C0:FF:EE:00:{each >> 8:02X}:{each & 0xFF:02X}", each / number)
        yield
        tasks.cancel_scope.cancel()


async def _beacon(ether: Ether, address: str, after: float) -> None:
    public = Address(address, Address.PUBLIC_DEVICE_ADDRESS)
    controller = LockController(address, link=ether, public_address=public)
    data = b"\x02\x01\x06\x1a\xff\x4c\x00\x02\x15" + public.address_bytes * 3 + b"\x00\x01\x00\x02\xc5"
    try:
        await anyio.sleep(after)
        while True:
            ether.send_advertising_pdu(controller, AdvNonConnInd(public, data))
            await anyio.sleep(1)
    finally:
        ether.remove_controller(controller)


class Peripheral:
    """One virtual lock as a Bumble device with a controller of its own."""

    def __init__(self, ether: Ether, twin: Twin, *, hashed: bool = True) -> None:
        self.twin = twin
        self.ether = ether
        self.held = False
        """Whether another central, a phone, holds the lock: it still advertises, and takes no connection."""
        address = Address(twin.address, Address.PUBLIC_DEVICE_ADDRESS)
        self.controller = LockController(twin.address, link=ether, public_address=address)
        self.device = Device(
            address=address,
            config=DeviceConfiguration(gatt_service_enabled=hashed),
            host=Host(self.controller, AsyncPipeSink(self.controller)),
        )
        self.central: AirCentral | None = None
        self._on_air: tuple[Advertisement, AdvertisingType] | None = None
        self._said, self._saying = anyio.create_memory_object_stream(math.inf)
        self._characteristics: dict[str, Characteristic] = {}
        for service, characteristics in twin.gatt.items():
            made = [self._characteristic(uuid, properties) for uuid, properties in characteristics.items()]
            self.device.add_service(Service(service, made))
        self.device.on(Device.EVENT_CONNECTION, self._on_connection)
        _forgive_late_confirmations(self.device.gatt_server)

    async def start(self) -> None:
        await self.device.power_on()

    async def stop(self) -> None:
        if self.central is not None:
            self.central.drop()
        await self.device.stop_advertising()
        self.controller.silence()
        self.ether.remove_controller(self.controller)
        self._said.close()
        self._saying.close()

    async def advertise(self) -> None:
        """Advertise what the twin advertises, while nobody is connected; held by a phone, not as connectable."""
        while True:
            wanted = self._wanted()
            if wanted != self._on_air:
                self._on_air = wanted
                with anyio.CancelScope(shield=True):  # Bumble does not stand being cancelled within a command
                    await self._put_on_air(wanted)
            await anyio.sleep(LOOK)

    def _wanted(self) -> tuple[Advertisement, AdvertisingType] | None:
        advertisement = None if self.controller.le_connections else self.twin.advertisement()
        if advertisement is None:
            return None
        held = AdvertisingType.UNDIRECTED
        return advertisement, held if self.held else AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE

    async def _put_on_air(self, wanted: tuple[Advertisement, AdvertisingType] | None) -> None:
        if wanted is None:
            await self.device.stop_advertising()
        else:
            await self.device.start_advertising(
                advertising_type=wanted[1],
                own_address_type=OwnAddressType.PUBLIC,
                advertising_data=packed(wanted[0]),
                advertising_interval_min=INTERVAL,
                advertising_interval_max=INTERVAL,
            )

    async def speak(self) -> None:
        """Send what the twin says, in its order."""
        async for central, uuid, data in self._saying:
            if central is not self.central:
                continue
            characteristic = self._characteristics[uuid]
            indicate = Property.INDICATE in central.properties(uuid)
            send = self.device.indicate_subscriber if indicate else self.device.notify_subscriber
            with anyio.move_on_after(ATT_TIME):
                await send(central.connection, characteristic, data)

    async def hang_up(self) -> None:
        """End the connection from the lock's side, if there is one."""
        if self.central is not None:
            await self.central.connection.disconnect()

    def say(self, central: AirCentral, characteristic: str, data: bytes) -> None:
        self._said.send_nowait((central, characteristic, data))

    def _characteristic(self, uuid: str, properties: frozenset[Property]) -> Characteristic:
        bits = Characteristic.Properties(0)
        for each in properties:
            bits |= Characteristic.Properties[each.name]
        value = CharacteristicValue(read=partial(self._on_read, uuid), write=partial(self._on_write, uuid))
        permissions = Attribute.Permissions.READABLE | Attribute.Permissions.WRITEABLE
        self._characteristics[uuid] = Characteristic(uuid, bits, permissions, value)
        self._characteristics[uuid].on(Characteristic.EVENT_SUBSCRIPTION, partial(self._on_subscription, uuid))
        return self._characteristics[uuid]

    def _on_subscription(self, uuid: str, _bearer: Bearer, notify: bool, indicate: bool) -> None:  # noqa: FBT001 - Bumble's signature
        if (notify or indicate) and isinstance(self.twin, Greeting):
            self.twin.subscribed(uuid)

    def _on_connection(self, connection: Connection) -> None:
        self._on_air = None  # a connection ends advertising, however short it is
        central = AirCentral(self, connection)
        connection.on(Connection.EVENT_DISCONNECTION, lambda _: self._on_disconnection(central))
        try:
            self.twin.connected(central)
        except ConnectionRefusedError:
            central.drop()
        else:
            self.central = central

    def _on_disconnection(self, central: AirCentral) -> None:
        if central is self.central:
            self.central = None
            self.twin.disconnected(central)

    def _on_read(self, uuid: str, _: Connection) -> bytes:
        try:
            return self.twin.read(uuid)
        except AttError as error:
            raise ATT_Error(error.code) from error

    def _on_write(self, uuid: str, _: Connection, data: bytes) -> None:
        try:
            self.twin.write(uuid, bytes(data))
        except AttError as error:
            raise ATT_Error(error.code) from error


class AirCentral:
    """The connected bluetoothd, as the twin sees it."""

    def __init__(self, peripheral: Peripheral, connection: Connection) -> None:
        self.connection = connection
        self._peripheral = peripheral

    @property
    def mtu(self) -> int:
        return self.connection.att_mtu

    def properties(self, uuid: str) -> frozenset[Property]:
        return next(found[uuid] for found in self._peripheral.twin.gatt.values() if uuid in found)

    def notify(self, characteristic: str, data: bytes) -> None:
        if self is self._peripheral.central:
            self._peripheral.say(self, characteristic, data)

    def drop(self) -> None:
        """End the connection as the end of the radio's reach does: each side learns of it by its time-out."""
        self._peripheral._on_disconnection(self)
        controller = self._peripheral.controller
        if (connection := controller.find_le_connection_by_handle(self.connection.handle)) is not None:
            self._peripheral.ether.sever(connection)


def packed(advertisement: Advertisement) -> bytes:
    """Pack as much as a legacy advertisement holds, the most telling first."""
    kind = AdvertisingData.Type
    parts = [(kind.FLAGS, b"\x06")]
    parts += [
        (kind.MANUFACTURER_SPECIFIC_DATA, company.to_bytes(2, "little") + data)
        for company, data in advertisement.manufacturer_data.items()
    ]
    parts += [_service_data(uuid, data) for uuid, data in advertisement.service_data.items()]
    parts += [
        (kind.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, _uuid(uuid)) for uuid in advertisement.service_uuids
    ]
    if advertisement.name:
        parts.append((kind.COMPLETE_LOCAL_NAME, advertisement.name.encode()))
    data = b""
    for type_, value in parts:
        part = bytes([len(value) + 1, type_]) + value
        if len(data) + len(part) <= LONGEST:
            data += part
    return data


def _service_data(uuid: str, data: bytes) -> tuple[AdvertisingData.Type, bytes]:
    """Pack service data under the short form of its UUID, where it has one."""
    if uuid.endswith(BASE_UUID) and uuid.startswith("0000"):
        return AdvertisingData.Type.SERVICE_DATA_16_BIT_UUID, _uuid(uuid[4:8]) + data
    return AdvertisingData.Type.SERVICE_DATA_128_BIT_UUID, _uuid(uuid) + data


def _uuid(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))[::-1]


def _forgive_late_confirmations(server: Server) -> None:
    """Have Bumble take the confirmation of an indication that was called off, over which it raises."""
    confirm = server.on_att_handle_value_confirmation

    def forgiving(bearer: Bearer, confirmation: ATT_Handle_Value_Confirmation) -> None:
        pending = server.pending_confirmations[bearer]
        if pending is None or not pending.done():
            confirm(bearer, confirmation)

    server.on_att_handle_value_confirmation = forgiving
