"""What the virtual radio sends and hears through: twins in this process, or (see `airsocket`) in another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.abc

from drivers.virtual.peripheral import Greeting

if TYPE_CHECKING:
    from drivers.base import Advertisement
    from drivers.virtual.peripheral import GattTable, Twin

ADVERTISING_INTERVAL = 1.0
"""Seconds between two advertisements of a virtual lock."""

MTU = 247
"""The ATT MTU of a virtual connection, as most locks and BlueZ agree on."""

_ATT_HEADER = 3
"""Bytes of the MTU that a notification's header takes (Bluetooth Core 5.4, vol 3 part F, 3.4.7.1)."""


class Receiver(Protocol):
    """The connecting side, as the air sees it. Calls are plain and quick."""

    def notified(self, characteristic: str, data: bytes) -> None:
        """Take a notification or indication."""

    def dropped(self) -> None:
        """Learn that the connection was ended by the other side. Called at most once, and never after `close`."""


class Connection(Protocol):
    """The connecting side's hold on a connection."""

    gatt: GattTable
    mtu: int

    async def read(self, characteristic: str) -> bytes:
        """Read a value.

        Raises:
            AttError: the peripheral refuses.
            ConnectionError: the connection has ended.
        """
        ...

    async def write(self, characteristic: str, data: bytes) -> None:
        """Write a value; returns once the peripheral has acknowledged it.

        Raises:
            AttError: the peripheral refuses.
            ConnectionError: the connection has ended; the peripheral may have taken the value.
        """

    async def subscribe(self, characteristic: str) -> None:
        """Let the peripheral know that its notifications are listened to.

        Raises:
            ConnectionError: the connection has ended.
        """

    async def close(self) -> None:
        """End the connection. May be called more than once."""


class Air(Protocol):
    """The way to virtual locks."""

    async def run(
        self,
        heard: Callable[[Advertisement], None],
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Carry, calling `heard` with each advertisement, about one a second and lock. Ends only by cancellation."""

    async def connect(self, address: str, receiver: Receiver) -> Connection:
        """Connect to a virtual lock.

        Raises:
            ConnectionError: it refuses, is out of range, or there is none of that address.
        """
        ...


class LocalAir:
    """Twins in this process, by their upper-case address. Runs them."""

    def __init__(self, twins: Mapping[str, Twin]) -> None:
        self.twins = twins
        self._held: set[str] = set()

    async def run(
        self,
        heard: Callable[[Advertisement], None],
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run the twins, calling `heard` with each one's advertisement every second. Ends only by cancellation."""
        async with anyio.create_task_group() as tasks:
            for twin in self.twins.values():
                await tasks.start(twin.run)
            self._advertise(heard)
            task_status.started()
            while True:
                await anyio.sleep(ADVERTISING_INTERVAL)
                self._advertise(heard)

    async def connect(self, address: str, receiver: Receiver) -> Connection:
        """Connect to a twin.

        Raises:
            ConnectionRefusedError: it refuses, is held by another central, or there is none of that address.
        """
        await anyio.lowlevel.checkpoint()
        twin = self.twins.get(address)
        if twin is None:
            raise ConnectionRefusedError(f"There is no virtual lock at {address}")
        if address in self._held:
            raise ConnectionRefusedError("It is held by another central")
        connection = _LocalConnection(twin, receiver, lambda: self._held.discard(address))
        twin.connected(connection)
        self._held.add(address)
        return connection

    def _advertise(self, heard: Callable[[Advertisement], None]) -> None:
        for twin in self.twins.values():
            if (advertisement := twin.advertisement()) is not None:
                heard(advertisement)


class _LocalConnection:
    """Both ends in one: the twin's `Central` and the receiver's `Connection`."""

    def __init__(self, twin: Twin, receiver: Receiver, ended: Callable[[], None]) -> None:
        self.gatt = twin.gatt
        self.mtu = MTU
        self._twin = twin
        self._receiver = receiver
        self._ended = ended
        self._open = True

    def notify(self, characteristic: str, data: bytes) -> None:
        if self._open:
            self._receiver.notified(characteristic, data[: self.mtu - _ATT_HEADER])

    def drop(self) -> None:
        if self._open:
            self._end()
            self._receiver.dropped()

    async def read(self, characteristic: str) -> bytes:
        await anyio.lowlevel.checkpoint()
        self._check()
        value = self._twin.read(characteristic)
        self._check()
        return value

    async def write(self, characteristic: str, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        self._check()
        self._twin.write(characteristic, data)
        self._check()

    async def subscribe(self, characteristic: str) -> None:
        await anyio.lowlevel.checkpoint()
        self._check()
        if isinstance(self._twin, Greeting):
            self._twin.subscribed(characteristic)

    async def close(self) -> None:
        if self._open:
            self._end()

    def _end(self) -> None:
        self._open = False
        self._ended()
        self._twin.disconnected(self)

    def _check(self) -> None:
        if not self._open:
            raise ConnectionResetError("The connection has ended")
