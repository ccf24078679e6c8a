"""One Bluetooth adapter: its scan, what is heard with it, the links that it carries, and its health.

Rules:
1. One scan runs for as long as the adapter is up; nothing else scans. Connections are made from what it found.
2. An adapter is known by its address. Its number (hci0) is asked for each time: the kernel deals numbers anew.
3. What goes wrong makes this adapter unusable for a while, with a reason, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import structlog
from bleak.exc import BleakDBusError

from bridge.ble.bluetoothd import ADAPTER, Bluetoothd, Objects, Properties, choose_adapter, devices_at
from bridge.ble.claim import Claim
from bridge.ble.client import BluezClient
from bridge.ble.hearing import ALLOWANCE, Heard, Hearing
from bridge.ble.link import BleakLink
from bridge.ble.radio import Cause, RadioDown, Unreachable
from bridge.ble.rfkill import blocks
from bridge.ble.scan import ScanMode, scanning
from bridge.ble.vitals import Vitals
from drivers.base import Advertisement

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

    from bridge.ble.link import Behind
    from bridge.ble.scan import Scan
    from bridge.clock import Clock

DEAF = 10.0
"""Seconds after which a passive scan that heard nothing at all is made active: if the kernel refuses what BlueZ asks of
it for a passive scan, BlueZ tells nobody."""

CHECK = 2.0
"""Seconds between two looks at the adapter and at bluetoothd."""

FIRST_RETRY, LAST_RETRY = 1.0, 30.0
"""Seconds until scanning is tried again, doubling from the first to the last."""

_NO_RSSI = -127
"""What bleak gives where BlueZ has no signal strength, which it has for whatever advertises."""

_NO_OBJECT = frozenset(f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Object", "Interface", "Method"))
"""What bluetoothd says of an adapter that it has no more."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an adapter shares with its radio."""

    clock: Clock
    ours: Collection[str]
    """The upper-case addresses of our locks."""
    held: Callable[[], Collection[str]]
    """Of these, those that the radio has to do with now, through whichever adapter."""
    hear: Callable[[Advertisement], None]
    stir: Callable[[], None]
    """Called when the adapter came up or went down."""
    behind: Behind | None = None
    """See `BleakLink.connect`."""


class Adapter:
    """An adapter, whether or not it is plugged in.

    Args:
        around: what it shares with its radio.
        wanted: its address; None for the first that is powered.
        mode: how it scans.
        claim: keeps other bridges off it.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        wanted: str | None = None,
        mode: ScanMode = "active",
        claim: Claim | None = None,
    ) -> None:
        self.address = (wanted or "").upper()
        """Upper case; empty for an adapter that was not wished for by its address, until one was found."""
        self.path: str | None = None
        """Where bluetoothd shows it."""
        self.vitals = Vitals(around.clock)
        self.down: RadioDown | None = RadioDown("The radio has not started yet.")
        """Why it cannot be used; None if it can."""
        self._around = around
        self._wanted = wanted
        self._mode: ScanMode = mode
        self._claim = claim
        self._bluetoothd: Bluetoothd | None = None
        self._scan: Scan | None = None
        self._passive = False
        self._turn = -1
        self._again = anyio.Event()
        self._heard = Hearing(around.ours)
        self._heard_at: float | None = None
        self._links: set[BleakLink] = set()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Scan, watch the adapter, and start again when either fails. Ends only by cancellation.

        Started once leftovers are disconnected and scanning runs, or the adapter was found to be unusable.
        """
        started: Callable[[], None] = task_status.started
        retry = FIRST_RETRY
        try:
            while True:
                try:
                    async with Bluetoothd.reach() as self._bluetoothd:
                        while True:
                            async with self._scanning(self._bluetoothd) as owner:
                                started()
                                started, retry = _nothing, FIRST_RETRY
                                await self._watch(self._bluetoothd, owner)
                except RadioDown as down:
                    self._fail(down)
                    if down.cause is Cause.GONE and self._passive:  # it may be what it ended from
                        self._scan_actively("bluetoothd ended during a passive scan.")
                started()
                started = _nothing
                with anyio.move_on_after(retry):
                    await self._again.wait()
                self._again = anyio.Event()
                retry = min(retry * 2, LAST_RETRY)
        finally:
            self._bluetoothd, self.down = None, RadioDown("The radio has stopped.")
            if self._claim is not None:
                self._claim.release()

    @property
    def usable(self) -> bool:
        """Whether it is up and scanning, but for a moment in which a scan is begun anew."""
        return self.down is None

    @property
    def listening_since(self) -> float | None:
        """Since when it is told of whatever advertises; None if it is not: a passive scan tells of what changes."""
        return None if self._passive else self.vitals.listening_since

    @property
    def linked(self) -> bool:
        """Whether a link stands on it, or has not come to its end yet."""
        return bool(self._links)

    def heard(self, address: str) -> Heard | None:
        """Tell when it last heard a device; None if it has not, or too long ago to remember."""
        return self._heard.get(address)

    def knows(self, address: str) -> bool:
        """Tell whether a connection to the device can be tried."""
        return self._scan is not None and self._scan.device(address) is not None

    def restart_scan(self) -> None:
        """Have the scan stopped and begun again soon, or a failed one tried again."""
        self._again.set()

    def sever(self) -> None:
        """Take all links as lost: their users are told, and their slots are free."""
        for link in tuple(self._links):
            link.abandon()

    async def connect(self, address: str, *, within: float, ended: Callable[[BleakLink | None], None]) -> BleakLink:
        """Connect to a device that it `knows`.

        Args:
            address: upper case.
            within: seconds.
            ended: called once, with the link if there was one, when it has ended or did not come about.

        Raises:
            RadioDown: the adapter cannot be used.
            Unreachable: the lock did not answer in time, or refused.
        """
        made: list[BleakLink] = []

        def over() -> None:
            self._links.difference_update(made)
            ended(made[0] if made else None)

        if self._scan is None or (device := self._scan.device(address)) is None:
            ended(None)
            raise self.down or Unreachable("The lock has not been heard for too long to connect to it.")
        with self.vitals.connecting(address):
            link = await BleakLink.connect(
                device, within=within, ended=over, behind=self._around.behind, backend=BluezClient
            )
        made.append(link)
        self._links.add(link)
        known = self._heard.get(address)
        self._note(address, known.rssi if known else None)
        _log.info("radio.connected", address=address, adapter=self.address)
        return link

    async def renew(self, address: str) -> None:
        """Have BlueZ end what it holds of a device and forget what it knows of it, unless it is bonded to it.

        The device has to be heard again to be connected to.

        Raises:
            RadioDown: BlueZ cannot be asked.
        """
        bluetoothd, path = self._bluetoothd, self.path
        if bluetoothd is None or path is None:
            raise self.down or RadioDown("The Bluetooth adapter is not in use.")
        device = f"{path}/dev_{address.replace(':', '_')}"
        _log.info("radio.renewed", address=address, adapter=self.address)
        with _forgotten_already():
            await bluetoothd.disconnect(device)
        with _forgotten_already():
            if not (await bluetoothd.device(device)).get("Paired"):
                await bluetoothd.remove(path, device)
        self.restart_scan()  # BlueZ tells of a device once a round

    @asynccontextmanager
    async def _scanning(self, bluetoothd: Bluetoothd) -> AsyncGenerator[str, None]:
        """Scan, and give out which bluetoothd it is."""
        self._again = anyio.Event()
        owner = await bluetoothd.owner()
        objects = await bluetoothd.objects()
        path = await self._choose(objects)
        name = path.rpartition("/")[2]
        if self._claim is not None:
            self._claim.take(name)
        await bluetoothd.on_departure(path, self.restart_scan)  # it may be back before it is looked at again
        await self._let_go_of_leftovers(bluetoothd, objects)
        self._turn += 1
        async with scanning(name, self._mode, self._on_advertisement, turn=self._turn) as scan:
            self._scan, self._passive, self.down = scan, scan.passive, None
            self.vitals.up()
            self._around.stir()
            _log.info("radio.scanning", adapter=self.address, name=name, passive=scan.passive)
            try:
                yield owner
            except RadioDown as down:
                self._fail(down)  # stopping what is left of the scan may take a while
                raise
            finally:
                self._scan = None

    async def _choose(self, objects: Objects) -> str:
        self.path = None
        try:
            self.path = choose_adapter(objects, [self._wanted] if self._wanted else ())
        except RadioDown as down:
            if down.cause is Cause.OFF:
                candidates = self._candidates(objects)
                self.path = candidates[0]  # to be powered on
                for path in candidates:
                    await _check_switches(path.rpartition("/")[2])
            raise
        self.address = str(objects[self.path][ADAPTER]["Address"]).upper()
        return self.path

    def _candidates(self, objects: Objects) -> list[str]:
        return [
            path
            for path, interfaces in objects.items()
            if ADAPTER in interfaces
            and (self._wanted is None or str(interfaces[ADAPTER]["Address"]).upper() == self._wanted.upper())
        ]

    async def _let_go_of_leftovers(self, bluetoothd: Bluetoothd, objects: Objects) -> None:
        """Disconnect our locks from whoever held them before; a connection that is still being made ends with it."""
        async with anyio.create_task_group() as tasks:
            for path in devices_at(objects, set(self._around.ours) - set(self._around.held())):
                tasks.start_soon(_let_go, bluetoothd, path)

    async def _watch(self, bluetoothd: Bluetoothd, owner: str) -> None:
        """Raise `RadioDown` once the adapter or bluetoothd is not what it was; return when to scan anew."""
        while True:
            with anyio.move_on_after(CHECK):
                await self._again.wait()
                return
            if await bluetoothd.owner() != owner:
                raise RadioDown("The Bluetooth service of this machine (bluetoothd) was restarted.", Cause.GONE)
            await self._look(bluetoothd)
            if self._passive and (reason := self._is_not_enough()):
                self._scan_actively(reason)
                return

    async def _look(self, bluetoothd: Bluetoothd) -> None:
        path = self.path or ""
        properties: Properties = {}
        try:
            properties = await bluetoothd.adapter(path)
        except RadioDown as error:
            if not isinstance(error.__cause__, BleakDBusError) or error.__cause__.dbus_error not in _NO_OBJECT:
                raise
        if str(properties.get("Address", "")).upper() != self.address:
            self.path = None
            raise RadioDown("The Bluetooth adapter was unplugged.", Cause.ABSENT)
        if not properties.get("Powered"):
            await _check_switches(path.rpartition("/")[2])
            raise RadioDown("The Bluetooth adapter is powered off.", Cause.OFF)

    def _is_not_enough(self) -> str | None:
        """Tell why a passive scan does not do, if so: it hears nothing at all, or (auto) not all of our locks."""
        since, now = self.vitals.listening_since, self._around.clock.boottime()
        if since is None:
            return None
        if now - max(since, self._heard_at or since) > DEAF:
            return "Nothing is heard passively."
        last = [heard.at if (heard := self._heard.get(each)) else since for each in self._around.ours]
        if self._mode == "auto" and any(now - max(at, since) > ALLOWANCE for at in last):
            return "A lock is not heard passively."
        return None

    def _scan_actively(self, reason: str) -> None:
        """Scan actively from now on."""
        self._mode, self._passive = "active", False
        _log.warning("radio.scanning_actively", adapter=self.address, reason=reason)

    def _fail(self, down: RadioDown) -> None:
        if self.down is None or down.message != self.down.message:
            _log.warning("radio.down", adapter=self.address, cause=down.cause.value, reason=down.message)
        self.down = down
        self.vitals.down(down)
        self.sever()  # bluetoothd, if it is gone, tells them nothing
        self._around.stir()

    def _on_advertisement(self, device: BLEDevice, data: AdvertisementData) -> None:
        if data.rssi == _NO_RSSI:
            return  # a property changed of a device that is not on the air
        address = device.address.upper()
        self._heard_at = self._around.clock.boottime()
        self.vitals.heard(address)
        self._note(address, data.rssi)
        self._around.hear(
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
        self._heard.note(address, Heard(self._around.clock.boottime(), rssi))


@contextmanager
def _forgotten_already() -> Generator[None, None, None]:
    """Pass over that BlueZ has no such device or connection; what ails the adapter is raised."""
    try:
        yield
    except RadioDown as error:
        if error.cause is not Cause.SCAN:
            raise


async def _check_switches(name: str) -> None:
    if any(await blocks(name)):
        raise RadioDown("The Bluetooth adapter is blocked by rfkill.", Cause.BLOCKED)


async def _let_go(bluetoothd: Bluetoothd, path: str) -> None:
    try:
        await bluetoothd.disconnect(path)
    except RadioDown as error:
        _log.info("radio.leftover_not_disconnected", device=path, reason=error.message)


def _nothing() -> None:
    pass
