"""Named points at which a test may let the process die, as a power cut would."""

from __future__ import annotations

import os
import signal

_AT = os.environ.get("LOCK_BRIDGE_CRASH_AT")


def point(name: str) -> None:
    """Die here if the environment says so (`LOCK_BRIDGE_CRASH_AT`); otherwise do nothing."""
    if _AT is not None and name == _AT:
        os.kill(os.getpid(), signal.SIGKILL)
