"""Which hints of a change, noticed on the air, are worth a look at the lock, and when. Times are seconds of one clock.

Anybody can forge an advertisement, and some locks hint at a change that only their own app clears. So after each look
that found nothing, hints rest for longer; after one that found something, which nobody at a distance can bring about,
they rest for a moment only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from drivers.base import Sighting

PAUSE = 10.0
"""Seconds for which hints rest after a look; doubled each time that nothing was found, up to the pace of polling."""
QUIET = 90.0
"""Seconds without a hint, after those, that end all doubling."""


class Hints:
    """The hints of one lock.

    Args:
        limit: of the doubled pause, in seconds.
        polled: whether the lock is looked at in any case; if not, a hint that stays is not believed for ever.
    """

    def __init__(self, limit: float, *, polled: bool) -> None:
        """Begin without a hint."""
        self._limit = limit
        self._polled = polled
        self._hinted = False
        self._marks: Mapping[str, str] = {}  # what was advertised last, by its kind
        self._seen_marks: Mapping[str, str] = {}  # what was advertised last before the lock was read
        self._from = 0.0  # when a hint is believed again
        self._rests = 0.0  # the same, in any case some time
        self._pause = PAUSE

    def heard(self, sighting: Sighting, now: float) -> bool:
        """Take what was advertised; tell whether it is a hint that was not there before."""
        changed = self._changed(sighting)
        if changed is None:
            return False
        new = changed and not self._hinted
        if not changed and self._is_quiet(now):
            self._from, self._pause = 0.0, PAUSE
        self._hinted = changed
        return new

    def due(self, now: float) -> float | None:
        """Return when the lock is to be looked at for a hint; None if there is none."""
        return max(self._from, now) if self._hinted else None

    @property
    def marks(self) -> Mapping[str, str]:
        """What was advertised last, by its kind. A look that is begun now has seen it."""
        return self._marks

    def looked(self, marks: Mapping[str, str], now: float) -> None:
        """Believe the hint that led to a look no more, unless it comes again; `marks` were advertised before it."""
        self._seen_marks = marks
        self._hinted = self._marks != marks
        if self._is_quiet(now):
            self._pause = PAUSE
        self._from = self._rests = now + self._pause

    def weighed(self, now: float, *, found: bool) -> None:
        """Learn whether that look found something."""
        if found:
            self._from = self._rests = now + PAUSE
            return
        self._pause = min(2 * self._pause, self._limit)
        if not self._polled and self._pause >= self._limit:
            self._from = math.inf

    def _is_quiet(self, now: float) -> bool:
        return now >= self._rests + max(self._pause, QUIET)

    def _changed(self, sighting: Sighting) -> bool | None:
        """Tell whether an advertisement hints at a change since the last look; None if it does not tell."""
        if not sighting.marks:
            return sighting.changed
        self._marks = {**self._marks, **sighting.marks}
        self._seen_marks = {**self._marks, **self._seen_marks}  # the first of a kind has nothing to be compared with
        return self._marks != self._seen_marks
