"""When each device was heard last, and how strongly. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

ALLOWANCE = 30.0
"""Seconds of healthy scanning after which an unheard lock counts as silent.

The kernel scans in rounds of ten seconds, five apart, and tells of each device once a round.
"""

_REMEMBERED = 1024
"""Addresses whose last hearing is kept. Phones around change theirs every quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Heard:
    """When an adapter last heard a device, in boot time, and how strongly, in dBm."""

    at: float
    rssi: int | None


class Hearing:
    """What one adapter has heard.

    Args:
        ours: upper-case addresses that are never forgotten.
    """

    def __init__(self, ours: Collection[str]) -> None:
        self._ours = ours
        self._heard: dict[str, Heard] = {}

    def get(self, address: str) -> Heard | None:
        """Tell when a device was last heard; None if it was not, or too long ago to remember."""
        return self._heard.get(address)

    def note(self, address: str, heard: Heard) -> None:
        """Note that a device was heard, forgetting the stranger that was not heard for longest."""
        self._heard.pop(address, None)
        self._heard[address] = heard
        if len(self._heard) > _REMEMBERED:
            stranger = next((each for each in self._heard if each not in self._ours), address)
            del self._heard[stranger]


def last_heard(heard: Iterable[Heard | None], now: float) -> Heard | None:
    """Return when a device was last heard by any of several adapters, as strongly as the one that hears it best has it.

    Args:
        heard: by each of them.
        now: boot time in seconds.
    """
    all_heard = [each for each in heard if each is not None]
    if not all_heard:
        return None
    last = max(all_heard, key=lambda each: each.at)
    strengths = [each.rssi for each in all_heard if each.rssi is not None and now - each.at <= ALLOWANCE]
    return Heard(last.at, max(strengths, default=last.rssi))
