"""The retained shapes: each lock's state and the bridge's own status."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from drivers.base import LockState

LockStateName = Literal["locked", "unlocked", "unlatched", "locking", "unlocking", "jammed", "unknown"]


class LastOperation(TypedDict):
    """What was last done at the lock, as far as the bridge saw it."""

    action: str
    performed_via: str
    at: str


class Device(TypedDict):
    """A lock as it stands: bolt and door `unknown` unless the lock itself says, battery and signal as last told."""

    lock_id: str
    name: str
    driver: str
    online: bool
    offline_reason: NotRequired[str]
    lock_state: LockStateName
    door_state: Literal["open", "closed", "unknown"]
    battery_level: NotRequired[int]
    battery_critical: NotRequired[bool]
    signal_quality: NotRequired[int]
    last_operation: NotRequired[LastOperation]
    updated_at: str


class SessionInfo(TypedDict):
    """This run of the bridge, for senders that want to know how fresh it is."""

    epoch: str
    uptime_s: int
    clock_trusted: bool


class Status(TypedDict):
    """The bridge's own availability; the last will has the same shape."""

    online: bool
    timestamp: int
    version: str
    session: SessionInfo


_NAMES: dict[LockState, LockStateName] = {
    LockState.LOCKED: "locked",
    LockState.UNLOCKED: "unlocked",
    LockState.UNLATCHED: "unlatched",
    LockState.LOCKING: "locking",
    LockState.UNLOCKING: "unlocking",
    LockState.UNLATCHING: "unlocking",
    LockState.JAMMED: "jammed",
}


def lock_state_name(state: LockState) -> LockStateName:
    """Return the outward name of a lock state; what has none, such as a half-way bolt, is `unknown`."""
    return _NAMES.get(state, "unknown")
