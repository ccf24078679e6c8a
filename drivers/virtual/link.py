"""A link to a virtual lock in the same process, without any Bluetooth library: the contract's fake.

Faults are armed on the link: what is written or notified can be changed, lost, doubled or made to end the link.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectSendStream

from drivers.base import AttRefused, LinkLost
from drivers.virtual.peripheral import AttError, Greeting

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.virtual.peripheral import Twin

MTU = 247
BACKLOG = 1024
"""Notifications that may wait to be read; a reader that lets more wait loses the link."""


def _unchanged(_characteristic: str, data: bytes) -> Iterable[bytes]:
    return (data,)


class TwinLink:
    """A `drivers.base.Link` to a twin, and the twin's `Central`. Pure anyio: it runs under virtual time."""

    def __init__(self, twin: Twin, *, mtu: int = MTU) -> None:
        """Take a twin that runs; `connect` connects to it."""
        self._twin = twin
        self._mtu = mtu
        self._open = False
        self._readers: list[tuple[str, MemoryObjectSendStream[bytes]]] = []
        self.on_write: Callable[[str, bytes], Iterable[bytes]] = _unchanged
        """What the lock gets of a write: `(characteristic, data)` to any number of values. May call `drop`."""
        self.on_notify: Callable[[str, bytes], Iterable[bytes]] = _unchanged
        """What the host gets of a notification, likewise."""

    @classmethod
    @contextmanager
    def connect(cls, twin: Twin, *, mtu: int = MTU) -> Generator[TwinLink]:
        """Connect for the length of the context.

        Raises:
            LinkLost: the lock does not take a connection now.
        """
        link = cls(twin, mtu=mtu)
        try:
            twin.connected(link)
        except ConnectionRefusedError as error:
            raise LinkLost("The lock did not take the connection.") from error
        link._open = True
        try:
            yield link
        finally:
            link.drop()

    @property
    def address(self) -> str:
        """The lock's Bluetooth address."""
        return self._twin.address

    @property
    def mtu(self) -> int:
        """The ATT MTU."""
        return self._mtu

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return self._open

    def has(self, characteristic: str) -> bool:
        """Tell whether the lock offers the characteristic."""
        self._check()
        return any(characteristic in service for service in self._twin.gatt.values())

    async def read(self, characteristic: str) -> bytes:
        """Read a characteristic's value."""
        await anyio.lowlevel.checkpoint()
        self._check()
        try:
            return self._twin.read(characteristic)
        except AttError as error:
            raise AttRefused(error.code) from error

    async def write(self, characteristic: str, data: bytes, *, response: bool = True) -> None:
        """Write a value. With `response`, it raises if the link ends before the lock has acknowledged it."""
        await anyio.lowlevel.checkpoint()
        self._check()
        try:
            for value in self.on_write(characteristic, data):
                self._check()
                self._twin.write(characteristic, value)
        except AttError as error:
            raise AttRefused(error.code) from error
        if response:
            self._check()

    @asynccontextmanager
    async def subscribe(self, characteristic: str) -> AsyncGenerator[MemoryObjectReceiveStream[bytes], None]:
        """Subscribe to notifications; the stream ends when the link does."""
        await anyio.lowlevel.checkpoint()
        self._check()
        send, receive = anyio.create_memory_object_stream[bytes](BACKLOG)
        reader = (characteristic, send)
        self._readers.append(reader)
        if isinstance(self._twin, Greeting):
            self._twin.subscribed(characteristic)
        with send, receive:
            try:
                yield receive
            finally:
                if reader in self._readers:
                    self._readers.remove(reader)

    def notify(self, characteristic: str, data: bytes) -> None:
        """Take a notification from the twin."""
        if not self._open:
            return
        for value in self.on_notify(characteristic, data):
            self.deliver(characteristic, value)

    def deliver(self, characteristic: str, data: bytes) -> None:
        """Hand a value to the readers, whether or not the lock sent it."""
        for subscribed, send in tuple(self._readers):
            if subscribed == characteristic:
                try:
                    send.send_nowait(data)
                except anyio.WouldBlock:
                    self.drop()

    def drop(self) -> None:
        """End the connection, from whichever side."""
        if not self._open:
            return
        self._open = False
        for _, send in self._readers:
            send.close()
        self._readers.clear()
        self._twin.disconnected(self)

    def _check(self) -> None:
        if not self._open:
            raise LinkLost
