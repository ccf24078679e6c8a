"""The radio over BlueZ: one owner of scanning, connection slots, and a bluetoothd that may come and go.

Rules:
1. One scan runs for as long as the adapter is up; nothing else scans. Connections are made from what it found.
2. A lock is called silent only after a healthy scan has run for `ALLOWANCE` seconds without hearing it. While a
   connection is being made BlueZ pauses scanning, so that time does not count.
3. What bluetoothd does wrong makes the radio unusable for a while, never the bridge.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import structlog
from bleak import BleakScanner
from bleak.exc import BleakError

from bridge.ble.bluetoothd import Bluetoothd, Objects, choose_adapter, devices_at
from bridge.ble.calls import Calls
from bridge.ble.failures import while_scanning
from bridge.ble.fanout import Fanout
from bridge.ble.link import BleakLink
from bridge.ble.radio import Presence, RadioDown, Unreachable
from drivers.base import Advertisement

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

    from bridge.clock import Clock

ALLOWANCE = 30.0
"""Seconds of healthy scanning after which an unheard lock counts as silent.

The kernel scans in rounds of ten seconds, five apart, and tells of each device once a round.
"""

CHECK = 2.0
"""Seconds between two looks at the adapter and at bluetoothd."""

FIRST_RETRY, LAST_RETRY = 1.0, 30.0
"""Seconds until scanning is tried again, doubling from the first to the last."""

ATTEMPTS = 4
"""How often a connection is tried, within its time, when BlueZ says that it failed.

BlueZ forgets a device when a connection to it is called off, and tells that one has ended a little before it has.
Nothing has been sent to the lock by then.
"""

AGAIN = 0.25
"""Seconds until the next try."""

START = 10.0
"""Seconds in which BlueZ must start or stop a scan."""

_REMEMBERED = 1024
"""Addresses whose last hearing is kept. Phones around change theirs every quarter of an hour."""

_NO_RSSI = -127
"""What bleak gives where BlueZ has no signal strength, which it has for whatever advertises."""

_log = structlog.get_logger()


class BluezRadio:
    """A radio over BlueZ.

    Args:
        clock: gives boot time.
        adapters: addresses of the adapters to use, the best first; empty for the first that is powered.
        max_connections: links that may be open at once; a Raspberry Pi's adapter carries about seven.
        ours: the upper-case addresses of our locks, which nobody else on this machine connects to: what
            holds one when scanning starts is left over from a run that was killed.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        adapters: Sequence[str] = (),
        max_connections: int = 3,
        ours: Collection[str] = (),
    ) -> None:
        self._clock = clock
        self._adapters = adapters
        self._ours = ours
        self._slots = anyio.CapacityLimiter(max_connections)
        self._scanner: BleakScanner | None = None
        self._down = RadioDown("The radio has not started yet.")
        self._healthy_since: float | None = None
        self._connecting = 0
        self._heard: dict[str, Presence] = {}
        self._listeners = Fanout[Advertisement]()
        self._links: set[BleakLink] = set()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Scan, watch the adapter, and start again when either fails. Ends only by cancellation.

        Started once leftovers are disconnected and scanning runs, or the adapter was found to be unusable.
        """
        started: Callable[[], None] = task_status.started
        retry = FIRST_RETRY
        while True:
            try:
                async with Bluetoothd.reach() as bluetoothd, self._scanning(bluetoothd) as adapter:
                    started()
                    started = _nothing
                    retry = FIRST_RETRY
                    await self._watch(bluetoothd, adapter)
            except RadioDown as down:
                if down.message != self._down.message:
                    _log.warning("radio.down", reason=down.message)
                self._down = down
                for link in self._links:  # bluetoothd, if it is gone, tells them nothing
                    link.sever()
            started()
            started = _nothing
            await anyio.sleep(retry)
            retry = min(retry * 2, LAST_RETRY)

    @property
    def usable(self) -> bool:
        """Whether the adapter is up and scanning."""
        return self._scanner is not None

    def presence(self, address: str) -> Presence:
        """Tell when the lock was last heard."""
        now = self._clock.boottime()
        known = self._heard.get(address, Presence())
        if any(link.address == address and link.is_open for link in self._links):
            return Presence(now, known.rssi)
        if known.heard_at is None or self._healthy_since is None:
            return known
        return Presence(known.heard_at, known.rssi, silent=now - max(known.heard_at, self._healthy_since) > ALLOWANCE)

    def advertisements(self) -> AbstractAsyncContextManager[ObjectReceiveStream[Advertisement]]:
        """Listen to what is on the air from now on. A slow listener loses the oldest."""
        return self._listeners.listen()

    async def connect(self, address: str, *, within: float) -> BleakLink:
        """Connect to a lock, waiting for a free slot and for the lock to be heard, all of it within the time.

        Raises:
            RadioDown: no adapter can be used.
            Unreachable: the lock was not heard, did not answer in time, or refused.
        """
        deadline = anyio.current_time() + within
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._connect(address, deadline)
            except Unreachable as error:
                if not isinstance(error.__cause__, BleakError) or anyio.current_time() + AGAIN > deadline:
                    raise
                _log.info("radio.connect_again", address=address, reason=error.message)
            await anyio.sleep(AGAIN)
        return await self._connect(address, deadline)

    async def _connect(self, address: str, deadline: float) -> BleakLink:
        if self._scanner is None:
            raise RadioDown(self._down.message)
        slot = object()
        await self._take(slot, deadline - anyio.current_time())
        release = partial(self._slots.release_on_behalf_of, slot)
        try:
            device = await self._found(address, deadline - anyio.current_time())
        except BaseException:
            release()
            raise
        with self._pausing_scan():
            link = await BleakLink.connect(device, within=deadline - anyio.current_time(), ended=release)
        self._links = {each for each in self._links if each.is_open} | {link}
        self._note(address, self._heard.get(address, Presence()).rssi)
        return link

    async def _take(self, slot: object, within: float) -> None:
        try:
            with anyio.fail_after(within):
                await self._slots.acquire_on_behalf_of(slot)
        except TimeoutError as error:
            raise Unreachable("All connections that the adapter may hold are in use.") from error

    async def _found(self, address: str, within: float) -> BLEDevice:
        try:
            with anyio.fail_after(within):
                async with self._listeners.listen() as heard:
                    while (device := self._device(address)) is None:
                        await heard.receive()
        except TimeoutError as error:
            raise Unreachable(
                f"The lock was not heard within {within:.0f} s: out of range or without power."
            ) from error
        return device

    def _device(self, address: str) -> BLEDevice | None:
        if self._scanner is None:
            raise RadioDown(self._down.message)
        found = self._scanner.discovered_devices_and_advertisement_data.get(address)
        return found[0] if found else None

    @contextmanager
    def _pausing_scan(self) -> Generator[None, None, None]:
        self._connecting += 1
        self._healthy_since = None
        try:
            yield
        finally:
            self._connecting -= 1
            if self._scanner is not None and not self._connecting:
                self._healthy_since = self._clock.boottime()

    @asynccontextmanager
    async def _scanning(self, bluetoothd: Bluetoothd) -> AsyncGenerator[str, None]:
        """Scan on the adapter whose path is given out."""
        objects = await bluetoothd.objects()
        adapter = choose_adapter(objects, self._adapters)
        await self._let_go_of_leftovers(bluetoothd, objects)
        scanner = BleakScanner(
            self._on_advertisement,
            bluez={"adapter": adapter.rpartition("/")[2], "filters": {"DuplicateData": True}},
        )
        try:
            await _start(scanner)
            self._scanner = scanner
            if not self._connecting:
                self._healthy_since = self._clock.boottime()
            _log.info("radio.scanning", adapter=adapter)
            yield adapter
        finally:
            self._scanner = self._healthy_since = None
            await _stop(scanner)

    async def _let_go_of_leftovers(self, bluetoothd: Bluetoothd, objects: Objects) -> None:
        """Disconnect our locks from whoever held them before; a connection that is still being made ends with it."""
        held = {link.address for link in self._links if link.is_open}
        for path in devices_at(objects, set(self._ours) - held):
            try:
                await bluetoothd.disconnect(path)
            except RadioDown as error:
                _log.info("radio.leftover_not_disconnected", device=path, reason=error.message)

    async def _watch(self, bluetoothd: Bluetoothd, adapter: str) -> None:
        """Raise `RadioDown` once the adapter or bluetoothd is not what it was; never return."""
        owner = await bluetoothd.owner()
        while True:
            await anyio.sleep(CHECK)
            if await bluetoothd.owner() != owner:
                raise RadioDown("The Bluetooth service of this machine (bluetoothd) was restarted.")
            if not (await bluetoothd.adapter(adapter)).get("Powered"):
                raise RadioDown("The Bluetooth adapter is powered off.")

    def _on_advertisement(self, device: BLEDevice, data: AdvertisementData) -> None:
        if data.rssi == _NO_RSSI:
            return  # a property changed of a device that is not on the air
        address = device.address.upper()
        self._note(address, data.rssi)
        self._listeners.send(
            Advertisement(
                address=address,
                name=data.local_name,
                rssi=data.rssi,
                manufacturer_data=data.manufacturer_data,
                service_data=data.service_data,
                service_uuids=tuple(data.service_uuids),
            )
        )

    def _note(self, address: str, rssi: int | None) -> None:
        """Note that a device was heard now, forgetting the stranger that was not heard for longest."""
        self._heard.pop(address, None)
        self._heard[address] = Presence(self._clock.boottime(), rssi)
        if len(self._heard) > _REMEMBERED:
            stranger = next((each for each in self._heard if each not in self._ours), address)
            del self._heard[stranger]


async def _start(scanner: BleakScanner) -> None:
    """Start a scan; no cancellation cuts it short, for half a start is a scan that nobody stops."""
    with anyio.CancelScope(shield=True):
        try:
            await Calls().run(scanner.start, within=START)
        except Exception as error:
            raise while_scanning(error) from error


async def _stop(scanner: BleakScanner) -> None:
    with anyio.CancelScope(shield=True):
        try:
            await Calls().run(scanner.stop, within=START)
        except Exception as error:  # noqa: BLE001 - told: the scan ends with bluetoothd or its adapter anyway
            _log.info("radio.scan_not_stopped", error=while_scanning(error).message)


def _nothing() -> None:
    pass
