"""The contract of a radio: advertisements as a stream, connect gives a link.

Two radios stand behind it: `bluez`, a real adapter, and `virtual`, the virtual locks of the configuration.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import anyio.abc
from anyio.abc import ObjectReceiveStream

from drivers.base import Advertisement, DriverError, Fault, Link


class Cause(StrEnum):
    """Why an adapter, or all of them, cannot be used."""

    NO_BUS = "no_bus"
    """D-Bus cannot be reached."""
    FORBIDDEN = "forbidden"
    """The bridge's user may not talk to bluetoothd."""
    GONE = "gone"
    """bluetoothd is not running."""
    HUNG = "hung"
    """bluetoothd does not answer."""
    ABSENT = "absent"
    """There is no such adapter."""
    OFF = "off"
    """The adapter is powered off."""
    BLOCKED = "blocked"
    """rfkill blocks the adapter: a command, or a switch of the machine."""
    SCAN = "scan"
    """A scan cannot be started, or failed."""
    TAKEN = "taken"
    """Another bridge on this machine uses the adapter."""


class RadioDown(DriverError):
    """No adapter can be used now: absent, powered off, or bluetoothd is not answering."""

    def __init__(self, message: str, cause: Cause = Cause.SCAN) -> None:
        super().__init__(Fault.RADIO_DOWN, message)
        self.cause = cause


class Absence(StrEnum):
    """Why a lock is not available."""

    NEVER_SEEN = "never_seen"
    OUT_OF_RANGE = "out_of_range"
    HELD_BY_ANOTHER = "held_by_another"
    CREDENTIALS_REFUSED = "credentials_refused"
    ADAPTER_DOWN = "adapter_down"


class Unreachable(DriverError):
    """The lock could not be connected to: out of range, switched off, or held by another central."""

    def __init__(self, message: str, absence: Absence | None = Absence.OUT_OF_RANGE) -> None:
        super().__init__(Fault.UNREACHABLE, message)
        self.absence = absence
        """What that says of the lock; None if nothing."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What scanning tells of one lock."""

    heard_at: float | None = None
    """Boot time in seconds of its last advertisement or link; None if not heard since the start."""
    rssi: int | None = None
    """dBm, as last heard."""
    silent: bool = False
    """A healthy scan has run for longer than the lock's advertising allows and has not heard it, though it once did."""


class OpenLink(Link, Protocol):
    """A link as the bridge holds it: it can also be waited for and closed."""

    async def ended(self) -> None:
        """Return once the link is gone, whoever ended it."""
        ...

    async def aclose(self) -> None:
        """Disconnect. Never raises; bounded in time; safe to call under cancellation and more than once."""


class Radio(Protocol):
    """What finds locks and connects to them."""

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the adapter: scan, watch it, recover it. Started once it can be asked; ends only by cancellation."""

    @property
    def usable(self) -> bool:
        """Whether an adapter is up, so that a connection is worth trying."""
        ...

    def presence(self, address: str) -> Presence:
        """Tell when the lock was last heard."""
        ...

    def advertisements(self) -> AbstractAsyncContextManager[ObjectReceiveStream[Advertisement]]:
        """Listen to what is on the air from now on. A slow listener loses the oldest, never delays the radio."""
        ...

    async def wanted(self, address: str) -> None:
        """Return once another lock waits for the place that the link to this one holds: it is to end, if it is idle.

        Called while the link lingers; cancelled when it is used again.
        """
        ...

    async def connect(self, address: str, *, within: float) -> OpenLink:
        """Connect to a lock, taking at most `within` seconds.

        Raises:
            RadioDown: no adapter can be used.
            Unreachable: the lock did not answer in time, or refused.
        """
        ...
