"""A radio over virtual locks without any Bluetooth library: it runs under virtual time and fails as told."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import anyio

from bridge.ble.fanout import Fanout
from bridge.ble.radio import Absence, Presence, RadioDown, Unreachable
from drivers.base import Advertisement, LinkLost
from drivers.virtual.link import MTU, TwinLink

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from drivers.virtual.peripheral import Twin


ADVERTISING_INTERVAL = 60.0
"""Seconds between two advertisements of a lock of which nothing changes: virtual time passes in days."""


class RadioLink(TwinLink):
    """A link as a radio hands it out."""

    context: AbstractContextManager[TwinLink]

    def __init__(self, twin: Twin, *, mtu: int = MTU) -> None:
        super().__init__(twin, mtu=mtu)
        self._gone = anyio.Event()

    def drop(self) -> None:
        super().drop()
        self._gone.set()

    async def ended(self) -> None:
        await self._gone.wait()

    async def aclose(self) -> None:
        self.context.__exit__(None, None, None)


class TwinRadio:
    """A `bridge.ble.radio.Radio`.

    Attributes:
        usable: whether there is an adapter.
        silent: whether the locks have not been heard for too long.
        refusals: how many of the next connects are refused, and `absence` is why.
        delays: seconds that each of the next connects takes, then none.
        stuck: addresses that never answer a connect.
        connects: the address of each connect, as it was begun.
        crowded: whether another lock waits for the place of whichever link lingers.
        links: every link that was made, the newest last.
        on_link: called with each new link, to arm its faults.
    """

    def __init__(self, *twins: Twin) -> None:
        self.twins = {twin.address: twin for twin in twins}
        self.usable = True
        self.silent = False
        self.refusals = 0
        self.absence = Absence.HELD_BY_ANOTHER
        self.delays: deque[float] = deque()
        self.stuck: set[str] = set()
        self.crowded = anyio.Event()
        self._heard_at: dict[str, float] = {}
        self.connects: list[str] = []
        self.links: list[RadioLink] = []
        self.on_link: Callable[[RadioLink], None] = lambda _link: None
        self._heard = Fanout[Advertisement]()
        for twin in twins:
            twin.lock.watch(partial(self._advertise, twin))

    async def run(self, *, task_status=anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            for twin in self.twins.values():
                self._advertise(twin)
            await anyio.sleep(ADVERTISING_INTERVAL)

    def _advertise(self, twin: Twin) -> None:
        """Let the lock be heard: at every change, as if it advertised all the time, and now and then."""
        if (advertisement := twin.advertisement()) is not None:
            self._heard.send(advertisement)

    def presence(self, address: str) -> Presence:
        heard = not self.silent and self.twins[address].advertisement() is not None
        if heard:
            self._heard_at[address] = anyio.current_time()
        return Presence(self._heard_at.get(address), rssi=-60, silent=self.silent)

    def advertisements(self):
        return self._heard.listen()

    async def wanted(self, address: str) -> None:
        await self.crowded.wait()

    async def connect(self, address: str, *, within: float) -> RadioLink:
        self.connects.append(address)
        try:
            with anyio.fail_after(within):
                if address in self.stuck:
                    await anyio.sleep_forever()
                await anyio.sleep(self.delays.popleft() if self.delays else 0)
        except TimeoutError as error:
            raise Unreachable("The lock did not answer in time.") from error
        return self._connected(address)

    def _connected(self, address: str) -> RadioLink:
        if not self.usable:
            raise RadioDown("The adapter is down.")
        if self.refusals:
            self.refusals -= 1
            raise Unreachable("The lock refused.", self.absence)
        context = RadioLink.connect(self.twins[address])
        try:
            link = context.__enter__()
        except LinkLost as error:
            raise Unreachable(error.message) from error
        assert isinstance(link, RadioLink)
        link.context = context
        self.links.append(link)
        self._heard_at[address] = anyio.current_time()
        self.on_link(link)
        return link
