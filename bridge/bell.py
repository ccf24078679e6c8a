"""A wake-up call that is never missed and never counted."""

from __future__ import annotations

import anyio


class Bell:
    """Rung by whoever has news, waited for by the one who acts on them."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake the waiter, now or as soon as it waits."""
        self._event.set()

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
