"""How much is tried, and what is tried under virtual time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio
import trio.testing
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LONG = bool(os.environ.get("LOCK_BRIDGE_LONG"))
LONG_FACTOR = 20
"""How many times as much is tried in a long run."""
FOREVER = 100_000.0
"""Seconds of virtual time after which whoever still waits hangs."""


def effort(examples: int) -> settings:
    """Return the settings for a test that tries so many examples, and `LONG_FACTOR` times as many in a long run."""
    return settings(
        max_examples=examples * (LONG_FACTOR if LONG else 1),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def virtually(test: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    """Run a test under virtual time of its own, in which a wait that never ends is an error."""

    async def bounded() -> None:
        with anyio.fail_after(FOREVER):
            await test(*arguments)

    clock = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(bounded, backend="trio", backend_options={"clock": clock})
