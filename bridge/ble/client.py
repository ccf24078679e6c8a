"""bleak's client for BlueZ, for what BlueZ tells of a new connection too late, not at all, or twice.

1. bluetoothd learns of a connection from two sockets, in an order that is chance: that the channel for attributes is
   open, and that the device is connected. The first before the second, BlueZ 5.66 says "already connected" to itself
   and leaves out the change of `Connected`; the more so the busier it is, such as with two adapters that scan. bleak,
   which knows what it was told, takes that for "failed to discover services, device disconnected".
2. It may tell that the services are resolved before it tells of the services. bleak then finds none.

Each would end a sound connection, which takes BlueZ two seconds.

3. A subscription ends with the connection to D-Bus that it was asked for over. bluetoothd begins to look out for that
   end when it comes to the question; if whoever asked has gone by then, it never learns of it. It renews such a
   subscription at each connection and tells every value once for each subscription there is: fragments come twice, and
   nothing that the lock says can be understood, until its record of the lock is removed. So the bus is closed after
   BlueZ has come to all that it was asked (D-Bus keeps the order), and nothing is subscribed to beside another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from bleak.backends.bluezdbus.client import BleakClientBlueZDBus
from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.service import BleakGATTServiceCollection
from dbus_fast import Message, MessageType, unpack_variants

from bridge.ble.failures import AlreadyNotifying

_BLUEZ = "org.bluez"
_DEVICE = "org.bluez.Device1"
_CHARACTERISTIC = "org.bluez.GattCharacteristic1"

LOOK, LOOKS = 0.05, 20
"""Seconds between two looks at whether the services have been told, and how many there are. They come in one burst."""
FAREWELL = 2.0
"""Seconds in which BlueZ must have come to all that it was asked, before the bus is closed in any case."""

_log = structlog.get_logger()


class BluezClient(BleakClientBlueZDBus):
    """The backend for `bleak.BleakClient`."""

    async def _get_services(
        self,
        dangerous_use_bleak_cache: bool = False,  # noqa: FBT001, FBT002 - bleak's signature
        **kwargs: Any,  # noqa: ANN401 - bleak's signature
    ) -> BleakGATTServiceCollection:
        """Discover, once it is known whether the device is connected: asked for where it was not told."""
        manager = await get_global_bluez_manager()
        path = self._device_path or ""
        if not manager.is_connected(path) and await self._ask(path, _DEVICE, "Connected") and self.is_connected:
            properties: dict[str, Any] = manager._properties[path]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - has no other way in
            properties[_DEVICE]["Connected"] = True
        services = await super()._get_services(dangerous_use_bleak_cache=dangerous_use_bleak_cache, **kwargs)
        return services if services.characteristics else await self._services_that_follow()

    async def _services_that_follow(self) -> BleakGATTServiceCollection:
        """Look until there are services and no more are added, or there will be none."""
        before, services = 0, BleakGATTServiceCollection()
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK)
            self.services = None
            services = await super()._get_services()
            if before and len(services.characteristics) == before:
                break
            before = len(services.characteristics)
        return services

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: Callable[[bytearray], None],
        **kwargs: Any,  # noqa: ANN401 - bleak's signature
    ) -> None:
        """Subscribe.

        Raises:
            AlreadyNotifying: somebody else is subscribed, or BlueZ believes so.
        """
        path: str = characteristic.obj[0]
        for _ in range(LOOKS):
            if not await self._ask(path, _CHARACTERISTIC, "Notifying"):
                return await super().start_notify(characteristic, callback, **kwargs)
            await asyncio.sleep(LOOK)  # the subscription of the connection before may be about to end
        raise AlreadyNotifying

    async def _release_bus(self) -> None:
        """Close the bus, once BlueZ has come to all that it was asked over it."""
        try:
            if self._bus is not None and self._bus.connected:
                ping = Message(destination=_BLUEZ, path="/", interface="org.freedesktop.DBus.Peer", member="Ping")
                async with asyncio.timeout(FAREWELL):
                    await self._bus.call(ping)
        except Exception as error:  # noqa: BLE001 - told: the bus is closed in any case
            _log.info("radio.bus_closed_early", address=self.address, error=type(error).__name__)
        finally:
            await super()._release_bus()

    async def _ask(self, path: str, interface: str, name: str) -> bool:
        """Ask BlueZ for a property that is true or false; false if it does not tell."""
        if self._bus is None:
            return False
        reply = await self._bus.call(
            Message(
                destination=_BLUEZ,
                path=path,
                interface="org.freedesktop.DBus.Properties",
                member="Get",
                signature="ss",
                body=[interface, name],
            )
        )
        return reply.message_type is MessageType.METHOD_RETURN and bool(unpack_variants(reply.body)[0])
