"""Puts a virtual lock on a virtual air as a real GATT peripheral, for a real bluetoothd to find."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from bumble.att import ATT_Error, Attribute
from bumble.controller import Controller
from bumble.core import AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address, HCI_ErrorCode, OwnAddressType
from bumble.host import Host
from bumble.ll import TerminateInd
from bumble.transport.common import AsyncPipeSink

from drivers.virtual.peripheral import AttError, Property

if TYPE_CHECKING:
    from bumble.link import LocalLink

    from drivers.base import Advertisement
    from drivers.virtual.peripheral import Twin

INTERVAL = 100.0
"""Milliseconds between two advertisements."""

LOOK = 0.05
"""Seconds between two looks at what the lock advertises."""

LONGEST = 31
"""Bytes of a legacy advertisement."""


@asynccontextmanager
async def on_air(link: LocalLink, twin: Twin):
    """Run the twin and carry its GATT traffic until the end of the context."""
    peripheral = Peripheral(link, twin)
    async with anyio.create_task_group() as tasks:
        await tasks.start(twin.run)
        await peripheral.start()
        tasks.start_soon(peripheral.advertise)
        tasks.start_soon(peripheral.speak)
        yield peripheral
        tasks.cancel_scope.cancel()
    await peripheral.stop()


class Peripheral:
    """One virtual lock as a Bumble device with a controller of its own."""

    def __init__(self, link: LocalLink, twin: Twin) -> None:
        self.twin = twin
        self.link = link
        address = Address(twin.address, Address.PUBLIC_DEVICE_ADDRESS)
        self.controller = Controller(twin.address, link=link, public_address=address)
        self.device = Device(address=address, host=Host(self.controller, AsyncPipeSink(self.controller)))
        self.central: AirCentral | None = None
        self._on_air: Advertisement | None = None
        self._said, self._saying = anyio.create_memory_object_stream(math.inf)
        self._characteristics: dict[str, Characteristic] = {}
        for service, characteristics in twin.gatt.items():
            made = [self._characteristic(uuid, properties) for uuid, properties in characteristics.items()]
            self.device.add_service(Service(service, made))
        self.device.on(Device.EVENT_CONNECTION, self._on_connection)

    async def start(self) -> None:
        await self.device.power_on()

    async def stop(self) -> None:
        if self.central is not None:
            self.central.drop()
        await self.device.stop_advertising()
        self.link.remove_controller(self.controller)
        self._said.close()
        self._saying.close()

    async def advertise(self) -> None:
        """Advertise what the twin advertises, while nobody is connected."""
        while True:
            wanted = None if self.central else self.twin.advertisement()
            if wanted != self._on_air:
                self._on_air = wanted
                with anyio.CancelScope(shield=True):  # Bumble does not stand being cancelled within a command
                    await self._put_on_air(wanted)
            await anyio.sleep(LOOK)

    async def _put_on_air(self, advertisement: Advertisement | None) -> None:
        if advertisement is None:
            await self.device.stop_advertising()
        else:
            await self.device.start_advertising(
                own_address_type=OwnAddressType.PUBLIC,
                advertising_data=packed(advertisement),
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
            with anyio.move_on_after(5):
                await send(central.connection, characteristic, data)

    def say(self, central: AirCentral, characteristic: str, data: bytes) -> None:
        self._said.send_nowait((central, characteristic, data))

    def _characteristic(self, uuid: str, properties: frozenset[Property]) -> Characteristic:
        bits = Characteristic.Properties(0)
        for each in properties:
            bits |= Characteristic.Properties[each.name]
        value = CharacteristicValue(read=partial(self._on_read, uuid), write=partial(self._on_write, uuid))
        permissions = Attribute.Permissions.READABLE | Attribute.Permissions.WRITEABLE
        self._characteristics[uuid] = Characteristic(uuid, bits, permissions, value)
        return self._characteristics[uuid]

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
        """End the connection as the end of the radio's reach does: both sides learn that it timed out."""
        self._peripheral._on_disconnection(self)
        controller = self._peripheral.controller
        if (connection := controller.find_le_connection_by_handle(self.connection.handle)) is not None:
            connection.send_ll_control_pdu(TerminateInd(HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR))
            controller.on_le_disconnected(connection, HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


def packed(advertisement: Advertisement) -> bytes:
    """Pack as much as a legacy advertisement holds, the most telling first."""
    kind = AdvertisingData.Type
    parts = [(kind.FLAGS, b"\x06")]
    parts += [
        (kind.MANUFACTURER_SPECIFIC_DATA, company.to_bytes(2, "little") + data)
        for company, data in advertisement.manufacturer_data.items()
    ]
    parts += [(kind.SERVICE_DATA_128_BIT_UUID, _uuid(uuid) + data) for uuid, data in advertisement.service_data.items()]
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


def _uuid(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))[::-1]
