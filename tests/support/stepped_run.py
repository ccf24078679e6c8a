"""A trio run under virtual time that stands still between the steps that a test asks of it."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import outcome
import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
LIMIT = 1e6
"""Seconds after which a step counts as stuck."""


class SteppedRun:
    """Runs in a thread of its own, which waits without letting the run go on, so that no time passes meanwhile."""

    def __init__(self) -> None:
        self._steps: queue.SimpleQueue[Callable[[], Awaitable[Any]] | None] = queue.SimpleQueue()
        self._ends: queue.SimpleQueue[outcome.Outcome[Any]] = queue.SimpleQueue()
        self.over = False
        """Whether a task has failed, and the run with it."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, step: Callable[[], Awaitable[T]]) -> T:
        """Let the run go on until the step is done.

        Raises:
            Exception: as the step, or any task of the run, raised it.
        """
        if self.over:
            raise RuntimeError("the run is over")
        self._steps.put(step)
        return self._ends.get().unwrap()

    def close(self) -> None:
        """Cancel what still runs."""
        self._steps.put(None)
        self._thread.join()

    def _run(self) -> None:
        end = outcome.capture(trio.run, self._serve, clock=trio.testing.MockClock(autojump_threshold=0))
        self.over = True
        self._ends.put(end)

    async def _serve(self) -> None:
        async with trio.open_nursery() as self.nursery:
            while (step := self._steps.get()) is not None:
                try:
                    with trio.fail_after(LIMIT):
                        end: outcome.Outcome[Any] = outcome.Value(await step())
                except Exception as error:  # noqa: BLE001 - `do` raises it where it belongs
                    end = outcome.Error(error)
                self._ends.put(end)
            self.nursery.cancel_scope.cancel()
