"""Waits for what nobody tells: a process, a file, a motor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


async def eventually(condition: Callable[[], object], patience: float = 20.0) -> None:
    """Return once something holds; fail after `patience` seconds."""
    with anyio.fail_after(patience):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(0.02)
