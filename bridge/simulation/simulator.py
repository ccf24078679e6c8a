"""Attempts at the virtual locks of this process: keypad entries, and the reset of them all.

Rules:
1. Each is an attempt like any other: on disk before it begins, one outcome, told where Seam has an event for it.
2. A keypad attempt is the entry at the keypad. It succeeds once the lock has taken the entry; what the lock makes of it
   (a door that opens, access denied) is told as what anyone at the door does is told.
3. The code is kept in memory alone, until it is entered. So what a restart interrupts is never taken up again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import structlog

from bridge.attempt import State, Step
from bridge.bell import Bell
from bridge.clock import Clock
from bridge.errors import Code, Refused, StorageUnavailable
from bridge.journal import Journal
from bridge.model import Attempt, Command, Ending, Task
from bridge.simulation.sandbox import Sandbox
from bridge.worker import STORAGE_PAUSE, Tell
from drivers.base import LockState, Method
from drivers.virtual.lock import VirtualLock

log = structlog.get_logger()

MOST_WAITING = 16
"""Attempts that wait for their turn."""
REST_POLL = 0.05
"""Seconds between looks at whether a motor has come to rest."""

TASKS = frozenset({Task.SIMULATE_KEYPAD_CODE_ENTRY, Task.SIMULATE_MANUAL_LOCK_VIA_KEYPAD, Task.RESET_SANDBOX_WORKSPACE})
"""What is done here, and not by a lock's worker."""

Deed = Callable[[Attempt], Awaitable[Ending]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    attempt: Attempt
    deed: Deed = field(repr=False)


class Simulator:
    """Carries out attempts at virtual locks, one after the other."""

    def __init__(self, sandbox: Sandbox, *, journal: Journal, clock: Clock, tell: Tell, ttl: float) -> None:
        """Take what to carry them out with.

        Args:
            sandbox: the virtual locks.
            journal: where attempts are recorded.
            clock: tells when they are over.
            tell: makes the events of an attempt that has ended.
            ttl: seconds that an attempt may be tried.
        """
        self._sandbox = sandbox
        self._journal = journal
        self._clock = clock
        self._tell = tell
        self._ttl = ttl
        self._waiting: deque[_Waiting] = deque()
        self._bell = Bell()
        self._stopping = False

    async def keypad_code(self, lock_id: str, code: str, given: Method) -> Attempt:
        """Have a code entered at a virtual lock's keypad.

        Raises:
            Refused: the lock is none, or the bridge takes none now; nothing was recorded.
        """
        lock = self._sandbox.lock(lock_id)

        def enter() -> None:
            lock.keypad(code)

        return await self._take(Task.SIMULATE_KEYPAD_CODE_ENTRY, lock_id, given, _at_keypad(lock, enter))

    async def keypad_lock(self, lock_id: str, given: Method) -> Attempt:
        """Have the lock key of a virtual lock's keypad pressed.

        Raises:
            Refused: the lock is none, or the bridge takes none now; nothing was recorded.
        """
        lock = self._sandbox.lock(lock_id)
        return await self._take(
            Task.SIMULATE_MANUAL_LOCK_VIA_KEYPAD, lock_id, given, _at_keypad(lock, lock.keypad_lock)
        )

    async def reset(self, given: Method) -> Attempt:
        """Have every virtual lock brought back to how it is configured; no attempt and no event is forgotten.

        Raises:
            Refused: there are none, or the bridge takes none now; nothing was recorded.
        """
        if not self._sandbox.locks:
            raise Refused(
                Code.ACTION_NOT_SUPPORTED,
                "RESET_SANDBOX_WORKSPACE is for virtual locks, and this bridge has none; real locks are not reset.",
            )
        return await self._take(Task.RESET_SANDBOX_WORKSPACE, "", given, self._reset)

    def stop(self) -> None:
        """Take no more."""
        self._stopping = True

    async def run(self) -> None:
        """Carry out what was taken. Ends only by cancellation; what has not been begun then is over."""
        while True:
            while self._waiting:
                await self._carry_out(self._waiting.popleft())
            await self._bell.wait()

    async def give_up(self, attempt: Attempt) -> None:
        """End an attempt of an earlier life: the virtual locks of that life are gone, and so is the code.

        Raises:
            StorageUnavailable: it could not be recorded.
        """
        if attempt.state is State.COMMITTED:
            ending = Ending(
                Step.LOSE, Code.OUTCOME_UNKNOWN, "The bridge was restarted while this was done; nothing proves how far."
            )
        else:
            ending = Ending(Step.FAIL, Code.BRIDGE_OFFLINE, "The bridge was restarted before this was begun.")
        await self._journal.end(attempt, ending, self._tell)

    async def _take(self, task: Task, lock_id: str, given: Method, deed: Deed) -> Attempt:
        if self._stopping:
            raise Refused(Code.BRIDGE_OFFLINE, "The bridge is stopping.")
        if len(self._waiting) >= MOST_WAITING:
            raise Refused(Code.DEVICE_BUSY, f"{MOST_WAITING} simulations are waiting already.", retry_after=1.0)
        now = self._clock.boottime()
        try:
            attempt = await self._journal.accept(Command(lock_id, task, given, arrived=now), now + self._ttl)
        except StorageUnavailable as error:
            raise Refused(
                Code.STORAGE_UNAVAILABLE, "The bridge cannot write its journal now, so it takes no command."
            ) from error
        self._waiting.append(_Waiting(attempt, deed))
        self._bell.ring()
        return attempt

    async def _carry_out(self, waiting: _Waiting) -> None:
        attempt = waiting.attempt
        try:
            attempt = await self._journal.commit(attempt)
        except StorageUnavailable:
            ending = _failed(Code.STORAGE_UNAVAILABLE, "The journal cannot be written, so nothing was done.")
        else:
            ending = await waiting.deed(attempt) if not self._over(attempt) else _late()
        while True:
            try:
                ended = await self._journal.end(attempt, ending, self._tell)
                break
            except StorageUnavailable as error:
                log.warning("outcome not recorded yet", lock_id=attempt.lock_id, reason=str(error))
                await anyio.sleep(STORAGE_PAUSE)
        log.info(
            "attempt ended",
            lock_id=ended.lock_id or None,
            action_attempt_id=str(ended.attempt_id),
            action=ended.action,
            state=ended.state,
            code=ended.code,
        )

    async def _reset(self, attempt: Attempt) -> Ending:
        """Reset each lock once its motor rests: what it does for an accepted command is brought to its end."""
        for lock in self._sandbox.locks.values():
            while lock.busy:
                if self._over(attempt):
                    return _late()
                await anyio.sleep(REST_POLL)
            lock.reset()
        return Ending(Step.CONFIRM)

    def _over(self, attempt: Attempt) -> bool:
        return attempt.over(self._clock.boot_id, self._clock.boottime())


def _at_keypad(lock: VirtualLock, press: Callable[[], object]) -> Deed:
    async def deed(_attempt: Attempt) -> Ending:
        await anyio.lowlevel.checkpoint()
        if lock.busy or lock.state is LockState.UNCALIBRATED:
            return _failed(Code.FIRMWARE_REJECTED, "The virtual lock takes no entry at its keypad now.")
        press()
        return Ending(Step.CONFIRM)

    return deed


def _failed(code: Code, message: str) -> Ending:
    return Ending(Step.FAIL, code=code, message=message)


def _late() -> Ending:
    return _failed(Code.ACTION_TIMEOUT, "The deadline passed before it was done.")
