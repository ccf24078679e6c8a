"""bleak's client for BlueZ, for what BlueZ tells of a new connection too late or not at all.

1. bluetoothd learns of a connection from two sockets, in an order that is chance: that the channel for attributes is
   open, and that the device is connected. The first before the second, BlueZ 5.66 says "already connected" to itself
   and leaves out the change of `Connected`; the more so the busier it is, such as with two adapters that scan. bleak,
   which knows what it was told, takes that for "failed to discover services, device disconnected".
2. It may tell that the services are resolved before it tells of the services. bleak then finds none.

Each would end a sound connection, which takes BlueZ two seconds.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bleak.backends.bluezdbus.client import BleakClientBlueZDBus
from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from bleak.backends.service import BleakGATTServiceCollection
from dbus_fast import Message, MessageType, unpack_variants

_DEVICE = "org.bluez.Device1"

LOOK, LOOKS = 0.05, 20
"""Seconds between two looks at whether the services have been told, and how many there are. They come in one burst."""


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
        if not manager.is_connected(path) and await self._is_connected_to(path) and self.is_connected:
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

    async def _is_connected_to(self, path: str) -> bool:
        """Ask BlueZ whether a device is connected."""
        if self._bus is None:
            return False
        reply = await self._bus.call(
            Message(
                destination="org.bluez",
                path=path,
                interface="org.freedesktop.DBus.Properties",
                member="Get",
                signature="ss",
                body=[_DEVICE, "Connected"],
            )
        )
        return reply.message_type is MessageType.METHOD_RETURN and bool(unpack_variants(reply.body)[0])
