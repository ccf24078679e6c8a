"""One bridge per adapter: a claim on it that ends with the process, however that ends.

The claim is a lock (flock) on the adapter's own folder in sysfs. Every user can open it, whatever state folder or
sandbox a bridge has; nothing needs to be made or tidied up; and it is gone with an adapter that is unplugged. Programs
that are no bridge do not ask for it and are not hindered: two scanners get along, two masters of one lock do not.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import structlog

from bridge.ble.radio import Cause, RadioDown

ADAPTERS = Path("/sys/class/bluetooth")

_log = structlog.get_logger()


class AdapterTaken(RadioDown):
    """Another bridge on this machine uses the adapter."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Another lock-bridge on this machine uses the Bluetooth adapter {name}: stop it"
            " (`systemctl stop lock-bridge`), or give each its own adapter (`adapters` in [bluetooth]).",
            Cause.TAKEN,
        )


class Claim:
    """The claim on one adapter, whatever number the kernel gives it."""

    def __init__(self, adapters: Path | None = None) -> None:
        self._adapters = ADAPTERS if adapters is None else adapters
        self._held: int | None = None

    def take(self, name: str) -> None:
        """Claim the adapter `name` (hci0), if it is not claimed already; it stays so until `release`.

        An adapter that was plugged in anew is another one to the kernel, and is claimed anew.

        Raises:
            AdapterTaken: another bridge has it.
        """
        try:
            folder = os.open(self._adapters / name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self.release()
            _log.warning("radio.not_claimed", adapter=name, reason=error.strerror)
            return
        if self._held is not None and os.path.sameopenfile(folder, self._held):
            os.close(folder)
            return
        self.release()
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            raise AdapterTaken(name) from None
        self._held = folder

    def release(self) -> None:
        """Give the claim up."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
