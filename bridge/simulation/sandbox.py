"""The sandbox: what people and mishaps do to the virtual locks of this process, by the verbs of the command line.

A real lock has no such verbs. Nothing here is a command: the lock changes as if someone stood at the door, and the
bridge learns of it as it learns of anything that others do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bridge.errors import Code, Refused
from drivers.virtual.lock import VirtualLock

VERBS: Mapping[str, Callable[[VirtualLock], None]] = MappingProxyType(
    {
        "manual-lock": VirtualLock.manual_lock,
        "manual-unlock": VirtualLock.manual_unlock,
        "fob": VirtualLock.fob,
        "jam": VirtualLock.jam,
        "obstruct": VirtualLock.obstruct,
        "clear": VirtualLock.clear,
        "offline": VirtualLock.offline,
        "online": VirtualLock.online,
        "drop-after-write": VirtualLock.drop_after_write,
    }
)
"""What can be done to a virtual lock without saying more. There are also `battery N`, `keypad CODE` and `keypad-lock`;
the last two are attempts, so that `simulator` does them."""

EVERY_VERB = (*VERBS, "battery", "keypad", "keypad-lock")


class Sandbox:
    """The virtual locks of this process."""

    def __init__(self, locks: Mapping[str, VirtualLock]) -> None:
        """Take the virtual locks, by the lock's id: none where the radio is a real one."""
        self.locks = locks

    def lock(self, lock_id: str) -> VirtualLock:
        """Return a virtual lock.

        Raises:
            Refused: with `ACTION_NOT_SUPPORTED`, it is none.
        """
        try:
            return self.locks[lock_id]
        except KeyError:
            raise Refused(
                Code.ACTION_NOT_SUPPORTED,
                f"{lock_id[:64]!r} is no virtual lock of this bridge, and only those can be simulated;"
                ' set [bluetooth] radio = "virtual" to try things out.',
            ) from None

    def do(self, lock_id: str, verb: str) -> None:
        """Do what a verb says.

        Raises:
            Refused: there is no such virtual lock, or no such verb.
        """
        lock = self.lock(lock_id)
        if verb not in VERBS:
            raise Refused(
                Code.INVALID_REQUEST, f"There is no verb {verb[:64]!r}; there are {', '.join(sorted(EVERY_VERB))}."
            )
        VERBS[verb](lock)

    def battery(self, lock_id: str, level: object) -> None:
        """Set a battery's charge.

        Raises:
            Refused: there is no such virtual lock, or the level is no percentage.
        """
        lock = self.lock(lock_id)
        if not isinstance(level, int) or isinstance(level, bool) or not 0 <= level <= 100:  # noqa: PLR2004 - percent
            raise Refused(Code.INVALID_REQUEST, '"level" must be a whole number from 0 to 100, in percent.')
        lock.battery(level)
