"""Whether everything that the bridge does comes to an end in its time. Pure.

Theory of operation: a task of the bridge either waits for the world outside, for as long as it takes (a command, a
broker, an advertisement), or is about a piece of work that is bounded in time. Such work is announced where it is done:

    with progress.expected("the journal", within=60.0):
        ...

What is not over by then is overdue: a hung disk, a lost wake-up, a fault of the program. Whoever feeds the watchdog
asks for what is overdue and stops feeding while anything is. That the event loop turns is proved by its being asked.

A bound is no time limit: nothing is cut short by it. It is generous, since what ends late is better than a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio


@dataclass(frozen=True, slots=True, eq=False)
class _Duty:
    """One piece of work."""

    name: str
    due: float


class Progress:
    """The work that is under way.

    Args:
        now: gives time in seconds that stands still while the machine is suspended; anyio's by default.
    """

    def __init__(self, now: Callable[[], float] = anyio.current_time) -> None:
        self._now = now
        self._under_way: set[_Duty] = set()

    @contextmanager
    def expected(self, name: str, *, within: float) -> Generator[None]:
        """Announce the block as work that ends in so many seconds, however it ends.

        Args:
            name: for people; may be that of other work too.
            within: seconds.
        """
        duty = _Duty(name, self._now() + within)
        self._under_way.add(duty)
        try:
            yield
        finally:
            self._under_way.remove(duty)

    def overdue(self) -> list[str]:
        """Return the names of what should be over by now, the longest overdue first."""
        now = self._now()
        late = sorted((duty for duty in self._under_way if duty.due < now), key=lambda duty: duty.due)
        return list(dict.fromkeys(duty.name for duty in late))
