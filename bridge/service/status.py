"""How the bridge is, in one line for `systemctl status`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import anyio

LOOK = 2.0
"""Seconds between two looks at whether the line has changed."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the line is made of."""

    locks: int
    unreachable: int
    """Of the locks, those that are not available."""
    broker: bool
    """Whether the bridge is connected to its broker."""
    radio: bool | None
    """Whether an adapter can be used; None for a virtual radio."""
    stuck: Sequence[str] = ()
    """Work that is overdue."""


def line(condition: Condition) -> str:
    """Return it in words."""
    parts = [
        _locks(condition.locks, condition.unreachable),
        "broker connected" if condition.broker else "no broker",
        f"radio: {_RADIO[condition.radio]}",
    ]
    if condition.stuck:
        parts.insert(0, f"stuck: {', '.join(condition.stuck)}")
    return "; ".join(parts)


_RADIO = {True: "scanning", False: "no usable adapter", None: "virtual"}


def _locks(number: int, unreachable: int) -> str:
    locks = "1 lock" if number == 1 else f"{number or 'no'} locks"
    return f"{locks}, {unreachable} unreachable" if unreachable else locks


async def keep_told(look: Callable[[], Condition], tell: Callable[[str], bool]) -> NoReturn:
    """Tell the service manager the line whenever it changes. Ends only by cancellation.

    Args:
        look: gives the condition now.
        tell: returns whether it was taken; otherwise it is told again.
    """
    told: str | None = None
    while True:
        words = line(look())
        if words != told and tell(f"STATUS={words}"):
            told = words
        await anyio.sleep(LOOK)
