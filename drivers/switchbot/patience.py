"""How long the driver waits for a lock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from drivers.base import LinkLost

if TYPE_CHECKING:
    from collections.abc import Generator

RESPONSE_TIMEOUT = 5.0
"""Seconds that the lock has to answer. It answers within some tenths of a second (captures of a Lock Pro: 0.1 to 0.5);
the rest is for retransmissions over a bad link."""
QUIET = 1.5
"""Seconds without a report after which an action that was taken is asked after."""

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
