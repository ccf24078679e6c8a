"""The way of one lock's attempts, strictly one after the other.

Rules:
1. Nothing that can move the bolt is sent before the commit point is on disk, and nothing after the deadline.
2. Before the commit point everything may be tried again within the deadline; after it nothing is sent again, whatever
   a protocol says of safe retries.
3. What the end was is what the lock reports: by its own report of the end, else by its log, else by its state, else it
   is unknown.
4. A command never waits for what is done at leisure (see `watcher`), but for half a second where to break it off would
   cost a connection.
5. A command that is sure to be taken is not waited for: the lock is connected to while it is being recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import anyio
import anyio.lowlevel
import structlog

from bridge import autolock, crash
from bridge.attempt import State, Step
from bridge.bell import Bell
from bridge.ble.radio import RadioDown
from bridge.clock import Clock
from bridge.errors import Code, StorageUnavailable, code_of
from bridge.interlock import Interlock
from bridge.journal import Journal
from bridge.lock import Lock
from bridge.model import Attempt, Ending, Event, Task
from bridge.readback import BUDGET, read_back
from bridge.service.progress import Progress
from bridge.sessions import OutOfTime, Sessions
from bridge.watch.watcher import Told, Watcher
from drivers.base import (
    Action,
    Actuation,
    Confirmed,
    Credential,
    DriverError,
    Failed,
    Fault,
    LockState,
    Outcome,
    Session,
    Snapshot,
    Stage,
    Unknown,
)

log = structlog.get_logger()

TARGETS: Mapping[Action | Task, LockState] = MappingProxyType(
    {Action.LOCK: LockState.LOCKED, Action.UNLOCK: LockState.UNLOCKED}
)
"""The settled state in which there is nothing left to do; unlatch always acts."""

RETRIED = frozenset({Fault.UNREACHABLE, Fault.RADIO_DOWN, Fault.REFUSED})
"""What may pass by itself, and is tried again before the commit point."""
RETRY_PAUSE = 0.5
"""Seconds between tries."""
ACTUATION_TIME = 45.0
"""Seconds for which a lock's own report of the end is waited for: longer than the slowest motor with its retries."""
STORAGE_PAUSE = 1.0
"""Seconds between tries to write an outcome to a journal that cannot be written."""
SLACK = 60.0
"""Seconds by which an attempt may exceed its times before it counts as stuck: links end slowly."""

Tell = Callable[[Attempt], Sequence[Event]]

_TOO_LATE = Ending(Step.FAIL, code=Code.ACTION_TIMEOUT, message="The deadline passed before the lock was ready.")


class _TooLateError(Exception):
    """The deadline passed before anything was sent."""


class Worker:
    """Carries out the attempts at one lock."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        journal: Journal,
        watcher: Watcher,
        clock: Clock,
        interlock: Interlock,
        tell: Tell,
        progress: Progress,
    ) -> None:
        self._sessions = sessions
        self._journal = journal
        self._watcher = watcher
        self._clock = clock
        self._interlock = interlock
        self._tell = tell
        self._progress = progress
        self._queue: deque[Attempt] = deque()
        self._called = Bell()  # rung when there is an attempt or a loan, or no attempt will come
        self._awaited: float | None = None  # the deadline, in boot time, of a command that is being recorded
        self._trouble: DriverError | None = None  # for which the lock was not reached for that command
        self._before: Snapshot | None = None  # what the lock said before anything was sent
        self._lending = anyio.Lock()
        self._loan: _Loan | None = None
        self._life = anyio.CancelScope()
        self._leisure = anyio.CancelScope()
        self._past_commit = anyio.CancelScope(shield=True)
        self.stopped = anyio.Event()

    @property
    def lock(self) -> Lock:
        """The lock."""
        return self._sessions.lock

    @property
    def waiting(self) -> int:
        """How many attempts wait, not counting the one that is being carried out."""
        return len(self._queue)

    def expect(self, deadline: float) -> None:
        """Connect to the lock for a command that is being recorded, and wait for it to be enqueued.

        Args:
            deadline: the command's, in boot time.
        """
        if not self._sessions.open:
            self._awaited = deadline
            self._interrupt()

    def dismiss(self) -> None:
        """Expect a command no longer: it could not be recorded."""
        self._awaited = None
        self._called.ring()

    def enqueue(self, attempt: Attempt) -> None:
        """Have an attempt carried out after those before it."""
        self._queue.append(attempt)
        self._call()

    async def run(self) -> None:
        """Carry out attempts until told to stop."""
        try:
            with self._life:
                while True:
                    await self._carry_out(await self._next())
        finally:
            await self._sessions.drop()
            self.stopped.set()

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[None]:
        """Leave the lock to somebody else: once no attempt is under way its link is given up, and attempts wait."""
        async with self._lending:
            loan = self._loan = _Loan()
            self._call()
            try:
                await loan.begun.wait()
                yield
            finally:
                self._loan = None
                loan.over.set()

    def unheard(self) -> None:
        """Have a lock that a command is refused for told as not available."""
        self._sessions.unheard()

    def rekey(self, credential: Credential | None) -> None:
        """Use another key, or none, from the next session on; whether it serves is found out by reading the lock."""
        self._sessions.rekey(credential)
        self._watcher.rekeyed()
        self._leisure.cancel()

    def stop(self) -> None:
        """Begin nothing more; an attempt past its commit point still gets its outcome."""
        self._life.cancel()
        self._watcher.hurry()

    def abandon(self) -> None:
        """Leave even an attempt past its commit point; the next start resolves it."""
        self._past_commit.cancel()

    def _call(self) -> None:
        self._interrupt()
        self._called.ring()

    def _interrupt(self) -> None:
        """Have the worker leave what it does at leisure."""
        self._leisure.cancel()
        self._watcher.hurry()

    async def _next(self) -> Attempt:
        await anyio.lowlevel.checkpoint_if_cancelled()  # once told to stop, nothing more is begun
        while self._loan or not self._queue:
            if self._loan:
                await self._lend(self._loan)
            elif self._awaited is not None:
                await self._reach(self._awaited)
            else:
                with anyio.CancelScope() as self._leisure:
                    await self._watcher.watch()
        self._awaited = None
        return self._queue.popleft()

    async def _reach(self, deadline: float) -> None:
        """Connect for a command that is being recorded; what goes wrong is told as the command's end, if it comes."""
        self._called.take()
        left = max(0.0, deadline - self._clock.boottime())
        try:
            with self._expected("approach", left), self._sessions.within(left):
                await self._sessions.get(left)
        except DriverError as error:
            self._trouble = error
            await self._sessions.drop()
        with anyio.move_on_after(deadline - self._clock.boottime()):
            await self._called.wait()
        self._awaited = None
        if not self._queue:
            self._trouble = None

    async def _lend(self, loan: _Loan) -> None:
        await self._sessions.drop()
        loan.begun.set()
        await loan.over.wait()

    async def _carry_out(self, attempt: Attempt) -> None:
        """Bring one attempt to its outcome."""
        self._before = None
        if attempt.state is State.ACCEPTED:
            left = max(0.0, attempt.deadline - self._clock.boottime())
            with self._expected("approach", left):
                near = await self._approach(attempt)
        else:
            near = None  # committed in an earlier life: never sent again
        with anyio.CancelScope(shield=True) as self._past_commit:
            if isinstance(near, Ending):
                await self._end(attempt, near)
                return
            with self._interlock.move():
                if near is None:
                    with self._expected("look back", BUDGET):
                        ending = await self._resolve(attempt, Stage.WRITTEN)
                    await self._end(attempt, ending)
                else:
                    await self._go(attempt, near)

    async def _go(self, attempt: Attempt, actuation: Actuation) -> None:
        """Pass the commit point and act, if there is still time."""
        crash.point("before_commit")
        try:
            attempt = await self._journal.commit(attempt)
        except StorageUnavailable:
            ending = _failed(Code.STORAGE_UNAVAILABLE, "The journal cannot be written, so nothing was sent.")
        else:
            crash.point("after_commit")
            if attempt.over(self._clock.boot_id, self._clock.boottime()):
                ending = _TOO_LATE
            else:
                with self._expected("action", ACTUATION_TIME + BUDGET):
                    ending = await self._actuate(attempt, actuation)
        await self._end(attempt, ending)

    def _expected(self, what: str, seconds: float) -> AbstractContextManager[None]:
        return self._progress.expected(f"the {what} at {self.lock.id}", within=seconds + SLACK)

    async def _approach(self, attempt: Attempt) -> Actuation | Ending:
        """Come as near as one can without moving the bolt, trying again until the deadline."""
        trouble, self._trouble = self._trouble, None
        while trouble is None or trouble.fault in RETRIED:
            if trouble is not None:
                await anyio.sleep(RETRY_PAUSE)
            now = self._clock.boottime()
            if attempt.over(self._clock.boot_id, now):
                break
            left = attempt.deadline - now
            try:
                with self._sessions.within(left):
                    session, snapshot = await self._sessions.settled(left)
                    self._before = snapshot
                    near = await _nearest(attempt, session, snapshot)
                    if isinstance(near, Ending) or not self._interlock.treating:
                        return near
                    raise RadioDown("The Bluetooth adapter is being brought back to work.")
            except DriverError as error:
                trouble = error
                await self._sessions.drop()
        if trouble is None:
            return _failed(Code.ACTION_TIMEOUT, "The deadline passed while the command was waiting.")
        await self._sessions.give_up(trouble)
        code = Code.ACTION_TIMEOUT if isinstance(trouble, OutOfTime) else code_of(trouble.fault)
        return _failed(code, trouble.message)

    async def _actuate(self, attempt: Attempt, actuation: Actuation) -> Ending:
        """Send the action, once, and find out what came of it."""
        stage = Stage.WRITTEN

        def seen(snapshot: Snapshot) -> None:
            nonlocal stage
            if snapshot.lock_state.moving:  # where it comes to rest is told with the outcome
                stage = Stage.MOVING
                self._sessions.saw(snapshot)

        def check() -> None:
            if attempt.over(self._clock.boot_id, self._clock.boottime()):
                raise _TooLateError

        outcome: Outcome | None = None
        try:
            with anyio.move_on_after(ACTUATION_TIME):
                outcome = await actuation.run(seen, check)
        except _TooLateError:
            return _TOO_LATE
        match outcome:
            case Confirmed(snapshot):
                return Ending(Step.CONFIRM, changed=True, snapshot=snapshot)
            case Failed(fault, message, snapshot=snapshot):
                return replace(_failed(code_of(fault), message), snapshot=snapshot)
            case Unknown():
                return await self._resolve(attempt, outcome.stage)
            case None:
                return await self._resolve(attempt, stage)

    async def _resolve(self, attempt: Attempt, stage: Stage) -> Ending:
        """Find out what came of an attempt whose end was not seen, without sending anything that moves."""
        log.info("outcome not seen", lock_id=self.lock.id, action_attempt_id=str(attempt.attempt_id), stage=stage)
        if isinstance(attempt.action, Task):
            return await autolock.read_back(self._sessions, attempt, stage)
        return await read_back(self._sessions, attempt, stage, TARGETS.get(attempt.action))

    async def _end(self, attempt: Attempt, ending: Ending) -> None:
        """Record the outcome and its events; a journal that cannot be written holds this lock up until it can."""
        told: list[Told] = []

        def tell(ended: Attempt) -> Sequence[Event]:
            told.append(self._watcher.ended(ended, self._before, self._tell(ended)))
            return told[-1].events

        crash.point("before_outcome")
        while True:
            try:
                ended = await self._journal.end(attempt, ending, tell, lambda: self._watcher.kept(told[-1]))
                break
            except StorageUnavailable as error:
                log.warning("outcome not recorded yet", lock_id=self.lock.id, reason=str(error))
                await anyio.sleep(STORAGE_PAUSE)
        crash.point("after_outcome")
        if ending.snapshot is not None:
            self._sessions.saw(ending.snapshot)
        self._watcher.remember(told[-1])
        log.info(
            "attempt ended",
            lock_id=self.lock.id,
            action_attempt_id=str(ended.attempt_id),
            action=ended.action,
            state=ended.state,
            code=ended.code,
            changed=ended.changed,
        )


@dataclass(frozen=True, slots=True)
class _Loan:
    """Somebody else's use of the lock."""

    begun: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)


async def _nearest(attempt: Attempt, session: Session, snapshot: Snapshot) -> Actuation | Ending:
    """Make an attempt ready, or find that there is nothing to do."""
    if isinstance(attempt.action, Task):
        return await autolock.approach(session, attempt)
    if TARGETS.get(attempt.action) is snapshot.lock_state:
        return Ending(Step.CONFIRM, changed=False)
    return await session.prepare(attempt.action, attempt.tag)


def _failed(code: Code, message: str) -> Ending:
    return Ending(Step.FAIL, code=code, message=message)
