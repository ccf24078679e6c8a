"""The one GATT connection to a lock, over any bleak backend.

Rules:
1. Every bleak call of a connection is made here, through `Calls`: shielded from anyio's cancellation, bounded inside.
2. Every error of bleak and D-Bus is told as `LinkLost`, `Unreachable` or `RadioDown` (see `failures`).
3. bleak's callbacks end here: notifications become memory streams, a disconnection ends the streams and wakes
   whatever is in flight.
4. A link that was lost stays lost.
5. The end of a link is told at once; its last part, which takes BlueZ two seconds, may go on behind it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from bleak import BleakClient
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError

from bridge.ble.calls import Calls
from bridge.ble.failures import AlreadyNotifying, while_connected, while_connecting
from drivers.base import LinkLost

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.device import BLEDevice

T = TypeVar("T")

Behind = Callable[[Callable[[], Coroutine[None, None, None]]], bool]
"""Takes what is left to be done and sees to it that it is, or tells that it cannot."""

ANSWER = 10.0
"""Seconds in which an open link must answer a read, a write or a subscription. ATT itself gives up after 30 s."""

BACKLOG = 1024
"""Notifications that a reader may be behind before its stream is ended."""

_log = structlog.get_logger()

_ATT_HEADER = 3
"""Bytes of an ATT write that are not its value."""

_STALE = frozenset({0x01, 0x02, 0x03, 0x0A})
"""ATT errors that a device gives to whoever knows an older table of it: invalid handle, read or write not permitted,
attribute not found."""

CONNECT_GRACE = 1.0
"""Seconds in which a connect that is called off may still come about, to be closed properly.

Called off in the moment in which the lock answers, the kernel can forget a connection that the adapter and the lock go
on with; neither is then heard or reached again.
"""


class BleakLink:
    """An open link. Made by `connect`."""

    def __init__(
        self,
        device: BLEDevice,
        *,
        timeout: float,
        backend: type[BaseBleakClient] | None = None,
        ended: Callable[[], None] | None = None,
        behind: Behind | None = None,
    ) -> None:
        self._client = BleakClient(
            device, disconnected_callback=self._on_disconnected, timeout=timeout, backend=backend
        )
        self._on_end = ended
        self._behind = behind
        self._gone = anyio.Event()
        self._closing = False
        self._connected = False
        self._open = False
        self._calls = Calls()
        self._stale = False
        self._doubled = False
        self._characteristics: dict[str, BleakGATTCharacteristic] = {}
        self._subscribing = anyio.Lock()
        self._readers: dict[str, list[MemoryObjectSendStream[bytes]]] = {}

    @classmethod
    async def connect(
        cls,
        device: BLEDevice,
        *,
        within: float,
        backend: type[BaseBleakClient] | None = None,
        ended: Callable[[], None] | None = None,
        behind: Behind | None = None,
    ) -> BleakLink:
        """Connect and discover, taking at most `within` seconds and `CLEANUP` more to undo a failure.

        Whatever ends it, cancellation included, nothing of it is left behind when it returns, or `ended` is called.

        Args:
            device: as a scan found it, or as the backend takes it.
            within: seconds.
            backend: instead of the platform's own.
            ended: called once, when the connection has ended from whichever side, or did not come about.
            behind: given the last part of closing, to see to it; else `aclose` waits for it.

        Raises:
            Unreachable: the lock did not answer in time, or refused.
            RadioDown: no adapter can be used.
        """
        link = cls(device, timeout=within, backend=backend, ended=ended, behind=behind)
        try:
            await link._begin(within)
        except Exception as error:
            await link.aclose()
            raise while_connecting(error, within) from error
        except BaseException:
            await link.aclose()
            raise
        return link

    @property
    def address(self) -> str:
        """The lock's Bluetooth address, upper case with colons."""
        return self._client.address.upper()

    @property
    def is_open(self) -> bool:
        """Whether the connection still stands, as far as is known."""
        return self._open

    @property
    def mtu(self) -> int:
        """The ATT MTU as the platform tells it; 23, which every link has, where it does not.

        BlueZ may tell it a moment after the link is open.
        """
        sizes = (each.max_write_without_response_size for each in self._characteristics.values())
        return max(sizes, default=20) + _ATT_HEADER

    @property
    def stale(self) -> bool:
        """Whether the device gave answers that fit another table of characteristics than the one at hand."""
        return self._stale

    @property
    def doubled(self) -> bool:
        """Whether each value that the device notifies would be told twice."""
        return self._doubled

    async def ended(self) -> None:
        """Return once the link is gone, whoever ended it."""
        await self._gone.wait()

    def has(self, characteristic: str) -> bool:
        """Tell whether the connected device offers the characteristic (a full lower-case UUID)."""
        self._check()
        return characteristic in self._characteristics

    async def read(self, characteristic: str) -> bytes:
        """Read a characteristic's value.

        Raises:
            LinkLost: the link is gone, the lock is mute, or it refused.
        """
        found = self._find(characteristic)
        return bytes(await self._ask(lambda: self._client.read_gatt_char(found)))

    async def write(self, characteristic: str, data: bytes, *, response: bool = True) -> None:
        """Write a value; with `response`, return once the lock has acknowledged it.

        Raises:
            LinkLost: the link is gone, the lock is mute, or it refused. The lock may have taken the value.
        """
        found = self._find(characteristic)
        await self._ask(lambda: self._client.write_gatt_char(found, data, response=response))

    @asynccontextmanager
    async def subscribe(self, characteristic: str) -> AsyncGenerator[MemoryObjectReceiveStream[bytes], None]:
        """Subscribe to notifications or indications; the stream ends with the link, or if it is read too slowly.

        Raises:
            LinkLost: the link is gone, the lock is mute, or it refused.
        """
        found = self._find(characteristic)
        send, receive = anyio.create_memory_object_stream[bytes](BACKLOG)
        with send, receive:
            try:
                async with self._subscribing:
                    await self._add_reader(found, send)
                yield receive
            finally:
                with anyio.CancelScope(shield=True):
                    async with self._subscribing:
                        await self._remove_reader(found, send)

    def sever(self) -> None:
        """Take the link as lost: whoever uses it is told. The connection itself is left to `aclose`."""
        self._open = False
        self._gone.set()
        self._calls.end()
        for reader in [reader for readers in self._readers.values() for reader in readers]:
            reader.close()

    def abandon(self) -> None:
        """Take the link as lost and the connection as ended, as it is with an adapter that has gone."""
        self.sever()
        self._end()

    async def aclose(self) -> None:
        """Disconnect. Never raises; bounded in time; safe to call under cancellation and more than once."""
        self.sever()
        if self._closing:
            return
        self._closing = self._connected and self._behind is not None and self._behind(self._close)
        if not self._closing:
            await self._close()

    async def _close(self) -> None:
        if self._connected:  # else bleak has cleaned up what it began
            with anyio.CancelScope(shield=True):
                await self._disconnect()
        self._end()

    async def _begin(self, within: float) -> None:
        await self._calls.run(self._connect, within=within, grace=CONNECT_GRACE)
        # The first of several with one UUID, by handle; BlueZ lists them in no order.
        found = sorted(self._client.services.characteristics.items(), reverse=True)
        if not found:  # seen of BlueZ when the connection before was called off
            raise BleakError("the device shows no services")
        self._characteristics = {characteristic.uuid: characteristic for _, characteristic in found}
        self._open = True

    async def _connect(self) -> None:
        await self._client.connect()
        self._connected = True

    async def _disconnect(self) -> None:
        try:
            await Calls().run(self._client.disconnect, within=ANSWER)
        except Exception as error:  # noqa: BLE001 - told: there is nothing else that a caller could do
            _log.warning("link.disconnect_failed", address=self.address, error=type(error).__name__)

    async def _add_reader(self, characteristic: BleakGATTCharacteristic, send: MemoryObjectSendStream[bytes]) -> None:
        readers = self._readers.setdefault(characteristic.uuid, [])
        readers.append(send)
        if len(readers) == 1:
            await self._ask(lambda: self._client.start_notify(characteristic, self._on_notification))

    async def _remove_reader(
        self, characteristic: BleakGATTCharacteristic, send: MemoryObjectSendStream[bytes]
    ) -> None:
        readers = self._readers.get(characteristic.uuid, [])
        if send in readers:
            readers.remove(send)
        if readers or not self._open:
            return
        try:
            await self._ask(lambda: self._client.stop_notify(characteristic))
        except LinkLost as error:
            _log.info("link.unsubscribe_failed", address=self.address, error=error.message)

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        self._check()
        try:
            return await self._calls.run(call, within=ANSWER)
        except Exception as error:
            self._stale = self._stale or _tells_of_another_table(error)
            self._doubled = self._doubled or isinstance(error, AlreadyNotifying)
            raise while_connected(error, lost=not self._open) from error

    def _find(self, characteristic: str) -> BleakGATTCharacteristic:
        if not self.has(characteristic):
            self._stale = True
            raise LinkLost(f"The connected device does not offer the characteristic {characteristic}.")
        return self._characteristics[characteristic]

    def _check(self) -> None:
        if not self._open:
            raise LinkLost

    def _on_notification(self, characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        for reader in tuple(self._readers.get(characteristic.uuid, ())):
            try:
                reader.send_nowait(bytes(data))
            except anyio.WouldBlock:
                # A gap would be worse than an end: a fragment is missing from whatever follows.
                reader.close()
                _log.error("link.reader_too_slow", address=self.address, characteristic=characteristic.uuid)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                continue  # its reader has gone, or it was ended for being slow

    def _on_disconnected(self, _: BleakClient) -> None:
        if self._open:  # else `connect` or `aclose` sees to it: bleak may still be trying
            self.sever()
            self._end()

    def _end(self) -> None:
        if self._on_end is not None:
            ended, self._on_end = self._on_end, None
            ended()


def _tells_of_another_table(error: Exception) -> bool:
    if isinstance(error, BleakGATTProtocolError):
        return int(error.code) in _STALE
    return isinstance(error, BleakDBusError) and error.dbus_error == "org.freedesktop.DBus.Error.UnknownObject"
