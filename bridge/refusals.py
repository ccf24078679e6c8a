"""Refused commands: counted, and told upstream so that an operator sees what no sender may be listening for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NoReturn

import anyio
import structlog

from bridge import events
from bridge.clock import Clock
from bridge.errors import Code, Refused, StorageUnavailable
from bridge.journal import Journal
from bridge.wire.seam import Identity

log = structlog.get_logger()

TOLD_EVERY = 60.0
"""Seconds between two events of one kind: a flood of refusals is told as a number, not as a flood of events."""


@dataclass(slots=True)
class _Kind:
    """Refusals of one code for one lock."""

    message: str
    told_at: float
    untold: int = 0


class Refusals:
    """Takes note of every refusal."""

    def __init__(self, journal: Journal, clock: Clock, identity: Identity) -> None:
        self._journal = journal
        self._clock = clock
        self._identity = identity
        self._kinds: dict[tuple[Code, str | None], _Kind] = {}
        self.counts: Counter[Code] = Counter()
        """How many commands were refused since the start, by code."""

    async def note(self, refusal: Refused, lock_id: str | None) -> None:
        """Count a refusal and record its event, unless one of its kind was recorded a moment ago.

        Args:
            refusal: what the sender is told.
            lock_id: of a configured lock; None for any other, which senders may name as they like.
        """
        self.counts[refusal.code] += 1
        log.info("command refused", lock_id=lock_id, code=refusal.code, reason=refusal.message)
        now = self._clock.boottime()
        kind = self._kinds.setdefault((refusal.code, lock_id), _Kind(refusal.message, now - TOLD_EVERY))
        kind.message = refusal.message
        kind.untold += 1
        if now - kind.told_at >= TOLD_EVERY:
            await self._tell(refusal.code, lock_id, kind)

    async def run(self) -> NoReturn:
        """Record the events of what was refused since the last of its kind, once its time has come."""
        while True:
            await anyio.sleep(TOLD_EVERY)
            await self.tell_rest(TOLD_EVERY)

    async def tell_rest(self, after: float = 0.0) -> None:
        """Record the events of what was counted and not told yet.

        Args:
            after: seconds since the last event of its kind.
        """
        for (code, lock_id), kind in tuple(self._kinds.items()):
            if kind.untold and self._clock.boottime() - kind.told_at >= after:
                await self._tell(code, lock_id, kind)

    async def _tell(self, code: Code, lock_id: str | None, kind: _Kind) -> None:
        before, number = kind.told_at, kind.untold
        kind.told_at, kind.untold = self._clock.boottime(), 0
        details = {"error_code": code.value, "message": kind.message, "count": number}
        if lock_id is not None:
            details["lock_id"] = lock_id
        event = events.of_bridge("bridge.command_refused", self._identity, self._clock.wall(), details)
        try:
            await self._journal.tell([event])
        except StorageUnavailable as error:
            log.warning("refusal not recorded", reason=str(error))
            kind.told_at, kind.untold = before, kind.untold + number
