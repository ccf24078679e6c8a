"""How long the driver waits for a lock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from drivers.base import LinkLost

if TYPE_CHECKING:
    from collections.abc import Generator

RESPONSE_TIMEOUT = 5.0
"""Seconds that the lock has to answer, or to say the next thing: a few connection intervals, and retransmissions."""
SETTLE_TIME = 2.0
"""Seconds for which a motor that has given up is watched before that is believed: the bolt may come free."""
WRITE_TIME = 2.0
"""Seconds that handing a segment to the radio may take: nothing is waited for on the air."""
STEP_TIMEOUT = 10.0
"""Seconds for a registration: there the lock's small processor has a key agreement to compute."""

GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)
"""How a subscription's stream ends."""


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Bound a wait for the lock.

    Raises:
        LinkLost: nothing came of it in time.
    """
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise LinkLost("The lock did not answer in time.")
