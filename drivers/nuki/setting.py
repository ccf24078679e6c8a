"""Changing when a Nuki lock locks itself: the change, good for one write, and what it is to come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import AutoLock, DriverError, Fault

if TYPE_CHECKING:
    from drivers.nuki.protocol.config_commands import Advanced


def auto_lock_of(advanced: Advanced) -> AutoLock:
    """Return what a lock's configuration says of its auto lock.

    Raises:
        DriverError: its firmware is too old to say.
    """
    enabled = advanced.auto_lock_enabled
    if enabled is None:
        raise DriverError(
            Fault.UNCATEGORIZED,
            "The lock's firmware cannot switch its auto lock over Bluetooth. Update it in the Nuki app.",
        )
    return AutoLock(enabled, advanced.auto_lock_timeout)
