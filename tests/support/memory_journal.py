"""What `bridge.journal.Journal` promises, in lists: nothing but the rules, to measure the one on disk by."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bridge.attempt import State, Step, advance
from bridge.errors import IllegalStep, StorageUnavailable
from bridge.journal.journal import ATTEMPT_MEMORY, CUSTOM_ID_MEMORY
from bridge.model import Attempt, Command, Ending, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.bell import Bell
    from bridge.clock import Clock
    from bridge.journal.store import Run
    from drivers.base import Action


@dataclass
class _Row:
    command: Command
    attempt: Attempt


class _NoWebhook:
    def begin(self) -> None:
        raise NotImplementedError("No webhook in this house.")

    async def end(self) -> int:
        return 0


class MemoryJournal:
    """Outlives the bridge's lives; `reopened` begins one.

    Attributes:
        failing: whether nothing can be written.
    """

    set_aside = None

    def __init__(self, clock: Clock) -> None:
        self.epoch = str(uuid.uuid4())
        self.fresh = True
        self.failing = False
        self.rows: list[_Row] = []
        self.events: list[Event] = []
        self.sent: set[int] = set()
        self._facts: dict[str, str] = {}
        self.posting = _NoWebhook()
        self._clock = clock
        self._count = itertools.count(1)

    def reopened(self, bell: Bell, run: Run) -> MemoryJournal:
        self._bell = bell
        self._run = run
        return self

    async def close(self) -> None:
        """Nothing is held."""

    async def _write(self, work: Callable[[], Any]) -> Any:
        def guarded() -> Any:
            if self.failing:
                raise StorageUnavailable("It is full.")
            return work()

        return await self._run(guarded)

    async def accept(self, command: Command, deadline: float) -> Attempt:
        attempt = Attempt(
            seq=next(self._count),
            action_id=f"act_{uuid.uuid4().hex[:16]}",
            attempt_id=uuid.uuid4(),
            lock_id=command.lock_id,
            action=command.action,
            method=command.method,
            custom_id=command.custom_id,
            boot_id=self._clock.boot_id,
            deadline=deadline,
            accepted_at=self._clock.wall(),
        )
        await self._write(lambda: self.rows.append(_Row(command, attempt)))
        return attempt

    async def commit(self, attempt: Attempt) -> Attempt:
        return await self._write(lambda: self._advance(attempt, replace(attempt, state=State.COMMITTED), Step.COMMIT))

    async def end(
        self,
        attempt: Attempt,
        ending: Ending,
        events: Callable[[Attempt], Sequence[Event]],
        facts: Callable[[], Mapping[str, str]] = dict,
    ) -> Attempt:
        ended = replace(
            attempt,
            state=advance(attempt.state, ending.step),
            method=ending.method or attempt.method,
            stage=ending.stage,
            code=ending.code,
            message=ending.message,
            changed=ending.changed,
            ended_at=self._clock.wall(),
        )

        def work() -> Attempt:
            self._advance(attempt, ended, ending.step)
            self._tell(events(ended))
            self._facts |= facts()
            return ended

        await self._write(work)
        self._bell.ring()
        return ended

    def _advance(self, before: Attempt, after: Attempt, step: Step) -> Attempt:
        (row,) = (row for row in self.rows if row.attempt.seq == before.seq)
        if advance(row.attempt.state, step) is not after.state:
            raise IllegalStep("It is elsewhere.")
        row.attempt = after
        return after

    def _tell(self, events: Sequence[Event]) -> None:
        self.events += [replace(event, seq=len(self.events) + nth) for nth, event in enumerate(events, 1)]

    async def tell(self, events: Sequence[Event], facts: Mapping[str, str] = MappingProxyType({})) -> None:
        def work() -> None:
            self._tell(events)
            self._facts |= facts

        await self._write(work)
        self._bell.ring()

    async def facts(self) -> dict[str, str]:
        return await self._run(lambda: dict(self._facts))

    async def unsent(self, after: int, limit: int) -> list[Event]:
        return await self._run(lambda: [e for e in self.events[after:] if e.seq not in self.sent][:limit])

    async def mark_sent(self, seqs: Iterable[int]) -> None:
        await self._write(lambda: self.sent.update(seqs))

    async def earlier(self, command: Command, window: float) -> Attempt | None:
        def age(row: _Row) -> float:
            if row.attempt.boot_id == self._clock.boot_id:
                return self._clock.boottime() - row.command.arrived
            return (self._clock.wall() - row.attempt.accepted_at).total_seconds()

        def same(row: _Row, key: str, memory: float) -> bool:
            known, wanted = row.command, getattr(command, key)
            alike = (known.lock_id, known.action) == (command.lock_id, command.action)
            return alike and wanted is not None and getattr(known, key) == wanted and age(row) <= memory

        remembered = ATTEMPT_MEMORY if command.signed else CUSTOM_ID_MEMORY
        keys = {"custom_id": remembered} if command.custom_id else {"request_key": window}
        keys |= {"packet_key": window} if command.redelivered else {}
        found = ((row for row in reversed(self.rows) if same(row, *each)) for each in keys.items())
        return await self._run(lambda: next((row.attempt for rows in found for row in rows), None))

    async def accepted_since(self, lock_id: str, action: Action, since: float) -> int:
        def counts(row: _Row) -> bool:
            same = (row.attempt.lock_id, row.attempt.action) == (lock_id, action)
            return same and row.attempt.boot_id == self._clock.boot_id and row.command.arrived > since

        return await self._run(lambda: sum(map(counts, self.rows)))

    async def open_attempts(self) -> list[Attempt]:
        return await self._run(lambda: [row.attempt for row in self.rows if not row.attempt.state.terminal])

    async def fact(self, name: str, default: str) -> str:
        return await self._write(lambda: self._facts.setdefault(name, default))

    async def settle(self) -> None:
        await self._write(lambda: setattr(self, "fresh", False))

    async def prune(self) -> None:
        """All is remembered."""
