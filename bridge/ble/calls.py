"""Calls from level-cancelled code into a library that expects edges.

An anyio cancel scope cancels every later `await` again; asyncio libraries such as bleak expect one `CancelledError` and
then await their own cleanup, which a scope would cut off. So:

1. A call runs in a task of its own that no cancel scope reaches.
2. It is ended by one edge: at its bound, when its caller is cancelled, or when its owner ends it. It then has
   `CLEANUP` seconds before a second edge ends the cleanup too.
3. Its caller returns only after it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio

T = TypeVar("T")

CLEANUP = 10.0
"""Seconds that a call may take to clean up after it was ended. BlueZ answers a Disconnect within two."""


class Calls:
    """The calls in flight on behalf of one owner."""

    def __init__(self) -> None:
        self._flights: set[_Flight[Any]] = set()

    async def run(self, call: Callable[[], Awaitable[T]], *, within: float, grace: float = 0.0) -> T:
        """Await `call()`, shielded and bounded; cancelled, it may still come to its end for `grace` seconds.

        A caller that is cancelled does not learn the result: what a successful call opened is the caller's to close
        then.

        Raises:
            TimeoutError: it took longer than `within` seconds, or its owner ended it.
            Exception: what the call raised.
        """
        flight = _Flight(call, within)
        self._flights.add(flight)
        task = asyncio.create_task(flight.run())  # asyncio's own: no scope knows of it
        try:
            await asyncio.wait([task])
        finally:
            flight.end(grace)
            with anyio.CancelScope(shield=True):
                if not task.done():
                    await asyncio.wait([task])
            self._flights.discard(flight)
        return flight.result()

    def end(self) -> None:
        """End every call in flight."""
        for flight in self._flights:
            flight.end()


class _Flight(Generic[T]):
    def __init__(self, call: Callable[[], Awaitable[T]], within: float) -> None:
        self._call = call
        self._edge = asyncio.timeout(within)
        self._last = asyncio.timeout(within + CLEANUP)
        self._result: list[T] = []
        self._error: Exception | None = None
        self._started = False
        self._ended = False

    async def run(self) -> None:
        try:
            await self._fly()
        except Exception as error:  # noqa: BLE001 - `result` raises it in the caller's task
            self._error = error
        finally:
            self._ended = True

    def end(self, grace: float = 0.0) -> None:
        """Give the call its edge, after so many seconds, unless it had one."""
        if self._ended:
            return
        self._ended = True
        if self._started and not self._edge.expired():
            edge = asyncio.get_running_loop().time() + grace
            self._edge.reschedule(min(edge, self._edge.when() or edge))
            self._last.reschedule(edge + CLEANUP)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]

    async def _fly(self) -> None:
        if self._ended:
            raise TimeoutError
        async with self._last, self._edge:
            self._started = True
            self._result.append(await self._call())
