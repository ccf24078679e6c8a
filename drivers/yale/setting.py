"""Changing when a lock locks itself: the change, good for one write, and what it is to come to.

The setting is two timers (`yalexs_ble.lock.Lock.set_auto_lock`): both zero for off, both alike for a timed relock, the
first alone for a lock that locks as soon as its door is shut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import AutoLock, DriverError, Fault
from drivers.yale.protocol.frames import Timers

if TYPE_CHECKING:
    pass

LONGEST = 0xFFFE
"""Seconds that a timer can be set to."""


def auto_lock_of(timers: Timers) -> AutoLock:
    """Return what a setting means; a lock whose auto lock is off keeps no delay."""
    delay = timers.never_opened or timers.door_shut
    return AutoLock(enabled=bool(delay), delay=delay or None)


def timers_for(wanted: AutoLock, found: Timers) -> Timers:
    """Return the setting that is asked for; one that waits only for the door to shut goes on doing so.

    Raises:
        DriverError: there is no such setting.
    """
    if not wanted.enabled:
        return Timers()
    if wanted.delay is None and found != Timers():
        return found
    if wanted.delay is None:
        raise DriverError(Fault.REFUSED, "The lock keeps no delay while its auto lock is off. Ask for a delay, too.")
    if not 1 <= wanted.delay <= LONGEST:
        raise DriverError(Fault.REFUSED, f"The lock's auto lock takes a delay of 1 to {LONGEST} seconds.")
    at_once = bool(found.never_opened) and not found.door_shut
    return Timers(wanted.delay, 0 if at_once else wanted.delay)
