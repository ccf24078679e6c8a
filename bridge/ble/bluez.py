"""The radio over BlueZ: its adapters together, and what they hear and carry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import structlog
from bleak.backends.bluezdbus.version import BlueZFeatures

from bridge.ble.adapter import Adapter, Surroundings
from bridge.ble.approach import Approach, Dealing, Means, Stir
from bridge.ble.calls import Calls
from bridge.ble.claim import Claim
from bridge.ble.fanout import Fanout
from bridge.ble.hearing import ALLOWANCE, last_heard
from bridge.ble.link import BleakLink
from bridge.ble.radio import Cause, Presence, RadioDown
from bridge.ble.slots import Slots
from bridge.ble.vitals import Vitals
from drivers.base import Advertisement

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream

    from bridge.ble.scan import ScanMode
    from bridge.clock import Clock

_MARGIN, _SHARE = 0.5, 0.05
"""Seconds, or part of the time if that is less, by which a reason is told before a caller's own time-out."""

_VERSION = 5.0
"""Seconds in which bluetoothctl must tell its version."""

_SERVICE = frozenset({Cause.GONE, Cause.HUNG, Cause.NO_BUS, Cause.FORBIDDEN})
"""What ails bluetoothd, and with it every adapter."""

_log = structlog.get_logger()


class BluezRadio:
    """A radio over BlueZ.

    Args:
        clock: gives boot time.
        adapters: addresses of the adapters to use; empty for the first that is powered.
        max_connections: links that may be open at once on each; a Raspberry Pi's adapter carries about seven.
        ours: the upper-case addresses of our locks, which nobody else on this machine connects to: what
            holds one when scanning starts is left over from a run that was killed.
        scan: how to scan. "passive" and "auto" scan actively where BlueZ offers no passive scan; "auto" also where
            one of our locks is not heard passively.
        exclusive: whether another bridge on this machine is kept off the adapters.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        adapters: Sequence[str] = (),
        max_connections: int = 3,
        ours: Collection[str] = (),
        scan: ScanMode = "active",
        exclusive: bool = False,
    ) -> None:
        self._clock = clock
        self.vitals = Vitals(clock)
        """Of bluetoothd as a whole."""
        self._listeners = Fanout[Advertisement]()
        self._dealings: dict[str, Dealing] = {}
        self._behind: anyio.abc.TaskGroup | None = None
        around = Surroundings(clock, ours, self._held, self._hear, self._stir, self._see_to)
        self.patients = [
            Adapter(around, wanted=wanted, mode=scan, claim=Claim() if exclusive else None)
            for wanted in adapters or (None,)
        ]
        """The adapters, whether or not they are plugged in, in the order of the configuration."""
        self._means = Means(self.patients, Slots(max_connections), clock, Stir())

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run every adapter. Started once each scans or was found to be unusable; ends only by cancellation.

        Raises:
            AdapterTaken: another bridge uses the adapters at the start.
        """
        await _know_the_version()
        taken: RadioDown | None = None
        try:
            async with anyio.create_task_group() as self._behind:
                async with anyio.create_task_group() as starting:
                    for adapter in self.patients:
                        starting.start_soon(self._behind.start, adapter.run)
                if taken := self._taken():
                    self._behind.cancel_scope.cancel()
                else:
                    task_status.started()
        finally:
            self._behind = None
        if taken is not None:
            raise taken

    @property
    def usable(self) -> bool:
        """Whether an adapter is up and scanning."""
        return self._means.usable

    def presence(self, address: str) -> Presence:
        """Tell when the lock was last heard."""
        now = self._clock.boottime()
        heard = last_heard((adapter.heard(address) for adapter in self.patients), now)
        rssi = heard.rssi if heard else None
        if (dealing := self._dealings.get(address)) and dealing.link is not None and dealing.link.is_open:
            return Presence(now, rssi)
        if heard is None:
            return Presence()
        up = [adapter for adapter in self.patients if adapter.usable]
        since = [adapter.listening_since for adapter in up]
        silent = bool(up) and all(each is not None and now - max(each, heard.at) > ALLOWANCE for each in since)
        return Presence(heard.at, rssi, silent=silent)

    def advertisements(self) -> AbstractAsyncContextManager[ObjectReceiveStream[Advertisement]]:
        """Listen to what is on the air from now on, told once by each adapter. A slow listener loses the oldest."""
        return self._listeners.listen()

    async def wanted(self, address: str) -> None:
        """Return once another lock waits for the slot that the link to this one holds."""
        dealing = self._dealings.get(address)
        if dealing is None or dealing.slot is None:
            await anyio.sleep_forever()
        else:
            await self._means.slots.wanted(dealing.slot)

    async def connect(self, address: str, *, within: float) -> BleakLink:
        """Connect to a lock, waiting for it to be heard and for a free slot, all of it within the time.

        Raises:
            RadioDown: no adapter can be used.
            Unreachable: the lock was not heard, did not answer in time, or refused; or no slot became free.
        """
        dealing = self._dealings.setdefault(address, Dealing())
        dealing.users += 1
        try:
            within -= min(_MARGIN, within * _SHARE)
            return await Approach(address, within, dealing, self._means).connect()
        finally:
            dealing.users -= 1

    def _held(self) -> Collection[str]:
        return {address for address, dealing in self._dealings.items() if dealing.users or dealing.slot is not None}

    def _hear(self, advertisement: Advertisement) -> None:
        self._listeners.send(advertisement)
        if (dealing := self._dealings.get(advertisement.address)) and dealing.users:
            self._means.news.stir()

    def _stir(self) -> None:
        """Take note that an adapter came up or went down."""
        self._means.news.stir()
        downs = [adapter.down for adapter in self.patients]
        ailing = next((down for down in downs if down is not None and down.cause in _SERVICE), None)
        if None in downs:
            self.vitals.up()
        elif ailing is not None:
            self.vitals.down(ailing)
        elif all(down is not None and down.cause is Cause.ABSENT for down in downs) and downs[0] is not None:
            self.vitals.down(downs[0])
        else:
            self.vitals.up()  # bluetoothd answers, whatever ails the adapters

    def _see_to(self, call: Callable[[], Coroutine[None, None, None]]) -> bool:
        """Do something in the background, if the radio runs; it does not end before it has been done."""
        if self._behind is None:
            return False
        self._behind.start_soon(call)
        return True

    def _taken(self) -> RadioDown | None:
        """Return that another bridge uses the adapters, if that leaves none."""
        if self.usable:
            return None
        return next((down for adapter in self.patients if (down := adapter.down) and down.cause is Cause.TAKEN), None)


async def _know_the_version() -> None:
    """Have bleak ask for BlueZ's version once, beforehand.

    It would in the first connect; called off there, it leaves every later one waiting for an answer.
    """
    if not BlueZFeatures.checked_bluez_version:
        try:
            with anyio.CancelScope(shield=True):
                await Calls().run(BlueZFeatures.check_bluez_version, within=_VERSION)
        except TimeoutError:
            _log.warning("radio.version_unknown", reason="bluetoothctl does not answer")
        BlueZFeatures.checked_bluez_version = True
