"""A driver whose lock says what a test tells it, and a radio to reach it by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from bridge.ble.radio import Presence
from bridge.lock import Lock
from drivers.base import Action, Capabilities, Credential, DriverError, LogRecord, Options, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "54:D2:72:00:00:01"


class ScriptedDriver:
    """A `drivers.base.Driver`, its session, its link and its radio in one; `done` is what was done with them.

    Attributes:
        read_says: what each read gives, in time; an exception is raised.
        find_says: what each look into the log gives, likewise.
        within: seconds that each connect was given.
        crowded: set once another lock waits for the place of the link.
        lost: set once the link is gone.
    """

    name = "scripted"
    capabilities = Capabilities(actions=frozenset(Action))
    options = Options
    credential = Credential
    usable = True

    def __init__(self) -> None:
        self.done: list[str] = []
        self.within: list[float] = []
        self.has_log = True
        self.crowded, self.lost = anyio.Event(), anyio.Event()
        self.connect_says: Callable[[], DriverError | float | None] = lambda: None
        self.open_says: Callable[[], DriverError | None] = lambda: None
        self.read_says: Callable[[], Snapshot | DriverError | None] = lambda: None
        self.find_says: Callable[[], LogRecord | DriverError | None] = lambda: None

    def lock(self, **fields: Any) -> Lock:
        """Return it as it is configured."""
        known = {"credential": Credential(), "actions": frozenset(Action), "options": Options()}
        return Lock(id="front_door", name="Front door", address=ADDRESS, driver=self, **(known | fields))

    def presence(self, address: str) -> Presence:
        return Presence(rssi=-50)

    async def wanted(self, address: str) -> None:
        await self.crowded.wait()

    async def ended(self) -> None:
        await self.lost.wait()

    async def connect(self, address: str, *, within: float) -> ScriptedDriver:
        self.within.append(within)
        said = self.connect_says()
        await anyio.sleep(said if isinstance(said, float) else 0)
        _raise(said)
        self.done.append("connect")
        return self

    async def open(self, link: object, credential: Credential, options: Options) -> _Session:
        await anyio.lowlevel.checkpoint()
        _raise(self.open_says())
        return _Session(self)

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.done.append("close link")


class _Session:
    def __init__(self, driver: ScriptedDriver) -> None:
        self._driver = driver

    @property
    def has_log(self) -> bool:
        return self._driver.has_log

    async def read(self) -> Snapshot:
        await anyio.lowlevel.checkpoint()
        self._driver.done.append("read")
        said = self._driver.read_says()
        _raise(said)
        if said is None:
            await anyio.sleep_forever()
        assert isinstance(said, Snapshot)
        return said

    async def find(self, tag: bytes) -> LogRecord | None:
        await anyio.lowlevel.checkpoint()
        said = self._driver.find_says()
        _raise(said)
        return said

    lock_time = None

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        await anyio.lowlevel.checkpoint()
        return []

    async def changed(self) -> None:
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self._driver.done.append("close session")


def _raise(said: object) -> None:
    if isinstance(said, DriverError):
        raise said
