"""Time, from one place: deadlines count in boot time, wall time is data only."""

from __future__ import annotations

import ctypes
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

_TIMESYNCD_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_ID_VARIABLE = "LOCK_BRIDGE_BOOT_ID"
"""Set by the systemd unit (`%b`), whose sandbox hides the file."""

TRUST_FOR = 1.0
"""Seconds for which the answer to whether wall time is right is good: every command asks."""

_STA_UNSYNC = 0x40
"""adjtimex(2): the kernel clock is not synchronised."""
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised, as its return value."""


class Clock(Protocol):
    """What the core asks of time."""

    @property
    def boot_id(self) -> str:
        """The identity of this boot: boot times of another boot mean nothing."""
        ...

    def boottime(self) -> float:
        """Seconds since boot, suspended time included. Never steps."""
        ...

    def wall(self) -> datetime:
        """Now, in UTC; may be wrong and may step."""
        ...

    def trusted(self) -> bool:
        """Whether wall time is known to be right."""
        ...


class SystemClock:
    """The machine's clock."""

    def __init__(self, trust: Literal["auto", "always"] = "auto") -> None:
        self.boot_id = os.environ.get(_BOOT_ID_VARIABLE) or _BOOT_ID.read_text().strip()
        self._always = trust == "always"
        self._trusted = False
        self._ask_at = 0.0

    def boottime(self) -> float:
        """Seconds since boot, suspended time included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> datetime:
        """Now, in UTC."""
        return datetime.now(UTC)

    def trusted(self) -> bool:
        """Whether the configuration vouches for the clock, or a time service has set it."""
        now = self.boottime()
        if now >= self._ask_at:
            self._ask_at = now + TRUST_FOR
            self._trusted = self._always or _TIMESYNCD_SYNCHRONIZED.exists() or _kernel_synchronised()
        return self._trusted


class _Timex(ctypes.Structure):
    """struct timex up to `status`, padded to more than its full size (adjtimex(2))."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def _kernel_synchronised() -> bool:
    """Ask the kernel, which any NTP client tells; a kernel that may not be asked counts as not synchronised."""
    timex = _Timex(modes=0)
    state: int = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC
