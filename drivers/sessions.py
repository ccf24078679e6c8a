"""What a driver's session offers, and the link that it works over. `drivers.base` has the rules and these names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, runtime_checkable

from anyio.streams.memory import MemoryObjectReceiveStream

from drivers.values import Action, AutoLock, LogRecord, Outcome, Snapshot


class Link(Protocol):
    """One GATT connection. Every method raises `LinkLost` once it is gone."""

    @property
    def address(self) -> str:
        """The lock's Bluetooth address, upper case with colons."""
        ...

    def has(self, characteristic: str) -> bool:
        """Tell whether the connected device offers the characteristic (a full lower-case UUID)."""
        ...

    async def read(self, characteristic: str) -> bytes:
        """Read a characteristic's value."""
        ...

    async def write(self, characteristic: str, data: bytes, *, response: bool = True) -> None:
        """Write a value; with `response`, return once the lock has acknowledged it."""
        ...

    def subscribe(self, characteristic: str) -> AbstractAsyncContextManager[MemoryObjectReceiveStream[bytes]]:
        """Subscribe to notifications or indications; the stream ends (`EndOfStream`) when the link does.

        Entered and left in any task; leaving it unsubscribes where the link still stands.
        """
        ...


Seen = Callable[[Snapshot], None]
"""Takes each state that a lock reports on the way of an action."""
Check = Callable[[], None]
"""Sees, right before what can move the bolt is sent, that it still may be; raises if not."""


def unconditionally() -> None:
    """Check nothing."""


class Actuation(Protocol):
    """One action made ready: everything is done but the write that can move the bolt."""

    async def run(self, seen: Seen, check: Check = unconditionally) -> Outcome:
        """Send the action, once, and wait for the lock's own report of its end.

        Never raises for what the lock or the link does: after the write that is an `Outcome`. Bounded by the caller
        through cancellation.

        Args:
            seen: called with each state that the lock reports on the way.
            check: called right before what can move the bolt is sent, when nothing more is waited for. What it raises
                is let through: nothing is sent then, and the session stays fit for use.
        """
        ...


class Session(Protocol):
    """An authenticated conversation with one lock over one link."""

    async def read(self) -> Snapshot:
        """Ask the lock for its state now. Cancelled, it leaves the session fit for use.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    async def prepare(self, action: Action, tag: bytes) -> Actuation:
        """Do everything for the action that cannot move the bolt (a nonce, say). May be repeated.

        Args:
            action: one of the driver's capabilities.
            tag: up to `TAG_BYTES` bytes to leave in the lock's log, where the vendor can.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    @property
    def has_log(self) -> bool:
        """Whether `find` can tell: the lock's log can be read and actuations leave their tag in it."""
        ...

    async def find(self, tag: bytes) -> LogRecord | None:
        """Look the log up for the entry that an actuation with this tag left; None if there is none or no log.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    @property
    def lock_time(self) -> datetime | None:
        """The lock's own time when it was last read, which dates the entries of its log; None if it does not tell."""
        ...

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        """Read the lock's log, which leaves it as it is.

        Broken off, it leaves the session fit for nothing but reading the state.

        Args:
            after: the record after which to begin, oldest first; None for the newest entries, newest first.
            count: at most so many.

        Raises:
            DriverError: `NOT_AUTHORIZED` where it may not be read or is not kept, or else the lock refused; `LinkLost`:
                the link is gone or the lock is mute.
        """
        ...

    async def changed(self) -> None:
        """Return once the lock has told, unasked, of something new since it was last read.

        Waits for ever where locks tell nothing by themselves. Cancelled, it leaves the session fit for use.

        Raises:
            LinkLost: the link is gone.
        """
        ...

    async def aclose(self) -> None:
        """Say goodbye where the protocol has such a thing. Never raises; does not close the link."""
        ...


@runtime_checkable
class AutoLocking(Session, Protocol):
    """A session with a lock that can be told when to lock itself (`Capabilities.auto_lock`)."""

    async def auto_lock(self) -> AutoLock:
        """Ask the lock whether it locks itself, and when.

        Raises:
            DriverError: the lock refused, or a PIN is missing; `LinkLost`: the link is gone or the lock is mute.
        """
        ...

    async def prepare_auto_lock(self, wanted: AutoLock) -> Actuation:
        """Do everything for the change that changes nothing yet. May be repeated.

        The actuation sends it once, and is `Confirmed` only by what the lock then says of itself.

        Raises:
            DriverError: the lock refused, or a PIN is missing; `LinkLost`: the link is gone or the lock is mute.
        """
        ...


@runtime_checkable
class Consuming(Session, Protocol):
    """A session with a lock that forgets each entry of its log as it is read. Read only where the owner says so."""

    async def take(self) -> LogRecord | None:
        """Take the oldest entry out of the lock's log; None if there is none. It has no `record_id` of its own.

        Broken off, an entry may be lost.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        ...


@runtime_checkable
class Revocable(Session, Protocol):
    """A session that can have the lock forget the key that it was opened with."""

    async def revoke(self) -> None:
        """Have the lock forget the key; the session is of no more use then.

        Raises:
            DriverError: the lock refused, or a PIN is missing; `LinkLost`: the link is gone or the lock is mute, and
                it may have forgotten the key.
        """
