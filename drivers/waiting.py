"""How a session waits for what its lock says."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from drivers.base import LinkLost

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
