"""A lock without a vendor: a bolt, a motor, a log, and every way in which an exchange with it can go.

It outlives the bridge, and knows what moved, when, and by whose command.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from bridge.ble.fanout import Fanout
from bridge.ble.radio import Presence, RadioDown, Unreachable
from bridge.lock import Lock
from drivers.base import (
    Action,
    Actuation,
    Advertisement,
    Capabilities,
    Confirmed,
    Credential,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LockState,
    LogRecord,
    Method,
    Options,
    Outcome,
    Snapshot,
    Stage,
    Unknown,
    unconditionally,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from bridge.clock import Clock

ADDRESS = "54:D2:72:00:00:01"
TRAVEL = {
    Action.LOCK: (LockState.LOCKING, LockState.LOCKED),
    Action.UNLOCK: (LockState.UNLOCKING, LockState.UNLOCKED),
    Action.UNLATCH: (LockState.UNLATCHING, LockState.UNLATCHED),
}


class Deed(Enum):
    """What the lock does with an action."""

    DOES = auto()
    JAMS = auto()
    REFUSES = auto()
    NEVER_HEARS = auto()


class Report(Enum):
    """What becomes of the lock's report of the end."""

    COMES = auto()
    COMES_LATE = auto()
    NEVER_COMES = auto()
    LINK_IS_LOST = auto()


@dataclass(frozen=True)
class Movement:
    """One start of the motor, in boot time of a boot."""

    tag: bytes
    boot_id: str
    at: float


@dataclass
class ModelLock:
    """Driver, radio, link, session and lock in one.

    Attributes:
        step: called before each exchange that the bridge begins.
        course: what comes of the next actions.
        reachable: whether it answers a connect.
        usable: whether there is an adapter.
        patience: seconds that a connect takes.
        lost_after: exchanges until the link is lost once.
        movements: every start of its motor for a command.
        reported: the tags of the actions whose success it reported to the bridge.
        shown: the settled states that the bridge read, and when in anyio's time.
    """

    clock: Clock
    nursery: trio.Nursery
    has_log: bool
    motor_time: float
    step: Callable[[], None] = lambda: None
    course: tuple[Deed, Report] = (Deed.DOES, Report.COMES)
    reachable: bool = True
    usable: bool = True
    patience: float = 0.0
    lost_after: int | None = None
    state: LockState = LockState.LOCKED
    movements: list[Movement] = field(default_factory=list)
    log: list[LogRecord] = field(default_factory=list)
    reported: set[bytes] = field(default_factory=set)
    shown: list[tuple[float, LockState]] = field(default_factory=list)

    name = "model"
    capabilities = Capabilities(actions=frozenset(Action))
    options = Options
    credential = Credential

    def configured(self) -> Lock:
        return Lock(
            "front_door", "Front door", ADDRESS, self, Options(), credential=Credential(), actions=frozenset(Action)
        )

    def succeeded(self, tag: bytes) -> bool:
        """Tell whether it did what was asked."""
        return any(record.tag == tag and record.succeeded for record in self.log)

    def turn(self, state: LockState) -> None:
        """Turn the bolt by hand, if the motor is not at it."""
        if not self.state.moving:
            self.state = state

    def operate(self, action: Action, tag: bytes, *, jams: bool) -> anyio.Event | None:
        """Start the motor and return what is set when it stops; None if it turns already."""
        if self.state.moving:
            return None
        self.movements.append(Movement(tag, self.clock.boot_id, self.clock.boottime()))
        self.state, target = TRAVEL[action]
        stopped = anyio.Event()

        async def travel() -> None:
            await anyio.sleep(self.motor_time)
            self.state = LockState.JAMMED if jams else target
            fault = Fault.JAMMED if jams else None
            self.log.append(LogRecord(len(self.log), None, action, Method.REMOTE_API, not jams, fault, tag=tag))
            stopped.set()
            if self.state is LockState.UNLATCHED:
                await anyio.sleep(self.motor_time)
                self.turn(LockState.UNLOCKED)

        self.nursery.start_soon(travel)
        return stopped

    # The radio

    async def run(self, *, task_status=anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await anyio.sleep_forever()

    def presence(self, address: str) -> Presence:
        return Presence(rssi=-50)

    def advertisements(self):
        return Fanout[Advertisement]().listen()

    async def wanted(self, address: str) -> None:
        await anyio.sleep_forever()

    async def connect(self, address: str, *, within: float) -> Conversation:
        self.step()
        with anyio.move_on_after(within):
            await anyio.sleep(self.patience if self.reachable else within)
            if self.reachable and self.usable:
                return Conversation(self)
        if not self.usable:
            raise RadioDown("There is no adapter.")
        raise Unreachable("It does not answer.")

    async def open(self, link: Conversation, credential: Credential, options: Options) -> Conversation:
        await link.exchange()
        return link


class Conversation:
    """One link and the session over it."""

    def __init__(self, lock: ModelLock) -> None:
        self.lock = lock
        self._stands = True

    @property
    def has_log(self) -> bool:
        return self.lock.has_log

    async def ended(self) -> None:
        await anyio.sleep_forever()  # the loss of a link is found when it is used

    async def exchange(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.lock.step()
        if self.lock.lost_after is not None:
            self.lock.lost_after -= 1
            if self.lock.lost_after < 0:
                self.lock.lost_after, self._stands = None, False
        if not (self._stands and self.lock.reachable and self.lock.usable):
            self._stands = False
            raise LinkLost

    async def read(self) -> Snapshot:
        await self.exchange()
        if not self.lock.state.moving:
            self.lock.shown.append((anyio.current_time(), self.lock.state))
        return Snapshot(self.lock.state)

    async def prepare(self, action: Action, tag: bytes) -> Actuation:
        await self.exchange()
        return Prepared(self, action, tag)

    async def find(self, tag: bytes) -> LogRecord | None:
        await self.exchange()
        if not self.has_log:
            return None
        return next((record for record in reversed(self.lock.log) if record.tag == tag), None)

    lock_time = None

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        await self.exchange()
        return []

    async def changed(self) -> None:
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        self._stands = False
        await anyio.lowlevel.checkpoint()


@dataclass(frozen=True)
class Prepared:
    """One action made ready."""

    session: Conversation
    action: Action
    tag: bytes

    async def run(self, seen: Callable[[Snapshot], None], check: Callable[[], None] = unconditionally) -> Outcome:
        check()
        lock = self.session.lock
        lock.step()
        (deed, report), lock.course = lock.course, (Deed.DOES, Report.COMES)
        stopped: anyio.Event | None = None
        if deed in (Deed.DOES, Deed.JAMS):
            stopped = lock.operate(self.action, self.tag, jams=deed is Deed.JAMS)
            deed = deed if stopped else Deed.REFUSES
        if report is Report.LINK_IS_LOST:
            await self.session.aclose()
            return Unknown(Stage.WRITTEN)
        if deed is Deed.NEVER_HEARS or report is Report.NEVER_COMES:
            await anyio.sleep_forever()
        return await self._report(seen, stopped, late=report is Report.COMES_LATE)

    async def _report(self, seen: Callable[[Snapshot], None], stopped: anyio.Event | None, *, late: bool) -> Outcome:
        lock = self.session.lock
        if stopped is None:
            return Failed(Fault.REFUSED, "It is busy.")
        seen(Snapshot(TRAVEL[self.action][0]))
        await stopped.wait()
        await anyio.sleep(20 if late else 0)
        try:
            await self.session.exchange()
        except DriverError:
            return Unknown(Stage.MOVING)
        if not lock.succeeded(self.tag):
            return Failed(Fault.JAMMED, "Its motor is blocked.", snapshot=Snapshot(LockState.JAMMED))
        lock.reported.add(self.tag)
        return Confirmed(Snapshot(TRAVEL[self.action][1]))
