"""The way to one lock: through which adapter, when once more, and what a failure says of the lock.

Rules:
1. A connection goes through the adapter that hears the lock best, is up, and has a slot free; if that fails, through
   the next. All of it is within the caller's time and before anything was sent to the lock.
2. A lock holds a slot only while it is connected to, never while it is waited for.
3. A lock that never accepts is left after `PATIENCE` seconds and has to be heard again: others get their turn.
4. Why a lock is not available is told from what was heard and seen, not from the kind of error alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog
from bleak.exc import BleakDBusError, BleakError

from bridge.ble.adapter import Adapter
from bridge.ble.hearing import ALLOWANCE
from bridge.ble.radio import Absence, Cause, RadioDown, Unreachable
from bridge.ble.slots import Slot, Slots

if TYPE_CHECKING:
    from bridge.ble.link import BleakLink
    from bridge.clock import Clock

PATIENCE = 10.0
"""Seconds after which a lock that does not accept a connection is left, for others to have their turn."""

ATTEMPTS = 4
"""How often a connection is tried, within its time, when BlueZ says that it failed.

BlueZ forgets a device when a connection to it is called off, and tells that one has ended a little before it has.
Nothing has been sent to the lock by then.
"""

AGAIN = 0.25
"""Seconds until the next try."""

RENEWAL = 600.0
"""Seconds within which BlueZ is made to forget a lock's table of characteristics at most once: a lock that is no such
lock is not discovered anew for ever."""

WEAK = -92
"""dBm below which a lock that does not accept is more likely too far away than held by another."""

_FAINT = -128
"""dBm that are taken for a signal whose strength is not known."""

_STUCK = frozenset({"org.bluez.Error.InProgress", "org.bluez.Error.AlreadyConnected"})
"""What BlueZ says of a device whose earlier connection it has not come to an end with."""

_log = structlog.get_logger()


class Stir:
    """Wakes whoever waits for something to change, to look again."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def stir(self) -> None:
        """Wake all who wait."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait for the next stir."""
        await self._event.wait()


@dataclass(frozen=True, slots=True)
class Means:
    """What connections are made with."""

    adapters: Sequence[Adapter]
    slots: Slots[Adapter]
    clock: Clock
    news: Stir
    """Stirred when an adapter came up or went down, a lock that is approached was heard, or a connection ended."""

    @property
    def usable(self) -> bool:
        """Whether an adapter is up."""
        return any(adapter.usable for adapter in self.adapters)

    def why_down(self) -> RadioDown:
        """Tell why no adapter is up."""
        downs = {down.message: down for adapter in self.adapters if (down := adapter.down) is not None}
        causes = {down.cause for down in downs.values()}
        return RadioDown(" ".join(downs), causes.pop() if len(causes) == 1 else Cause.SCAN)


@dataclass(slots=True, eq=False)
class Dealing:
    """What the radio has to do with one lock."""

    users: int = 0
    """How many connect to it now."""
    slot: Slot[Adapter] | None = None
    """The slot of the connection that is there, is being made, or has not quite ended."""
    link: BleakLink | None = None
    failed_at: float | None = None
    """When it last failed to accept, in boot time; None since it did."""
    stale: bool = False
    """Whether BlueZ's table of its characteristics proved to be another's."""
    doubled: bool = False
    """Whether BlueZ keeps up a subscription that is nobody's."""
    renewed_at: float | None = None
    """When BlueZ's record of it was last thrown away, in boot time."""


class Approach:
    """One `connect` on its way.

    Args:
        address: the lock's, upper case.
        within: seconds that it may take.
        dealing: what was and is with this lock.
        means: shared with all others.
    """

    def __init__(self, address: str, within: float, dealing: Dealing, means: Means) -> None:
        self._address = address
        self._within = within
        self._deadline = anyio.current_time() + within
        self._dealing = dealing
        self._means = means
        self._failed: set[Adapter] = set()  # to be tried after the others
        self._tries = 0
        self._renewed = False
        self._news_since: float | None = None  # the lock must have been heard after this, in boot time
        self._trouble: RadioDown | Unreachable | None = None

    async def connect(self) -> BleakLink:
        """Connect.

        Raises:
            RadioDown: no adapter can be used.
            Unreachable: the lock was not heard, did not answer in time, or refused; or no slot became free.
        """
        await self._ended_before()
        while True:
            if link := await self._try():
                return link

    @property
    def _left(self) -> float:
        return max(0.0, self._deadline - anyio.current_time())

    async def _ended_before(self) -> None:
        """Wait until the connection before has come to its end."""
        with anyio.move_on_after(self._left):
            while self._dealing.slot is not None:
                await self._means.news.wait()
            return
        raise Unreachable("The connection to the lock that was there before has not ended yet.", None)

    async def _try(self) -> BleakLink | None:
        """Try once, through the adapter that is best now.

        Returns:
            None if it is worth trying again.
        """
        adapters = await self._hearing()
        if (self._dealing.stale or self._dealing.doubled) and await self._renew_record(adapters):
            return None
        slot = self._dealing.slot = await self._slot(adapters)
        adapter = slot.adapter
        others = sum(each is not adapter for each in adapters)
        try:
            link = await adapter.connect(
                self._address,
                within=min(PATIENCE, self._left / (1 + others)),
                ended=lambda link: self._over(slot, link),
            )
        except RadioDown as error:
            self._trouble = error
            self._failed.add(adapter)
            if self._all_failed():
                raise
            return None
        except Unreachable as error:
            if isinstance(error.__cause__, BleakError | TimeoutError):  # else it was not even tried
                await self._consider(error, adapter)
            return None
        self._dealing.link, self._dealing.failed_at = link, None
        return link

    async def _hearing(self) -> list[Adapter]:
        """Return the adapters by which the lock can be tried, the best first, once there is one."""
        with anyio.move_on_after(self._left):
            while True:
                if not self._means.usable:
                    raise self._means.why_down()
                if hearing := self._ranked():
                    return hearing
                await self._means.news.wait()
        if self._trouble is not None:
            raise self._trouble
        never = all(adapter.heard(self._address) is None for adapter in self._means.adapters)
        raise Unreachable(
            f"The lock was not heard within {self._within:.0f} s: out of range or without power.",
            Absence.NEVER_SEEN if never else Absence.OUT_OF_RANGE,
        )

    def _ranked(self) -> list[Adapter]:
        now = self._now()

        def rank(adapter: Adapter) -> tuple[bool, int]:
            heard = adapter.heard(self._address)
            recent = heard is not None and now - heard.at <= ALLOWANCE
            strength = _FAINT if heard is None or heard.rssi is None else heard.rssi
            return not recent, -strength

        def fresh(adapter: Adapter) -> bool:
            heard = adapter.heard(self._address)
            return self._news_since is None or (heard is not None and heard.at > self._news_since)

        able = (each for each in self._means.adapters if each.knows(self._address) and fresh(each))
        return sorted(able, key=rank)

    async def _slot(self, adapters: Sequence[Adapter]) -> Slot[Adapter]:
        untried = [each for each in adapters if each not in self._failed]
        try:
            return await self._means.slots.take(untried or adapters, self._left)
        except TimeoutError as error:
            raise self._trouble or Unreachable(
                "The lock was not connected to in time: all connections of the Bluetooth adapter are in use"
                " (max_connections in [bluetooth]).",
                None,
            ) from error

    async def _consider(self, error: Unreachable, adapter: Adapter) -> None:
        """Make of a failed try what it says of the lock, and make ready for the next one.

        Raises:
            Unreachable: there is no time for another, or there were enough.
        """
        cause = error.__cause__
        self._trouble = self._judged(error, adapter)
        now = self._dealing.failed_at = self._now()
        self._failed.add(adapter)
        if isinstance(cause, TimeoutError):
            if self._all_failed():
                self._failed.clear()
                self._news_since = now
            return
        self._tries += 1
        if self._tries >= ATTEMPTS or self._left < AGAIN:
            raise self._trouble from cause
        _log.info("radio.connect_again", address=self._address, adapter=adapter.address, reason=error.message)
        if isinstance(cause, BleakDBusError) and cause.dbus_error in _STUCK and not self._renewed:
            self._renewed = True
            self._failed.discard(adapter)
            await self._renew(adapter)
        await anyio.sleep(AGAIN)

    def _judged(self, error: Unreachable, adapter: Adapter) -> Unreachable:
        """Tell what a failed try says of the lock."""
        heard = adapter.heard(self._address)
        last, before = heard.at if heard else 0.0, self._dealing.failed_at
        recently = self._now() - PATIENCE - ALLOWANCE
        if isinstance(error.__cause__, TimeoutError) and before is not None and last > max(before, recently):
            error = Unreachable(
                "The lock is heard, but accepts no connection: held by another central (a phone), or busy.",
                Absence.HELD_BY_ANOTHER,
            )
        if error.absence is Absence.HELD_BY_ANOTHER and heard and heard.rssi is not None and heard.rssi < WEAK:
            return Unreachable(f"{error.message} Its signal is very weak ({heard.rssi} dBm).", Absence.OUT_OF_RANGE)
        return error

    async def _renew_record(self, adapters: Sequence[Adapter]) -> bool:
        """Have BlueZ begin anew with the lock, which proved wrong about it, unless that was just done for its table."""
        dealing, now = self._dealing, self._now()
        doubled, dealing.stale, dealing.doubled = dealing.doubled, False, False
        if not doubled and dealing.renewed_at is not None and now - dealing.renewed_at < RENEWAL:
            return False
        dealing.renewed_at = now
        for adapter in adapters:
            await self._renew(adapter)
        return True

    async def _renew(self, adapter: Adapter) -> None:
        try:
            with anyio.move_on_after(self._left):
                await adapter.renew(self._address)
        except RadioDown as error:
            self._trouble = error
        self._news_since = self._now()

    def _over(self, slot: Slot[Adapter], link: BleakLink | None) -> None:
        self._dealing.stale = self._dealing.stale or (link is not None and link.stale)
        self._dealing.doubled = self._dealing.doubled or (link is not None and link.doubled)
        self._dealing.slot = self._dealing.link = None
        self._means.slots.release(slot)
        self._means.news.stir()

    def _all_failed(self) -> bool:
        return self._failed.issuperset(each for each in self._means.adapters if each.usable)

    def _now(self) -> float:
        return self._means.clock.boottime()
