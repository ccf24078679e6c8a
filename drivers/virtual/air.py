"""What lies between a wire skin and its central: fragments, and what becomes of them on the way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from drivers.virtual.faults import Trouble

if TYPE_CHECKING:
    from drivers.virtual.lock import VirtualLock
    from drivers.virtual.peripheral import Central

ATT_HEADER = 3
"""Bytes of the ATT MTU that an indication's header takes (Bluetooth Core 5.4, vol 3 part F, 3.4.7.2)."""


@dataclass(frozen=True, slots=True)
class _Indication:
    central: Central
    characteristic: str
    data: bytes
    delay: float = 0


@dataclass(frozen=True, slots=True)
class _HangUp:
    central: Central


class Air:
    """The one connection that a lock allows, with the troubles that are armed in its lock.

    Args:
        lock: whose reach and whose faults count.
        fragment: the longest indication in bytes; None for as long as the MTU allows.
        delay: seconds by which a delayed indication, and all that follow it, come later.
    """

    def __init__(self, lock: VirtualLock, *, fragment: int | None = None, delay: float = 1.0) -> None:
        """Begin without a central."""
        self.fragment = fragment
        self.delay = delay
        self.central: Central | None = None
        self.mute = False
        """Whether what the lock says is lost until it is asked again."""
        self._lock = lock
        self._waiting: deque[_Indication | _HangUp] = deque()
        self._overtaken: _Indication | None = None
        self._stir = anyio.Event()
        lock.watch(self._check_reach)

    def connected(self, central: Central) -> None:
        """Take a central.

        Raises:
            ConnectionRefusedError: the lock is out of range, held by another central, or told to refuse.
        """
        lock = self._lock
        taken = self.central is not None or lock.held_by_phone
        if not lock.reachable or taken or lock.faults.strikes(Trouble.REFUSE_CONNECTION):
            raise ConnectionRefusedError("The virtual lock takes no connection now.")
        self.central = central
        self.mute = False

    def disconnected(self, central: Central) -> None:
        """Forget the central and all that was still to be told to it."""
        if central is self.central:
            self.central = None
            self._overtaken = None

    def indicate(self, characteristic: str, message: bytes) -> None:
        """Send a message to the connected central, in as many indications as it takes."""
        if self.central is None or self.mute:
            return
        size = self.central.mtu - ATT_HEADER
        if self.fragment is not None:
            size = min(size, self.fragment)
        for start in range(0, len(message), size):
            self._send(_Indication(self.central, characteristic, message[start : start + size]))

    def hang_up(self) -> None:
        """End the connection once all that was said before is sent."""
        if self.central is not None:
            self._waiting.append(_HangUp(self.central))
            self._stir.set()

    def drop(self) -> None:
        """End the connection now; nothing more gets through."""
        if (central := self.central) is not None:
            self.disconnected(central)
            central.drop()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Carry what is sent. Ends only by cancellation."""
        task_status.started()
        while True:
            while self._waiting:
                await self._carry(self._waiting.popleft())
            self._stir = anyio.Event()
            await self._stir.wait()

    async def _carry(self, item: _Indication | _HangUp) -> None:
        if isinstance(item, _Indication) and item.delay:
            await anyio.sleep(item.delay)
        if item.central is not self.central:
            return
        if isinstance(item, _HangUp):
            self.drop()
        else:
            item.central.notify(item.characteristic, item.data)

    def _send(self, indication: _Indication) -> None:
        faults = self._lock.faults
        if faults.strikes(Trouble.LOSE_INDICATION):
            return
        if faults.strikes(Trouble.DELAY_INDICATION):
            indication = replace(indication, delay=self.delay)
        if self._overtaken is None and faults.strikes(Trouble.REORDER_INDICATION):
            self._overtaken = indication
            return
        copies = 2 if faults.strikes(Trouble.DUPLICATE_INDICATION) else 1
        self._waiting.extend([indication] * copies)
        if self._overtaken is not None:
            self._waiting.append(self._overtaken)
            self._overtaken = None
        self._stir.set()

    def _check_reach(self) -> None:
        if not self._lock.reachable:
            self.drop()
