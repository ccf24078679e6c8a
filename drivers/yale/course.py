"""The course of one operation, from what the lock reports after the write. Pure; the outcome is decided here alone.

1. What comes before the acknowledgement tells nothing of this operation.
2. A result of success says that the motor stopped; the target is proven by the lock's report of where the bolt is, on
   the way and then the result, or asked for afterwards. Without a result, only asking proves it, once the lock was
   silent for long enough.
3. A result without an acknowledgement may be of somebody else's operation, so it proves nothing by itself: the bolt's
   place decides, and where that does not, nobody knows.
4. A bolt reported stuck may come free, so a jam counts with the result, or found again when it is asked for.
5. Unlatched lasts a moment, so a report of it proves an unlatch once seen. If the moment is missed, a result of success
   and an unlatching motor before it prove it.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from drivers.base import Action, Confirmed, DoorState, Failed, LockState, Outcome, Snapshot, Stage, Unknown
from drivers.yale.protocol.codes import Flag, Op, Result, Subject
from drivers.yale.protocol.errors import BLOCKED, obstructed, refusal
from drivers.yale.protocol.frames import Frame, request, status_of
from drivers.yale.snapshot import REQUESTS, TARGETS, door_state, lock_state

if TYPE_CHECKING:
    from drivers.yale.protocol.errors import Refusal

SILENCES = 3
"""How often the lock may be silent, for as long as an answer takes, before its motor is given up."""
LOOKS = 2
"""How often the lock is asked after a result that its place does not fit, or found stuck without one."""


class Next(Enum):
    """What to do while there is no outcome."""

    WAIT = auto()
    ASK = auto()
    """Ask for the lock's status, and go on."""


class Course:
    """One operation."""

    def __init__(self, action: Action, door: DoorState = DoorState.UNKNOWN) -> None:
        """Begin with the write; `door` is where the lock last said that the door is, on the same link."""
        self.stage = Stage.WRITTEN
        op, variant = REQUESTS[action]
        self.request = request(op, variant)
        self.now = Snapshot(LockState.UNKNOWN, door)
        """What the lock reported last."""
        self._action = action
        self._result: int | None = None
        self._asked = False
        self._silences = 0
        self._looks = 0
        self._unlatched: Snapshot | None = None
        self._unlatching = False

    def observe(self, frame: Frame) -> Outcome | Next:
        """Take what the lock said."""
        if frame.op == self.request.op:
            if frame.flag == Flag.RESULT:
                return self._ended(frame.result)
            acknowledged = frame.flag == Flag.ACKNOWLEDGED and frame.about == self.request.about
            if acknowledged and self.stage is Stage.WRITTEN:
                self.stage = Stage.ACCEPTED
            return Next.WAIT
        if not is_report(frame):
            return Next.WAIT
        self.now = reported(self.now, frame)
        return Next.WAIT if status_of(frame, Subject.LOCK) is None else self._moved()

    def quiet(self) -> Outcome | Next:
        """Take it that nothing was heard for as long as an answer may take."""
        self._silences += 1
        if self.stage is Stage.WRITTEN and self._result is None:
            return self.lost("The lock fell silent after the command was sent.")
        if self._silences > SILENCES:
            return self.lost("The lock did not report the end of the action.")
        return self._ask()

    def lost(self, message: str) -> Outcome:
        """Take it that nothing more will be heard."""
        if self._result and self.stage is not Stage.WRITTEN:
            return self._failed(refusal(self._result))
        return Confirmed(self._unlatched) if self._unlatched else Unknown(self.stage, message)

    def _ask(self) -> Next:
        self._asked = True
        return Next.ASK

    def _ended(self, result: int) -> Outcome | Next:
        if self._result is not None:
            return Next.WAIT
        self._result = result
        if result == Result.SUCCESS:
            if self._unlatched:
                return Confirmed(self._unlatched)
            if self.now.lock_state is TARGETS[self._action]:
                return Confirmed(self.now)
        return self._ask()

    def _moved(self) -> Outcome | Next:
        state = self.now.lock_state
        if self.stage is not Stage.WRITTEN:
            if state.moving:
                self.stage = Stage.MOVING
            if self._action is Action.UNLATCH:
                self._unlatching = self._unlatching or state is LockState.UNLATCHING
                self._unlatched = self.now if state is LockState.UNLATCHED else self._unlatched
        elif self._result is None:
            self.now = replace(self.now, lock_state=LockState.UNKNOWN)
            return Next.WAIT
        if not self._asked:
            return Next.WAIT
        if state.moving:
            self._silences = 0
            return Next.WAIT
        self._asked = False
        return self._settled(state)

    def _settled(self, state: LockState) -> Outcome | Next:
        """Decide by where the bolt stands, which was asked for."""
        if self._result:
            return self._reported_failure(state, self._result)
        if self._unlatched or state is TARGETS[self._action] or self._unlatch_is_over(state):
            return Confirmed(self._unlatched or self.now)
        if state is not LockState.JAMMED and self._result is None:
            return Next.WAIT
        self._looks += 1
        if self._looks < LOOKS:
            return self._ask()
        if state is LockState.JAMMED:
            return self._failed(BLOCKED)
        return Unknown(self.stage, f"The lock came to rest {state.value.replace('_', ' ')}.")

    def _reported_failure(self, state: LockState, result: int) -> Outcome:
        if self.stage is not Stage.WRITTEN:
            return self._failed(refusal(result))
        if state is LockState.JAMMED:
            return self._failed(BLOCKED)
        return Unknown(self.stage, "The lock reported a failure, and not of which operation.")

    def _unlatch_is_over(self, state: LockState) -> bool:
        return self._unlatching and self._result == Result.SUCCESS and state is LockState.UNLOCKED

    def _failed(self, reason: Refusal) -> Failed:
        if self.now.door_state is DoorState.OPEN:
            reason = obstructed(reason)
        return Failed(reason.fault, reason.message, self._result or None, self.now)


def is_report(frame: Frame) -> bool:
    """Tell whether the lock says something of its state."""
    return frame.flag == Flag.RESULT and frame.op == Op.STATUS


def reported(now: Snapshot, frame: Frame) -> Snapshot:
    """Return what is known of lock and door after a report."""
    bolt, door = status_of(frame, Subject.LOCK), status_of(frame, Subject.DOOR)
    if bolt is not None:
        now = replace(now, lock_state=lock_state(bolt))
    return now if door is None else replace(now, door_state=door_state(door))
