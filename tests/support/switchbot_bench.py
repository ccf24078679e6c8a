"""A virtual SwitchBot lock that lives, and sessions with it over a link in the same process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from drivers.base import Action, Outcome, Snapshot
from drivers.switchbot import SwitchBotDriver, SwitchBotOptions, SwitchBotSession
from drivers.switchbot.protocol.commands import turn_of
from drivers.switchbot.protocol.crypto import cipher
from drivers.switchbot.protocol.frames import asked_iv, commanded, granted
from drivers.switchbot.virtual import SwitchBotTwin
from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings

ADDRESS = "C1:89:44:4B:2B:A5"
TAG = b"0123456789abcdef0123"
DRIVER = SwitchBotDriver()


@asynccontextmanager
async def living(**options):
    """A virtual lock, living, with the settings and the options given."""
    settings = {name: options.pop(name) for name in VirtualSettings.model_fields if name in options}
    twin = SwitchBotTwin(ADDRESS, "Front door", VirtualSettings(**settings), **options)
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        yield twin
        group.cancel_scope.cancel()


@dataclass
class Bench:
    """One session, and what went over its link."""

    twin: SwitchBotTwin
    link: TwinLink
    session: SwitchBotSession
    writes: list[bytes]
    seen: list[Snapshot] = field(default_factory=list)

    async def act(self, action: Action) -> Outcome:
        """Carry an action out."""
        return await (await self.session.prepare(action, TAG)).run(self.seen.append)

    async def settle(self) -> None:
        """Wait until the motor stands."""
        still = anyio.Event()
        self.twin.lock.watch(lambda: None if self.twin.lock.busy else still.set())
        if self.twin.lock.busy:
            await still.wait()


@asynccontextmanager
async def session_with(twin: SwitchBotTwin, *, credential=None, **options):
    """A session with a lock that lives."""
    with TwinLink.connect(twin) as link:
        writes: list[bytes] = []
        link.on_write = lambda _characteristic, data: [writes.append(data) or data]
        session = await DRIVER.open(link, credential or twin.credential(), SwitchBotOptions(**options))
        yield Bench(twin, link, session, writes)
        await session.aclose()


@asynccontextmanager
async def bench(*, session=None, **options):
    """A lock and a session with it; `session` has the driver's options."""
    async with living(**options) as twin, session_with(twin, **(session or {})) as found:
        yield found


class Eavesdropper:
    """Knows the lock's key and hears every frame; counts what can move the bolt."""

    def __init__(self, twin: SwitchBotTwin) -> None:
        self._twin = twin
        self._cipher = None
        self.turns: list[int] = []
        self.ivs: list[bytes] = []
        self._waiting = False

    def wrote(self, frame: bytes) -> None:
        """Take a frame of the host's."""
        if asked_iv(frame) is not None:
            self._waiting = True
            return
        message = commanded(frame, self._twin.key_id, self._cipher) if self._cipher else None
        turn = turn_of(self._twin.model, message) if message else None
        if turn is not None:
            self.turns.append(turn)

    def said(self, frame: bytes) -> None:
        """Take a frame of the lock's."""
        if self._waiting:
            self._waiting = False
            grant = granted(frame)
            self.ivs.append(grant.iv)
            self._cipher = cipher(grant.mode, self._twin.key, grant.iv)
        elif self._cipher is not None and frame[0] != 0x0F:
            self._cipher.advance()
