"""The service manager's watchdog (sd_watchdog_enabled(3)), fed while the bridge makes progress.

Where it is fed no more the service manager ends the bridge by SIGABRT and starts it again; an attempt past its commit
point is resolved then as after any other sudden end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

import anyio
import structlog

from bridge.service.progress import Progress

SHARE = 1 / 3
"""Of the watchdog's time, after which it is fed again: one feeding that comes late does no harm."""
RECHECK = 1.0
"""Seconds at most between two looks at whether what was overdue has come to its end after all."""
FOOD = "WATCHDOG=1"

log = structlog.get_logger()


def pause(environ: Mapping[str, str], pid: int) -> float | None:
    """Return after how many seconds the watchdog wants to be fed again; None if there is none for this process."""
    limit, owner = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID") or str(pid)
    if owner != str(pid) or not limit.isdecimal() or int(limit) == 0:
        return None
    return int(limit) / 1e6 * SHARE


async def keep_fed(progress: Progress, every: float, tell: Callable[[str], object]) -> NoReturn:
    """Feed the watchdog for as long as nothing is overdue. Ends only by cancellation.

    Args:
        progress: knows what is overdue.
        every: seconds between two feedings.
        tell: tells the service manager.
    """
    stuck: list[str] = []
    while True:
        overdue = progress.overdue()
        if not overdue:
            tell(FOOD)
            if stuck:
                log.warning("what was stuck goes on", work=", ".join(stuck))
        elif not stuck:
            log.error("stuck: unless it goes on, the service manager will restart the bridge", work=", ".join(overdue))
        stuck = overdue
        await anyio.sleep(min(every, RECHECK) if stuck else every)
