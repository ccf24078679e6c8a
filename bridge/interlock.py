"""Remedies for the radio and moving bolts exclude each other."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


class Interlock:
    """Knows whether a bolt may be moving, and whether the radio is being treated.

    Whoever begins either looks at the other first, with nothing awaited in between.
    """

    def __init__(self) -> None:
        self._moving = 0
        self._treating = 0

    @property
    def moving(self) -> bool:
        """Whether an attempt is between its commit point and its outcome."""
        return self._moving > 0

    @property
    def treating(self) -> bool:
        """Whether a remedy is under way, so that no attempt may pass its commit point."""
        return self._treating > 0

    @contextmanager
    def move(self) -> Generator[None]:
        """Carry an attempt from its commit point to its outcome."""
        self._moving += 1
        try:
            yield
        finally:
            self._moving -= 1

    @contextmanager
    def treat(self) -> Generator[None]:
        """Carry out a remedy."""
        self._treating += 1
        try:
            yield
        finally:
            self._treating -= 1
