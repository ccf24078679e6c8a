"""Bluetooth adapters of the kernel's that are virtual controllers on a virtual air."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from dbus_fast import BusType, Message, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from tests.bluez.lab.controller import HostController
from tests.bluez.lab.vhci import Vhci

if TYPE_CHECKING:
    from tests.bluez.lab.air import Ether

ADDRESS = "B8:27:EB:00:00:01"
"""What a Raspberry Pi's adapter looks like."""


class Adapter:
    """One adapter, which can be pulled out and plugged in again: the kernel then numbers it anew.

    Args:
        ether: what it hears.
        address: by which BlueZ knows it, whatever its number.
    """

    def __init__(self, ether: Ether, address: str = ADDRESS) -> None:
        self.ether = ether
        self.address = address
        self.controller: HostController | None = None
        self._vhci = Vhci()

    @property
    def name(self) -> str:
        """Its name while it is plugged in, such as hci0."""
        return f"hci{self._vhci.index}"

    @property
    def path(self) -> str:
        """The path of BlueZ's object for it while it is plugged in."""
        return f"/org/bluez/{self.name}"

    async def plug(self) -> None:
        """Plug it in and have it powered on."""
        self._vhci = Vhci()
        self.controller = HostController(
            self.address, host_sink=self._vhci, link=self.ether, public_address=self.address
        )
        self._vhci.receive = self.controller.on_packet
        await self._vhci.open()
        await self._powered_on()

    async def unplug(self) -> None:
        """Pull it out."""
        if self.controller is not None:
            controller, self.controller = self.controller, None
            controller.silence()
            self.ether.remove_controller(controller)
            await self._vhci.close()

    async def power(self, *, on: bool) -> None:
        """Have BlueZ power it on or off, as someone at a terminal would."""
        async with system_bus() as bus:
            assert await power(bus, self.path, on=on)

    async def _powered_on(self) -> None:
        async with system_bus() as bus:
            with anyio.fail_after(15):
                while not (await _address(bus, self.path) == self.address and await power(bus, self.path, on=True)):  # noqa: ASYNC110 - what is waited for has no event of its own
                    await anyio.sleep(0.05)


@asynccontextmanager
async def virtual_adapter(ether: Ether, address: str = ADDRESS):
    """Plug an adapter in, powered on, for the length of the context."""
    adapter = Adapter(ether, address)
    try:
        await adapter.plug()
        yield adapter
    finally:
        await adapter.unplug()


@asynccontextmanager
async def system_bus():
    """Connect to the D-Bus system bus for the length of the context."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        yield bus
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


async def _address(bus: MessageBus, path: str) -> str | None:
    """Return the address of the adapter that BlueZ has at this path."""
    reply = await bus.call(
        Message(
            destination="org.bluez",
            path=path,
            interface="org.freedesktop.DBus.Properties",
            member="Get",
            signature="ss",
            body=["org.bluez.Adapter1", "Address"],
        )
    )
    return unpack_variants(reply.body[0]) if reply.message_type is MessageType.METHOD_RETURN else None
