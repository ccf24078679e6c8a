"""A Bluetooth adapter of the kernel's that is a virtual controller on a virtual air."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from bumble.transport.vhci import open_vhci_transport
from dbus_fast import BusType, Message, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from tests.bluez.lab.controller import HostController

if TYPE_CHECKING:
    from bumble.link import LocalLink

ADDRESS = "B8:27:EB:00:00:01"
"""What a Raspberry Pi's adapter looks like."""


@asynccontextmanager
async def virtual_adapter(link: LocalLink, address: str = ADDRESS):
    """Plug an adapter in, power it on, and give out its name (hci0)."""
    transport = await open_vhci_transport(None)
    controller = HostController(
        address, host_source=transport.source, host_sink=transport.sink, link=link, public_address=address
    )
    try:
        yield await _powered_on(address)
    finally:
        link.remove_controller(controller)
        await transport.close()


async def _powered_on(address: str) -> str:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        with anyio.fail_after(15):
            while True:
                path = await _path(bus, address)
                if path and await power(bus, path, on=True):
                    return path.rpartition("/")[2]
                await anyio.sleep(0.1)
    finally:
        bus.disconnect()


async def power(bus: MessageBus, path: str, *, on: bool) -> bool:
    """Power an adapter on or off; tell whether BlueZ did."""
    body = ["org.bluez.Adapter1", "Powered", Variant("b", on)]
    reply = await bus.call(
        Message(
            destination="org.bluez",
            path=path,
            interface="org.freedesktop.DBus.Properties",
            member="Set",
            signature="ssv",
            body=body,
        )
    )
    return reply.message_type is MessageType.METHOD_RETURN


async def _path(bus: MessageBus, address: str) -> str | None:
    reply = await bus.call(
        Message(
            destination="org.bluez",
            path="/",
            interface="org.freedesktop.DBus.ObjectManager",
            member="GetManagedObjects",
        )
    )
    if reply.message_type is not MessageType.METHOD_RETURN:
        return None
    objects = unpack_variants(reply.body[0])
    adapters = {path: each["org.bluez.Adapter1"] for path, each in objects.items() if "org.bluez.Adapter1" in each}
    return next((path for path, each in adapters.items() if each["Address"] == address), None)
