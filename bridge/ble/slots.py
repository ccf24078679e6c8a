"""Connection slots: given in the order of asking, and asked back from links that merely linger.

Rules:
1. A slot that becomes free goes to whoever has waited longest for one of its adapter.
2. Whoever waits has one lingering link asked to end, the one that has lingered longest.
3. A slot is free again when its connection has ended, not when its end was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

import anyio

A = TypeVar("A", bound=Hashable)


class Slots(Generic[A]):
    """The slots of any number of adapters.

    Args:
        capacity: connections that each adapter may hold at once.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._taken = Counter[A]()
        self._waiting: list[_Waiter[A]] = []
        self._lingering: list[Slot[A]] = []

    def free(self, adapter: A) -> int:
        """Return how many connections the adapter has left."""
        return self._capacity - self._taken[adapter]

    async def take(self, adapters: Sequence[A], within: float) -> Slot[A]:
        """Take a slot of the first of these adapters that has one; if none has, wait for one of any of them.

        Raises:
            TimeoutError: none became free in so many seconds.
        """
        for adapter in adapters:
            if self.free(adapter) > 0:  # then nobody waits for it
                return self._give(adapter)
        waiter = _Waiter(tuple(adapters))
        self._waiting.append(waiter)
        self._ask()
        try:
            with anyio.move_on_after(within):
                await waiter.served.wait()
        except BaseException:
            if waiter.slot is not None:  # served in the moment of being cancelled
                self.release(waiter.slot)
            raise
        finally:
            if waiter.slot is None:
                self._waiting.remove(waiter)
        if waiter.slot is None:
            raise TimeoutError
        return waiter.slot

    async def wanted(self, slot: Slot[A]) -> None:
        """Return once somebody waits for this slot: its link merely lingers, and is to end then."""
        asked = slot.asked = anyio.Event()
        self._lingering.append(slot)
        self._ask()
        try:
            await asked.wait()
        except BaseException:
            if slot in self._lingering:
                self._lingering.remove(slot)
            self._withdraw(slot)  # it is used again
            self._ask()
            raise

    def release(self, slot: Slot[A]) -> None:
        """Give a slot back, once or more often."""
        if slot.ended:
            return
        slot.ended = True
        self._taken[slot.adapter] -= 1
        if slot in self._lingering:
            self._lingering.remove(slot)
        self._withdraw(slot)
        for waiter in self._waiting:
            if slot.adapter in waiter.adapters:
                self._waiting.remove(waiter)
                waiter.slot = self._give(slot.adapter)
                waiter.served.set()
                break
        self._ask()

    def _give(self, adapter: A) -> Slot[A]:
        self._taken[adapter] += 1
        return Slot(adapter)

    def _ask(self) -> None:
        for waiter in self._waiting:
            if waiter.promised is None:
                slot = next((each for each in self._lingering if each.adapter in waiter.adapters), None)
                if slot is not None:
                    self._lingering.remove(slot)
                    waiter.promised = slot
                    slot.asked.set()

    def _withdraw(self, slot: Slot[A]) -> None:
        for waiter in self._waiting:
            if waiter.promised is slot:
                waiter.promised = None


class Slot(Generic[A]):
    """The right to one connection. Made by `Slots.take`."""

    def __init__(self, adapter: A) -> None:
        self.adapter = adapter
        self.ended = False
        self.asked = anyio.Event()


class _Waiter(Generic[A]):
    """Whoever waits for a slot of one of these adapters."""

    def __init__(self, adapters: tuple[A, ...]) -> None:
        self.adapters = adapters
        self.served = anyio.Event()
        self.slot: Slot[A] | None = None
        self.promised: Slot[A] | None = None
        """The slot whose lingering link was asked to end for it."""
