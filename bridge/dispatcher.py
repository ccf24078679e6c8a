"""From a message at a door to an attempt at a lock: one admission for every door."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio
import structlog

from bridge import crash, policy
from bridge.attempt import Step
from bridge.ble.radio import Radio
from bridge.clock import Clock
from bridge.errors import Code, Refused, StorageUnavailable
from bridge.journal import Journal
from bridge.keys.signing import Signers
from bridge.lock import Lock
from bridge.model import Attempt, Command, Ending
from bridge.refusals import Refusals
from bridge.worker import Tell, Worker

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The command is on disk."""

    attempt: Attempt
    replayed: bool


class Dispatcher:
    """Admits commands, records them, and gives them to their lock's worker."""

    def __init__(
        self,
        workers: dict[str, Worker],
        *,
        journal: Journal,
        refusals: Refusals,
        radio: Radio,
        clock: Clock,
        rules: policy.Rules,
        memory: float,
        tell: Tell,
        signers: Callable[[], Signers] = Signers,
    ) -> None:
        self._workers = workers
        self._permissions = {lock_id: worker.lock.permission for lock_id, worker in workers.items()}
        self._journal = journal
        self._refusals = refusals
        self._radio = radio
        self._clock = clock
        self._rules = rules
        self._memory = memory
        self._tell = tell
        self._signers = signers
        self._turn = anyio.Lock()
        self._stopping = False

    @property
    def lock_ids(self) -> Iterable[str]:
        """The locks that commands may be for."""
        return self._workers.keys()

    async def submit(self, message: policy.Message) -> Receipt:
        """Take a command or refuse it. A new one is on disk on return and waits for `start`.

        Raises:
            Refused: the first rule that it breaks; nothing was recorded.
        """
        return await self._noted(message.lock_id, lambda: policy.read(message, self._permissions, self._signers()))

    async def submit_task(self, command: Command) -> Attempt:
        """Take the task of a lock's worker or refuse it. It is on disk on return, and under way.

        Raises:
            Refused: the first rule that it breaks; nothing was recorded.
        """
        lock = self._workers[command.lock_id].lock
        receipt = await self._noted(lock.id, lambda: policy.check_task(command, lock.permission, lock.driver.name))
        self.start(receipt)
        return receipt.attempt

    async def _noted(self, lock_id: str, read: Callable[[], Command]) -> Receipt:
        try:
            # One at a time, so that of two copies of one command the second finds the first.
            async with self._turn:
                return await self._submit(read())
        except Refused as refusal:
            self._own(lock_id, refusal)
            await self._refusals.note(refusal, lock_id if lock_id in self._workers else None)
            raise

    def add(self, worker: Worker) -> None:
        """Take commands for one more lock."""
        self._workers[worker.lock.id] = worker
        self._permissions[worker.lock.id] = worker.lock.permission

    def start(self, receipt: Receipt) -> None:
        """Have a new command carried out, once its sender has been told that it was taken."""
        if not receipt.replayed and not receipt.attempt.state.terminal:
            self._workers[receipt.attempt.lock_id].enqueue(receipt.attempt)

    def stop(self) -> None:
        """Take no more commands."""
        self._stopping = True

    async def _submit(self, command: Command) -> Receipt:
        try:
            match policy.admit(command, self._rules, await self._facts(command)):
                case policy.Replay(attempt):
                    return Receipt(attempt, replayed=True)
                case policy.Accept(deadline):
                    attempt = await self._record(command, deadline)
                case policy.Hopeless(deadline, reason):
                    attempt = await self._journal.accept(command, deadline)
                    self._own(command.lock_id, reason)
                    return Receipt(await self._fail(attempt, reason), replayed=False)
        except StorageUnavailable as error:
            log.warning("command not recorded", lock_id=command.lock_id, reason=str(error))
            raise Refused(
                Code.STORAGE_UNAVAILABLE, "The bridge cannot write its journal now, so it takes no command."
            ) from error
        crash.point("after_accept")
        return Receipt(attempt, replayed=False)

    def _own(self, lock_id: str, refusal: Refused) -> None:
        """Have the lock's state say what a command is refused for, so that the one does not contradict the other."""
        if refusal.code is Code.DEVICE_OFFLINE:
            self._workers[lock_id].unheard()

    async def _record(self, command: Command, deadline: float) -> Attempt:
        """Record a command while its worker is on the way to the lock already."""
        worker = self._workers[command.lock_id]
        worker.expect(deadline)
        try:
            crash.point("before_accept")
            return await self._journal.accept(command, deadline)
        except BaseException:
            worker.dismiss()
            raise

    async def _fail(self, attempt: Attempt, reason: Refused) -> Attempt:
        """End an attempt before it is begun; where that cannot be recorded, it is left to be tried."""
        ending = Ending(Step.FAIL, code=reason.code, message=reason.message)
        try:
            return await self._journal.end(attempt, ending, self._tell)
        except StorageUnavailable as error:
            log.warning("outcome not recorded", lock_id=attempt.lock_id, reason=str(error))
            return attempt

    async def _facts(self, command: Command) -> policy.Facts:
        since = self._clock.boottime() - policy.RATE_WINDOW
        limited = self._rules.rate_limit > 0
        return policy.Facts(
            wall=self._clock.wall(),
            clock_trusted=command.expires_at is not None and self._clock.trusted(),
            earlier=await self._journal.earlier(command, self._memory),
            recent=await self._journal.accepted_since(command.lock_id, command.action, since) if limited else 0,
            waiting=self._workers[command.lock_id].waiting,
            hindrance=self._hindrance(self._workers[command.lock_id].lock),
        )

    def _hindrance(self, lock: Lock) -> Refused | None:
        """Return why a command for this lock is hopeless now, if it is."""
        if self._stopping:
            return Refused(Code.BRIDGE_OFFLINE, "The bridge is stopping.")
        if not self._radio.usable:
            return Refused(Code.BRIDGE_OFFLINE, "The bridge has no Bluetooth adapter that works now.")
        if self._radio.presence(lock.address).silent:
            return Refused(Code.DEVICE_OFFLINE, "The device is currently offline and cannot accept commands.")
        return None
