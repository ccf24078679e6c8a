"""Changing when a Nuki lock locks itself: the change, good for one write, and what it is to come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import AutoLock, DriverError, Fault, unconditionally

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import Outcome, Snapshot
    from drivers.nuki.protocol.config_commands import Advanced, SetAdvancedConfig
    from drivers.nuki.session import NukiSession


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


class NukiSetting:
    """A `drivers.base.Actuation`: a new configuration with its nonce, good for one write."""

    def __init__(self, session: NukiSession, wanted: AutoLock, request: SetAdvancedConfig) -> None:
        """Take what will be sent, and what the lock is to say afterwards."""
        self._session = session
        self._wanted = wanted
        self._request: SetAdvancedConfig | None = request

    async def run(self, seen: Callable[[Snapshot], None], check: Callable[[], None] = unconditionally) -> Outcome:
        """Send the change, once, and read it back; see `drivers.base.Actuation`. Nothing moves, so none is `seen`."""
        del seen
        request, self._request = self._request, None
        if request is None:
            raise RuntimeError("An actuation runs once.")
        return await self._session.configure(request, self._wanted, check)
