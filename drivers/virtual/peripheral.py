"""What a virtual lock shows to whatever carries its GATT traffic: virtual radio, socket or real GATT server.

A carrier runs the peripheral (`run`) in its task group, hands it at most one central at a time, and forwards
writes. The motor turns whether or not a central is connected.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio.abc
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from drivers.base import Advertisement
    from drivers.virtual.lock import VirtualLock


class Property(StrEnum):
    """How a characteristic may be used, by GATT's names."""

    READ = "read"
    WRITE = "write"
    WRITE_WITHOUT_RESPONSE = "write-without-response"
    NOTIFY = "notify"
    INDICATE = "indicate"


GattTable = Mapping[str, Mapping[str, frozenset[Property]]]
"""Service UUID to characteristic UUID to its properties; full lower-case UUIDs."""


class AttError(Exception):
    """The peripheral refuses a read or a write, with an ATT error code."""

    def __init__(self, code: int) -> None:
        """Refuse with the error code of Bluetooth Core, vol 3 part F, 3.4.1.1."""
        super().__init__(f"ATT error 0x{code:02x}")
        self.code = code


class Central(Protocol):
    """The connected side, as the peripheral sees it. Calls after the connection's end are without effect."""

    @property
    def mtu(self) -> int:
        """The ATT MTU; a notification carries at most three bytes less."""
        ...

    def notify(self, characteristic: str, data: bytes) -> None:
        """Send a notification or indication, if the central subscribed to it."""

    def drop(self) -> None:
        """End the connection from the peripheral's side (out of range, link lost)."""


class VirtualSettings(BaseModel, frozen=True, extra="forbid"):
    """How a virtual lock begins and behaves (`[locks.virtual]`)."""

    motor_time: float = Field(default=1.0, ge=0, le=60)
    """Seconds that one travel of the bolt takes."""
    locked: bool = True
    """Whether the bolt is out at the start."""
    pin_codes: dict[str, str] = Field(default_factory=dict, repr=False)
    """Keypad code to the name of its holder."""


class Twin(Protocol):
    """A vendor's virtual lock: the wire skin over a `VirtualLock`."""

    address: str
    lock: VirtualLock
    gatt: GattTable

    def advertisement(self) -> Advertisement | None:
        """Return what the lock advertises now; None while it is silent (out of range or switched off)."""

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Live: turn the motor, answer what was written. Ends only by cancellation."""

    def connected(self, central: Central) -> None:
        """A central connected.

        Raises:
            ConnectionRefusedError: the lock is out of range, switched off or held by another central.
        """

    def disconnected(self, central: Central) -> None:
        """The connection ended, from whichever side."""

    def read(self, characteristic: str) -> bytes:
        """Answer a read.

        Raises:
            AttError: the characteristic cannot be read.
        """
        ...

    def write(self, characteristic: str, data: bytes) -> None:
        """Take a write; what the lock answers comes through `Central.notify`, later.

        Raises:
            AttError: the write is refused.
        """


@runtime_checkable
class Greeting(Twin, Protocol):
    """A twin that speaks first: as soon as a central listens to it."""

    def subscribed(self, characteristic: str) -> None:
        """The connected central subscribed to what the characteristic notifies."""
