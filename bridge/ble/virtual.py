"""The virtual radio: virtual locks behind the contract of a real one, reached through bleak's own client.

`VirtualBackend` is a bleak backend, so that `BleakLink` and vendors' libraries run on virtual locks unchanged.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.abc
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError

from bridge.ble.fanout import Fanout
from bridge.ble.link import BleakLink
from bridge.ble.radio import Presence, RadioDown
from drivers.virtual.peripheral import AttError

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ObjectReceiveStream
    from bleak.args import SizedBuffer
    from bleak.assigned_numbers import CharacteristicPropertyName
    from bleak.backends.descriptor import BleakGATTDescriptor

    from bridge.ble.air import Air, Connection
    from bridge.clock import Clock
    from drivers.base import Advertisement
    from drivers.virtual.peripheral import GattTable

ALLOWANCE = 10.0
"""Seconds that a virtual lock may be unheard before it counts as silent."""

_ATT_HEADER = 3


class VirtualRadio:
    """A radio over virtual locks.

    Args:
        air: where the locks are.
        clock: gives boot time.
    """

    def __init__(self, air: Air, clock: Clock) -> None:
        self._air = air
        self._clock = clock
        self._usable = True
        self._healthy_since = clock.boottime()
        self._heard: dict[str, Presence] = {}
        self._listeners = Fanout["Advertisement"]()
        self._links: dict[str, BleakLink] = {}

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the air. Ends only by cancellation."""
        await self._air.run(self._hear, task_status=task_status)

    @property
    def air(self) -> Air:
        """Where the locks are."""
        return self._air

    @property
    def usable(self) -> bool:
        """Whether the adapter is up. Setting it to False loses every link, as pulling a real one does."""
        return self._usable

    @usable.setter
    def usable(self, value: bool) -> None:
        if value and not self._usable:
            self._healthy_since = self._clock.boottime()
        self._usable = value
        if not value:
            for link in tuple(self._links.values()):
                link.sever()

    def presence(self, address: str) -> Presence:
        """Tell when the lock was last heard."""
        now = self._clock.boottime()
        known = self._heard.get(address, Presence())
        link = self._links.get(address)
        if link is not None and link.is_open:
            return Presence(heard_at=now, rssi=known.rssi)
        if known.heard_at is None:
            return known
        quiet = now - max(known.heard_at, self._healthy_since)
        return Presence(known.heard_at, known.rssi, silent=self._usable and quiet > ALLOWANCE)

    def advertisements(self) -> AbstractAsyncContextManager[ObjectReceiveStream[Advertisement]]:
        """Listen to what is on the air from now on. A slow listener loses the oldest."""
        return self._listeners.listen()

    async def wanted(self, address: str) -> None:  # noqa: ARG002 - the contract's
        """Never return: the virtual air carries any number of links."""
        await anyio.sleep_forever()

    async def connect(self, address: str, *, within: float) -> BleakLink:
        """Connect to a virtual lock, taking at most `within` seconds.

        Raises:
            RadioDown: the adapter was taken down.
            Unreachable: the lock refused, is out of range, or is held by another central.
        """
        if not self._usable:
            raise RadioDown("The virtual adapter is down.")
        device = BLEDevice(address, None, self._air)
        link = await BleakLink.connect(device, within=within, backend=VirtualBackend)
        self._links[address] = link
        self._heard[address] = Presence(self._clock.boottime(), self._heard.get(address, Presence()).rssi)
        return link

    def _hear(self, advertisement: Advertisement) -> None:
        if self._usable:
            self._heard[advertisement.address] = Presence(self._clock.boottime(), advertisement.rssi)
            self._listeners.send(advertisement)


class VirtualBackend(BaseBleakClient):
    """A bleak backend whose devices are virtual locks: `BLEDevice.details` is the `Air` that they are on."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **kwargs: Any,  # noqa: ANN401 - bleak hands every backend the options of all of them
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout, **kwargs)
        if not isinstance(address_or_ble_device, BLEDevice):
            raise BleakError("A virtual lock is connected to by its BLEDevice, which tells the air that it is on")
        self._device = address_or_ble_device
        self._connection: Connection | None = None
        self._callbacks: dict[str, NotifyCallback] = {}

    @property
    def name(self) -> str:
        """The lock's name, or else its address."""
        return self._device.name or self.address

    @property
    def mtu_size(self) -> int:
        """The ATT MTU."""
        return self._require().mtu

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection is not None

    async def connect(self, pair: bool, **_: object) -> None:  # noqa: ARG002, FBT001 - bleak's signature
        """Connect. Virtual locks need no pairing of the link."""
        air = cast("Air", self._device.details)
        try:
            with anyio.fail_after(self._timeout):
                self._connection = await air.connect(self.address, self)
        except ConnectionError as error:
            raise BleakError(str(error)) from error
        self.services = _services(self._connection.gatt, self._connection.mtu)

    async def disconnect(self) -> None:
        """Disconnect, if connected."""
        if self._connection is not None:
            connection = self._connection
            self.dropped()
            await connection.close()

    async def pair(self, *args: object, **kwargs: object) -> None:
        """Do nothing: virtual locks need no pairing of the link."""

    async def unpair(self) -> None:
        """Do nothing: virtual locks need no pairing of the link."""

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_: object
    ) -> bytearray:
        """Read a value from the lock."""
        del use_cached
        try:
            return bytearray(await self._require().read(characteristic.uuid))
        except (AttError, ConnectionError) as error:
            raise _told(error) from error

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001 - bleak's signature
    ) -> None:
        """Write a value to the lock. Without `response`, a refusal is not told, as on a real link."""
        try:
            await self._require().write(characteristic.uuid, bytes(data))
        except (AttError, ConnectionError) as error:
            if response:
                raise _told(error) from error

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: object
    ) -> None:
        """Call back for each notification or indication."""
        connection = self._require()
        if not {"notify", "indicate"} & set(characteristic.properties):
            raise BleakError(f"{characteristic.uuid} neither notifies nor indicates")
        self._callbacks[characteristic.uuid] = callback
        try:
            await connection.subscribe(characteristic.uuid)
        except ConnectionError as error:
            raise _told(error) from error

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Stop calling back."""
        self._callbacks.pop(characteristic.uuid, None)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: object
    ) -> bytearray:
        """Refuse: virtual locks have no descriptors to read."""
        del use_cached
        raise BleakError(f"{descriptor.uuid} cannot be read: virtual locks have no descriptors")

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Refuse: virtual locks have no descriptors to write."""
        del data
        raise BleakError(f"{descriptor.uuid} cannot be written: virtual locks have no descriptors")

    def notified(self, characteristic: str, data: bytes) -> None:
        """Take a notification from the air; one that nobody subscribed to is not heard."""
        if callback := self._callbacks.get(characteristic):
            callback(bytearray(data))

    def dropped(self) -> None:
        """Learn that the connection has ended."""
        self._connection = None
        self.services = None
        self._callbacks.clear()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def _require(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection


def _services(gatt: GattTable, mtu: int) -> BleakGATTServiceCollection:
    """Lay the table out as bleak shows it, with handles in its order."""
    services = BleakGATTServiceCollection()
    handle = 0
    for service_uuid, characteristics in gatt.items():
        handle += 1
        service = BleakGATTService(None, handle, service_uuid)
        services.add_service(service)
        for uuid, properties in characteristics.items():
            handle += 2
            names = cast("list[CharacteristicPropertyName]", sorted(each.value for each in properties))
            services.add_characteristic(
                BleakGATTCharacteristic(None, handle, uuid, names, lambda: mtu - _ATT_HEADER, service)
            )
    return services


def _told(error: AttError | ConnectionError) -> BleakError:
    return BleakGATTProtocolError(error.code) if isinstance(error, AttError) else BleakError(str(error))
