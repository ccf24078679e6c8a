"""The course of one action, from what the lock says after the write. Pure; the outcome is decided here alone.

1. That the lock took the command proves nothing of the bolt, and a report that came unasked is a reason to look.
2. What proves the end is a look: the state, asked for and answered under an IV that the lock gave after the write.
   Nothing that was said before can pass for it.
3. The target proves success as a settled state. Where it is not known whether the lock pulls the latch, one that does
   ends an unlocking that leaves it alone as `LATCHED`, and one that does not as `UNLOCKED`.
4. The latch is held back for a moment only. Where the look comes too late, the report of it proves that it was, if it
   followed the receipt and the look finds the latch back.
5. A bolt that is blocked may come free, so it is failure once it is seen so again after a while.
6. A refusal is believed if the look does not show the motor at work for us, nor the end that was asked for.
7. A bolt that stands where it was, though the lock took the command, is looked at a few times: the lock may be slow. So
   is one that is back already when the latch is to be pulled: it may be about to be.
"""

from __future__ import annotations

from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

from drivers.base import Action, Confirmed, DoorState, Failed, Fault, LockState, Outcome, Snapshot, Stage, Unknown
from drivers.switchbot.protocol.errors import refusal
from drivers.switchbot.protocol.report import Bolt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.switchbot.protocol.frames import Answer
    from drivers.switchbot.protocol.report import Report

STILL_LOOKS = 4
"""Looks at a bolt that may still move, each a while after the one before."""


class Next(Enum):
    """What to do while there is no outcome."""

    WAIT = auto()
    """For what the lock reports."""
    LOOK = auto()
    """Ask for the state under an IV of its own."""


_UNLOCKED: Mapping[bool | None, frozenset[Bolt]] = MappingProxyType(
    {
        True: frozenset({Bolt.LATCHED}),
        False: frozenset({Bolt.UNLOCKED}),
        None: frozenset({Bolt.UNLOCKED, Bolt.LATCHED}),
    }
)
"""How a lock ends an unlocking, by whether it pulls the latch."""


class Course:
    """One action that was written."""

    def __init__(self, action: Action, *, night_latch: bool | None) -> None:
        """Begin with the write; `night_latch` is whether the lock pulls the latch, if that is known."""
        self.stage = Stage.WRITTEN
        self.receipt_due = True
        """Whether the lock has not answered the command yet."""
        self._action = action
        self._targets = _targets(action, night_latch=night_latch)
        self._unlatched: Snapshot | None = None
        self._refusal: int | None = None
        self._stuck = False
        self._looks = 0

    def answered(self, answer: Answer) -> Next:
        """Take the lock's answer to the command."""
        self.receipt_due = False
        if answer.done:
            self._reach(Stage.ACCEPTED)
            return Next.WAIT
        self._refusal = answer.status
        return Next.LOOK

    def reported(self, report: Report, now: Snapshot) -> Next:
        """Take what the lock told unasked, and what it means."""
        if now.lock_state.moving:
            self._moves()
            return Next.WAIT
        if now.lock_state is LockState.JAMMED:
            self._stuck = True
            return Next.WAIT
        if self._action is Action.UNLATCH and now.lock_state is LockState.UNLATCHED and not self.receipt_due:
            self._unlatched = now
        arrived = self.stage is Stage.ACCEPTED and self._is_there(report)
        return Next.LOOK if arrived or self.stage is Stage.MOVING else Next.WAIT

    def looked(self, report: Report, now: Snapshot) -> Outcome | Next:
        """Take what the lock said when it was asked, under an IV of its own, and what it means."""
        if now.lock_state.moving:
            self._moves()
            return self._foreign(now) or Next.WAIT
        if self._refusal is not None:
            return self._refused(self._refusal, report, now)
        if self._unlatched is not None and now.lock_state is LockState.UNLOCKED:
            return Confirmed(self._unlatched)
        return Confirmed(now) if self._is_there(report) else self._elsewhere(now)

    def lost(self, message: str) -> Unknown:
        """Take it that nothing more will be heard."""
        return Unknown(self.stage, message)

    def _elsewhere(self, now: Snapshot) -> Outcome | Next:
        """Decide about a bolt that stands where it should not."""
        if now.lock_state is LockState.JAMMED:
            return self._blocked(now)
        if now.lock_state is LockState.PARTIALLY_LOCKED and self._action is Action.LOCK and self.stage is Stage.MOVING:
            return Failed(Fault.NOT_FULLY_EXTENDED, "The lock reports that its bolt is not fully out.", snapshot=now)
        self._looks += 1
        may_go_on = self._action is Action.UNLATCH and now.lock_state is LockState.UNLOCKED
        if (self.stage is Stage.ACCEPTED or may_go_on) and self._looks < STILL_LOOKS:
            return Next.WAIT
        return Unknown(self.stage, f"The lock came to rest {now.lock_state.value.replace('_', ' ')}.")

    def _is_there(self, report: Report) -> bool:
        return report.calibrated and report.bolt in self._targets

    def _reach(self, stage: Stage) -> None:
        if self.stage is not Stage.MOVING:
            self.stage = stage

    def _moves(self) -> None:
        self._stuck = False
        self._reach(Stage.MOVING)

    def _foreign(self, now: Snapshot) -> Failed | None:
        """Return the failure of a command that was refused while the motor did something else."""
        ours = LockState.LOCKING if self._action is Action.LOCK else LockState.UNLOCKING
        if self._refusal is None or now.lock_state is ours:
            return None
        return _refused(self._refusal, now)

    def _refused(self, status: int, report: Report, now: Snapshot) -> Outcome:
        if self._is_there(report):
            return Unknown(self.stage, "The lock refused the action, and is where it was asked to be.")
        return _refused(status, now)

    def _blocked(self, now: Snapshot) -> Outcome | Next:
        if not self._stuck:
            self._stuck = True
            return Next.WAIT
        if now.door_state is DoorState.OPEN:
            message = "The lock reports that its bolt is blocked, and the door open."
            return Failed(Fault.OBSTRUCTED, message, snapshot=now)
        return Failed(Fault.JAMMED, "The lock reports that its bolt is blocked.", snapshot=now)


def _targets(action: Action, *, night_latch: bool | None) -> frozenset[Bolt]:
    """Return how a lock calls the end of an action."""
    if action is Action.LOCK:
        return frozenset({Bolt.LOCKED})
    return frozenset({Bolt.UNLOCKED}) if action is Action.UNLATCH else _UNLOCKED[night_latch]


def _refused(status: int, now: Snapshot) -> Failed:
    reason = refusal(status)
    return Failed(reason.fault, reason.message, status, now)
