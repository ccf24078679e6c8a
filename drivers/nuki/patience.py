"""How long the driver waits for a lock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from drivers.base import LinkLost

if TYPE_CHECKING:
    from collections.abc import Generator

RESPONSE_TIMEOUT = 5.0
"""Seconds that the lock has to answer, or to say the next thing. It answers within a few connection intervals, of at
most some tenths of a second each; the rest is for retransmissions over a bad link."""

STEP_TIMEOUT = 10.0
"""Seconds for each step of pairing: there the lock's small processor has a key agreement to compute, too."""

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
