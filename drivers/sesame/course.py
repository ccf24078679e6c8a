"""The course of one lock action, from what the lock reports after the write. Pure; the outcome is decided here alone.

1. The lock's response says that it took the command, or why not, and nothing of the bolt. What it published before that
   is older than the command.
2. The target proves success as a settled state that the lock published itself: after its response, or last of all when
   a later request is answered, since messages come in their order and none is lost unnoticed.
3. A bolt that stands elsewhere may still be under way, and one that is stuck may come free: both count once nothing
   changed for a while and a later request is answered. A jam that was there before, and nothing moved, proves nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from drivers.base import Confirmed, Failed, Fault, Outcome, Stage, Unknown
from drivers.sesame.patience import RESPONSE_TIMEOUT, SETTLE_TIME
from drivers.sesame.protocol.codes import Flag
from drivers.sesame.protocol.errors import refusal
from drivers.sesame.snapshot import TARGETS, snapshot

if TYPE_CHECKING:
    from drivers.base import Action
    from drivers.sesame.protocol.mech import MechSetting, MechStatus
    from drivers.sesame.protocol.messages import Response

_TROUBLES = Flag.CRITICAL | Flag.CLUTCH_FAILED


class Next(Enum):
    """What to do while there is no outcome."""

    WAIT = auto()
    ASK = auto()
    """Ask for something that does not matter, and go on: its answer comes after all that the lock had to say."""


class Course:
    """One action that was written."""

    def __init__(self, action: Action, before: MechStatus, setting: MechSetting) -> None:
        """Begin with the write, and what the lock said last before it."""
        self.stage = Stage.WRITTEN
        self._target = TARGETS[action]
        self._setting = setting
        self._before = before
        self._last = before
        self._asked = False

    @property
    def patience(self) -> float:
        """Seconds in which the next thing should be heard."""
        given_up = Flag.STOPPED in self._last.flags and self._is_news(_TROUBLES)
        return SETTLE_TIME if given_up and not self._asked else RESPONSE_TIMEOUT

    def answered(self, response: Response) -> Outcome | Next:
        """Take the lock's response to the command."""
        if not response.succeeded:
            error = refusal(response.result)
            return Failed(error.fault, error.message, error.vendor_code, snapshot(self._last, self._setting))
        self.stage = Stage.ACCEPTED
        return Next.WAIT

    def reported(self, status: MechStatus) -> Outcome | Next:
        """Take a state that the lock published."""
        self._last = status
        if self.stage is Stage.WRITTEN:
            return Next.WAIT
        if Flag.STOPPED not in status.flags:
            self.stage = Stage.MOVING
        return self._arrived() or Next.WAIT

    def asked(self) -> Outcome | Next:
        """Take the answer to what was asked: the last state is the present one."""
        self._asked = False
        now = snapshot(self._last, self._setting)
        if Flag.STOPPED not in self._last.flags:
            return Next.WAIT
        if self.stage is Stage.WRITTEN:
            return self.lost("The lock did not respond to the command.")
        if self._is_news(Flag.CLUTCH_FAILED):
            return Failed(Fault.MECHANISM, "The lock's clutch failed.", snapshot=now)
        if self._is_news(Flag.CRITICAL):
            message = "The lock is jammed: its motor ran for too long and was stopped."
            return Failed(Fault.JAMMED, message, snapshot=now)
        rest = now.lock_state.value.replace("_", " ")
        return self._arrived() or Unknown(self.stage, f"The lock came to rest {rest}.")

    def quiet(self) -> Outcome | Next:
        """Take it that nothing was heard for as long as `patience`."""
        if self._asked:
            return self.lost("The lock fell silent after the command was sent.")
        self._asked = True
        return Next.ASK

    def lost(self, message: str) -> Outcome:
        """Take it that nothing more will be heard."""
        return Unknown(self.stage, message)

    def _arrived(self) -> Outcome | None:
        now = snapshot(self._last, self._setting)
        return Confirmed(now) if now.lock_state is self._target and not self._last.flags & _TROUBLES else None

    def _is_news(self, troubles: Flag) -> bool:
        """Tell whether one of the troubles is this action's doing, as far as that can be told."""
        now, before = self._last.flags & troubles, self._before.flags & troubles
        return bool(now) and (self.stage is Stage.MOVING or now != before)
