"""A wake-up call that is never missed and never counted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio


class Bell:
    """Rung by whoever has news, waited for by the one who acts on them."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._others: list[Bell] = []

    @contextmanager
    def another(self) -> Generator[Bell]:
        """Give one more waiter a bell of its own for a while, rung whenever this one is."""
        bell = Bell()
        self._others.append(bell)
        try:
            yield bell
        finally:
            self._others.remove(bell)

    def ring(self) -> None:
        """Wake the waiter, now or as soon as it waits."""
        self._event.set()
        for other in self._others:
            other.ring()

    async def wait(self) -> None:
        """Return once it has been rung since the last time."""
        await self._event.wait()
        self._event = anyio.Event()

    def take(self) -> bool:
        """Tell whether it has been rung since the last time, without waiting."""
        rung = self._event.is_set()
        if rung:
            self._event = anyio.Event()
        return rung
