"""What ails an adapter, told from what is seen of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bridge.ble.radio import Cause

DEAF_AFTER = 90.0
"""Seconds without any advertisement after which an adapter that did hear is called deaf."""
STILL_DEAF_AFTER = 45.0
"""The same for a scan that has not heard anything yet on an adapter that did hear before."""
QUIET_AFTER = 300.0
"""The same for an adapter that never heard anything: the place may be quiet."""
GHOST_AFTER = 30.0
"""Seconds of listening within which a lock that was there a moment ago must be heard."""
STUCK_AFTER = 3
"""Failures in a row after which a connection counts as stuck: BlueZ may take a moment to end the one before."""


class Symptom(StrEnum):
    """What is wrong with an adapter, or with bluetoothd as a whole."""

    NO_BUS = "no_bus"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    HUNG = "hung"
    ABSENT = "absent"
    BLOCKED = "blocked"
    """By rfkill in software."""
    SWITCHED_OFF = "switched_off"
    """By a hardware switch."""
    OFF = "off"
    UNPOWERED = "unpowered"
    """It is off, and cannot be powered on."""
    TAKEN = "taken"
    NO_SCAN = "no_scan"
    """A scan cannot be started."""
    DEAF = "deaf"
    """The scan claims to run, and nothing at all is heard."""
    STUCK = "stuck"
    """Connecting to a lock that is heard fails as it does while BlueZ is busy with an earlier connection."""
    GHOST = "ghost"
    """A lock was there until a connection to it was called off, and is not heard since, though others are.

    Called off within milliseconds of its making, a connection can be forgotten by the kernel that controller and lock
    go on with: no disconnect reaches it, and a connected lock does not advertise.
    """


@dataclass(frozen=True, slots=True)
class Down:
    """Why an adapter cannot be used."""

    cause: Cause
    message: str
    since: float


@dataclass(frozen=True, slots=True)
class Stuck:
    """A lock to which connecting fails as it does in a stuck stack."""

    address: str
    failures: int
    """Since the last connection, or since something was done about it."""
    since: float


@dataclass(frozen=True, slots=True)
class Missing:
    """A lock that was heard until a connect to it was called off, and is not heard since."""

    address: str
    since: float


@dataclass(frozen=True, slots=True)
class Health:
    """What is seen of an adapter. Times are boot times in seconds."""

    down: Down | None = None
    listening_since: float | None = None
    """Since when a scan has run with no connection being made; None if none does."""
    heard_at: float | None = None
    """When anything at all was last heard; None if nothing ever was."""
    linked: bool = False
    """A link stands."""
    connecting: bool = False
    """A connection is being made."""
    stuck: tuple[Stuck, ...] = ()
    missing: tuple[Missing, ...] = ()
    soft_blocked: bool = False
    hard_blocked: bool = False

    @property
    def well(self) -> bool:
        """Whether there is proof that it works: a link, or something heard by the scan that runs."""
        if self.down is not None:
            return False
        if self.heard_at is None or self.listening_since is None:
            return self.linked
        return self.linked or self.heard_at >= self.listening_since


@dataclass(frozen=True, slots=True)
class Ailment:
    """What is to be treated."""

    symptom: Symptom
    since: float
    message: str
    lock: str | None = None
    """The address of the lock that it is about, if it is about one."""


_SYMPTOMS: Mapping[Cause, Symptom] = MappingProxyType(
    {
        Cause.NO_BUS: Symptom.NO_BUS,
        Cause.FORBIDDEN: Symptom.FORBIDDEN,
        Cause.GONE: Symptom.GONE,
        Cause.HUNG: Symptom.HUNG,
        Cause.ABSENT: Symptom.ABSENT,
        Cause.BLOCKED: Symptom.BLOCKED,
        Cause.OFF: Symptom.OFF,
        Cause.TAKEN: Symptom.TAKEN,
        Cause.SCAN: Symptom.NO_SCAN,
    }
)

_MESSAGES: Mapping[Symptom, str] = MappingProxyType(
    {
        Symptom.SWITCHED_OFF: "The Bluetooth adapter is switched off by hardware (rfkill): use the machine's switch.",
        Symptom.BLOCKED: "The Bluetooth adapter is blocked by rfkill; `rfkill unblock bluetooth` lifts that.",
        Symptom.OFF: "The Bluetooth adapter is powered off; `bluetoothctl power on` powers it on.",
        Symptom.UNPOWERED: "The Bluetooth adapter is powered off and cannot be powered on.",
    }
)
"""What is told where more is known than the cause."""


def diagnose(health: Health, now: float, *, unpowered: bool = False) -> Ailment | None:
    """Return what is wrong with an adapter; the most general comes first.

    Args:
        health: what is seen of it.
        now: boot time in seconds.
        unpowered: whether it could not be powered on when that was last tried.
    """
    if health.down is not None:
        symptom = _symptom_of(health, health.down.cause, unpowered=unpowered)
        return Ailment(symptom, health.down.since, _MESSAGES.get(symptom, health.down.message))
    return _deaf(health, now) or _stuck(health) or _ghost(health, now)


def _symptom_of(health: Health, cause: Cause, *, unpowered: bool) -> Symptom:
    if cause in (Cause.OFF, Cause.BLOCKED):
        if health.hard_blocked:
            return Symptom.SWITCHED_OFF
        if health.soft_blocked:
            return Symptom.BLOCKED
        if cause is Cause.OFF and unpowered:
            return Symptom.UNPOWERED
    return _SYMPTOMS[cause]


def _deaf(health: Health, now: float) -> Ailment | None:
    if health.listening_since is None or health.linked:
        return None
    if health.heard_at is None:
        last, patience = health.listening_since, QUIET_AFTER
    elif health.heard_at < health.listening_since:
        last, patience = health.listening_since, STILL_DEAF_AFTER
    else:
        last, patience = health.heard_at, DEAF_AFTER
    since = last + patience
    if now < since:
        return None
    return Ailment(Symptom.DEAF, since, f"The Bluetooth adapter has heard nothing at all for {patience:.0f} s.")


def _stuck(health: Health) -> Ailment | None:
    for lock in health.stuck:
        if lock.failures >= STUCK_AFTER:
            message = f"BlueZ cannot connect to {lock.address}, though it is heard."
            return Ailment(Symptom.STUCK, lock.since, message, lock.address)
    return None


def _ghost(health: Health, now: float) -> Ailment | None:
    if health.listening_since is None or health.heard_at is None:
        return None
    for lock in health.missing:
        since = max(lock.since, health.listening_since) + GHOST_AFTER
        if health.heard_at > lock.since and now >= since:
            message = f"{lock.address} is not heard since a connection to it was called off, though others are."
            return Ailment(Symptom.GHOST, since, message, lock.address)
    return None
