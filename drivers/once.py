"""An actuation that a session makes ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from drivers.base import Check, Outcome, Seen, unconditionally

Act = Callable[[Seen, Check], Awaitable[Outcome]]
"""What does it, with the two arguments of `Actuation.run`."""


class Once:
    """A `drivers.base.Actuation` that is good for one run.

    Args:
        act: what is run.
    """

    def __init__(self, act: Act) -> None:
        """Run nothing yet."""
        self._act: Act | None = act

    async def run(self, seen: Seen, check: Check = unconditionally) -> Outcome:
        """Send it, once, and wait for the lock's own report of its end; see `drivers.base.Actuation`.

        Raises:
            RuntimeError: it was run before.
        """
        act, self._act = self._act, None
        if act is None:
            raise RuntimeError("An actuation runs once.")
        return await act(seen, check)
