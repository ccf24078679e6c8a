"""What is asked of bluetoothd beside bleak: its objects, its adapters, and to let go of a device."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from bleak.exc import BleakDBusError
from dbus_fast import BusType, Message, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from bridge.ble.calls import Calls
from bridge.ble.failures import while_scanning
from bridge.ble.radio import Cause, RadioDown

Properties = Mapping[str, Any]
Objects = Mapping[str, Mapping[str, Properties]]
"""Object path to interface to its properties, as `GetManagedObjects` tells them."""

ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"

ANSWER = 10.0
"""Seconds in which bluetoothd must answer. Disconnecting takes it two."""


class Bluetoothd:
    """bluetoothd, over a D-Bus connection of its own. Made by `reach`; what goes wrong is `RadioDown`."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._departures: dict[str, Callable[[], None]] = {}

    @classmethod
    @asynccontextmanager
    async def reach(cls) -> AsyncGenerator[Bluetoothd, None]:
        """Connect to the system's D-Bus.

        Raises:
            RadioDown: there is none, or the bridge may not use it.
        """
        bus = MessageBus(bus_type=BusType.SYSTEM)
        try:
            try:
                await Calls().run(bus.connect, within=ANSWER)
            except Exception as error:
                raise while_scanning(error) from error
            yield cls(bus)
        finally:
            bus.disconnect()

    async def owner(self) -> str:
        """Return the D-Bus name of the running bluetoothd: after a restart it is another."""
        (name,) = await self._ask(
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "GetNameOwner",
            "org.bluez",
            destination="org.freedesktop.DBus",
        )
        return str(name)

    async def objects(self) -> Objects:
        """Return every adapter and device with their properties."""
        (objects,) = await self._ask("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        return cast("Objects", objects)

    async def adapter(self, path: str) -> Properties:
        """Return an adapter's properties."""
        (properties,) = await self._ask(path, "org.freedesktop.DBus.Properties", "GetAll", ADAPTER)
        return cast("Properties", properties)

    async def device(self, path: str) -> Properties:
        """Return a device's properties."""
        (properties,) = await self._ask(path, "org.freedesktop.DBus.Properties", "GetAll", DEVICE)
        return cast("Properties", properties)

    async def disconnect(self, path: str) -> None:
        """Have a device disconnected."""
        await self._ask(path, DEVICE, "Disconnect")

    async def remove(self, adapter: str, device: str) -> None:
        """Have BlueZ forget a device: its connection, what is cached of it, and its bond if it has one."""
        await self._ask(adapter, ADAPTER, "RemoveDevice", device, signature="o")

    async def power(self, adapter: str, *, on: bool) -> None:
        """Power an adapter on or off."""
        powered = Variant("b", on)
        await self._ask(adapter, "org.freedesktop.DBus.Properties", "Set", ADAPTER, "Powered", powered, signature="ssv")

    async def on_departure(self, adapter: str, gone: Callable[[], None]) -> None:
        """Call `gone`, and no other, whenever an adapter is unplugged or powered off, for however short a time."""
        if not self._departures:
            self._bus.add_message_handler(self._on_message)
        if adapter not in self._departures:
            await self._match("interface='org.freedesktop.DBus.ObjectManager',member='InterfacesRemoved'")
            await self._match(
                f"path='{adapter}',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'"
            )
        self._departures[adapter] = gone

    def _on_message(self, message: Message) -> None:
        for adapter, gone in self._departures.items():
            if _departs(message, adapter):
                gone()

    async def _match(self, rule: str) -> None:
        """Have signals of bluetoothd's delivered."""
        rule = f"type='signal',sender='org.bluez',{rule}"
        bus = "org.freedesktop.DBus"
        await self._ask("/org/freedesktop/DBus", bus, "AddMatch", rule, destination=bus)

    async def _ask(
        self,
        path: str,
        interface: str,
        member: str,
        *body: str | Variant,
        signature: str | None = None,
        destination: str = "org.bluez",
    ) -> list[Any]:
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature="s" * len(body) if signature is None else signature,
            body=list(body),
        )
        try:
            reply = await Calls().run(lambda: self._bus.call(message), within=ANSWER)
            if reply.message_type is MessageType.ERROR:
                raise BleakDBusError(reply.error_name or "", reply.body)  # noqa: TRY301 - told as bleak's own are
        except Exception as error:
            raise while_scanning(error) from error
        return cast("list[Any]", unpack_variants(reply.body))


def _departs(message: Message, adapter: str) -> bool:
    """Tell whether a signal says that the adapter is unplugged or powered off."""
    if message.member == "InterfacesRemoved":
        path, interfaces = cast("tuple[str, list[str]]", message.body)
        return path == adapter and ADAPTER in interfaces
    if message.member != "PropertiesChanged" or message.path != adapter:
        return False
    interface, changed, _ = cast("tuple[str, dict[str, Variant], list[str]]", message.body)
    return interface == ADAPTER and "Powered" in changed and not changed["Powered"].value


def choose_adapter(objects: Objects, wanted: Sequence[str]) -> str:
    """Return the path of the adapter to use, whatever number the kernel gave it.

    Args:
        objects: all that bluetoothd has.
        wanted: addresses of adapters, the best first; empty for the first that is powered.

    Raises:
        RadioDown: none can be used.
    """
    adapters = {path: interfaces[ADAPTER] for path, interfaces in objects.items() if ADAPTER in interfaces}
    if not adapters:
        raise RadioDown("This machine has no Bluetooth adapter.", Cause.ABSENT)
    if not wanted:
        ranked = sorted(adapters, key=_number)
    else:
        paths = {str(properties["Address"]).upper(): path for path, properties in adapters.items()}
        ranked = [paths[address.upper()] for address in wanted if address.upper() in paths]
    if not ranked:
        raise RadioDown(f"No Bluetooth adapter has the address {' or '.join(wanted)}.", Cause.ABSENT)
    for path in ranked:
        if adapters[path].get("Powered"):
            return path
    raise RadioDown("The Bluetooth adapter is powered off.", Cause.OFF)


def devices_at(objects: Objects, addresses: Collection[str]) -> list[str]:
    """Return the paths of the devices that have one of these upper-case addresses, on whichever adapter."""
    devices = {path: interfaces[DEVICE] for path, interfaces in objects.items() if DEVICE in interfaces}
    return [path for path, properties in devices.items() if str(properties["Address"]).upper() in addresses]


def _number(path: str) -> tuple[int, str]:
    digits = re.search(r"\d+$", path)
    return (int(digits.group()) if digits else 0, path)
