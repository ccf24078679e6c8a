"""The course of one lock action, from what the lock reports after the write. Pure; the outcome is decided here alone.

1. A report counts only if it is authentic (the frames see to that) and came after the write.
2. A Status does not name its command, so a COMPLETE before the lock accepted or moved is not ours.
3. A report that is older, by the lock's own clock, than one already seen is late and tells nothing. What was read
   before the write counts as seen: a frame has no other mark of the session that it belongs to.
4. The target proves success only as a settled state: reported on the way and then complete, or read afresh.
   A bolt reported stuck may come free, so a jam counts at the end only.
5. Unlatched lasts a moment, so a report of it proves an unlatch once seen, even if nothing is heard after it. Once
   the moment is over, the lock's record of its last action proves it, read after its COMPLETE, if the motor was seen
   to turn: the record of an earlier unlatch looks the same.
6. An Error Report that names the action ends it as failed; after a rejected nonce nobody knows, so that is unknown.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from drivers.base import Confirmed, DoorState, Failed, LockState, Outcome, Snapshot, Stage, Unknown
from drivers.nuki.protocol.codes import Command, Completion, ErrorCode, StatusCode, Trigger, Turn
from drivers.nuki.protocol.commands import ErrorReport, KeyturnerStates, Status
from drivers.nuki.protocol.errors import COMPLETIONS, Refusal, obstructed, refusal
from drivers.nuki.snapshot import TARGETS, lock_state, snapshot

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.nuki.protocol.wire import Message

READS = (Command.REQUEST_DATA, Command.KEYTURNER_STATES)
"""By which names an Error Report may refuse a read."""


class Next(Enum):
    """What to do while there is no outcome."""

    WAIT = auto()
    ASK = auto()
    """Ask for the lock's state, and go on."""


class Course:
    """One action that was written."""

    def __init__(self, turn: Turn, since: datetime | None = None) -> None:
        """Begin with the write; `since` is the lock's own time when it was last read."""
        self.stage = Stage.WRITTEN
        self._turn = turn
        self._target = TARGETS[turn]
        self._complete = False
        self._asked = False
        self._last: KeyturnerStates | None = None
        self._unlatched: KeyturnerStates | None = None
        self._newest = since
        self._error: ErrorReport | None = None

    def observe(self, message: Message) -> Outcome | Next:
        """Take what the lock reported."""
        match message:
            case Status(code=StatusCode.ACCEPTED):
                self._reach(Stage.ACCEPTED)
            case Status(code=StatusCode.COMPLETE):
                return self._completed()
            case KeyturnerStates():
                return self._moved(message)
            case ErrorReport(failed=Command.LOCK_ACTION):
                return self._refused(message)
            case ErrorReport(failed=failed, code=code) if failed in READS and self._asked:
                return self._unread(code)
            case _:
                pass
        return Next.WAIT

    def is_late(self, states: KeyturnerStates) -> bool:
        """Tell whether a report is older than one already seen."""
        return states.at is not None and self._newest is not None and states.at < self._newest

    def quiet(self) -> Outcome | Next:
        """Take it that nothing was heard for as long as an answer may take."""
        if self.stage is Stage.WRITTEN or self._asked:
            return self.lost("The lock fell silent after the command was sent.")
        return self._ask()

    def lost(self, message: str) -> Outcome:
        """Take it that nothing more will be heard."""
        if self._error:
            return self._failed()
        return Confirmed(snapshot(self._unlatched)) if self._unlatched else Unknown(self.stage, message)

    def _reach(self, stage: Stage) -> None:
        if self.stage is not Stage.MOVING:
            self.stage = stage

    def _ask(self) -> Next:
        self._asked = True
        return Next.ASK

    def _completed(self) -> Outcome | Next:
        if self.stage is Stage.WRITTEN:
            return Next.WAIT
        self._complete = True
        return self._proven() or (Next.WAIT if self._asked else self._ask())

    def _moved(self, states: KeyturnerStates) -> Outcome | Next:
        if self.is_late(states):
            return Next.WAIT
        self._newest = states.at or self._newest
        if lock_state(states).moving:
            self._reach(Stage.MOVING)
        if self.stage is Stage.WRITTEN:
            return Next.WAIT
        before, self._last = self._last, states
        if lock_state(states) is LockState.UNLATCHED and self._turn is Turn.UNLATCH:
            self._unlatched = states
        if self._error:
            return self._failed()
        if self._asked:
            self._asked = False
            return self._settled(states, stuck=before is not None and lock_state(before) is LockState.JAMMED)
        return (self._proven() if self._complete else None) or Next.WAIT

    def _proven(self) -> Outcome | None:
        """Return success if the reports on the way, before COMPLETE, show the target and nothing against it."""
        if self._unlatched:
            return Confirmed(snapshot(self._unlatched))
        last = self._last
        if last is None or lock_state(last) is not self._target or self._fault(last):
            return None
        return Confirmed(snapshot(last))

    def _settled(self, states: KeyturnerStates, *, stuck: bool) -> Outcome | Next:
        """Decide by a fresh read; `stuck` is whether the lock was reported so before, and not just passing by it."""
        now = snapshot(states)
        if now.lock_state.moving:
            return Next.WAIT
        if self._unlatched:
            return Confirmed(snapshot(self._unlatched))
        if now.lock_state is LockState.JAMMED and (self._complete or stuck):
            return _failure(refusal(ErrorCode.MOTOR_BLOCKED), None, now)
        if self._complete and (fault := self._fault(states)):
            return _failure(fault, states.last_completion, now)
        if now.lock_state is self._target or (self._complete and self._unlatch_recorded(states)):
            return Confirmed(now)
        return Unknown(self.stage, f"The lock came to rest {now.lock_state.value.replace('_', ' ')}.")

    def _fault(self, states: KeyturnerStates) -> Refusal | None:
        """Return how the lock says that this action failed, if its record of the last action is of this one."""
        if not self._recorded(states) or states.last_completion is None:
            return None
        return COMPLETIONS.get(states.last_completion)

    def _unlatch_recorded(self, states: KeyturnerStates) -> bool:
        return (
            self._turn is Turn.UNLATCH
            and self.stage is Stage.MOVING
            and self._recorded(states)
            and states.last_completion == Completion.SUCCESS
            and lock_state(states) is LockState.UNLOCKED
        )

    def _recorded(self, states: KeyturnerStates) -> bool:
        return states.last_action == self._turn and states.last_trigger == Trigger.SYSTEM

    def _refused(self, report: ErrorReport) -> Outcome | Next:
        if report.code == ErrorCode.BAD_NONCE:
            return Unknown(self.stage, "The lock rejected the command's nonce, as it does for one it has seen before.")
        self._error = report
        if self.stage is Stage.WRITTEN:
            return self._failed()
        return Next.WAIT if self._asked else self._ask()

    def _unread(self, code: int) -> Outcome | Next:
        self._asked = False
        if code == ErrorCode.BUSY and not self._error:
            return Next.WAIT
        return self.lost(f"The lock did not tell its state: {refusal(code).message}")

    def _failed(self) -> Failed:
        """Return the failure that the Error Report names, with the last state seen."""
        code = self._error.code if self._error else int(ErrorCode.UNKNOWN)
        return _failure(refusal(code), code, snapshot(self._last) if self._last else None)


def _failure(reason: Refusal, vendor_code: int | None, now: Snapshot | None) -> Failed:
    if now and now.door_state is DoorState.OPEN:
        reason = obstructed(reason)
    return Failed(reason.fault, reason.message, vendor_code, now)
