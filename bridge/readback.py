"""What came of an action whose end was not seen: read, never sent again.

The lock's own log says whose doing it was where the action's tag is found there; where there is none, a lock that said
that it took the action did it, and else nobody knows who. A settled state that was asked for proves success, a reported
fault failure, and anything else is unknown: a log that says success while the bolt stands elsewhere proves nothing.
"""

from __future__ import annotations

from dataclasses import replace

import anyio

from bridge.attempt import Step
from bridge.errors import Code, code_of
from bridge.model import Attempt, Ending
from bridge.sessions import Sessions
from drivers.base import DoorState, DriverError, Fault, LockState, LogRecord, Method, Snapshot, Stage

BUDGET = 30.0
"""Seconds for which the truth is looked for."""
STILL = 8.0
"""Seconds after which a lock that stands still elsewhere will not move because of us: longer than a bolt travels."""
PAUSE = 0.5
"""Seconds between reads."""

_UNPROVEN = {
    Stage.WRITTEN: "The action may have been sent, and nothing that the lock says proves what came of it.",
    Stage.ACCEPTED: "The lock took the action, and nothing that it says proves what came of it.",
    Stage.MOVING: "The lock began to move, and nothing that it says proves where that ended.",
}


async def read_back(sessions: Sessions, attempt: Attempt, stage: Stage, target: LockState | None) -> Ending:
    """Find out what came of an attempt, for at most `BUDGET` seconds.

    Args:
        sessions: the lock's.
        attempt: committed.
        stage: how far it is known to have come.
        target: the settled state that proves success; None where no state does (an unlatch springs back).
    """
    likely = unproven = Ending(Step.LOSE, code=Code.OUTCOME_UNKNOWN, message=_UNPROVEN[stage], stage=stage)
    trouble: DriverError | None = None
    still_since: float | None = None
    until = anyio.current_time() + BUDGET
    while (left := until - anyio.current_time()) > 0:
        if likely.step is Step.FAIL:
            likely = unproven  # what was stuck may have come free since
        try:
            with sessions.within(left):
                session, snapshot = await sessions.settled(left, tell=False)
                likely = replace(_likely(snapshot, target) or unproven, snapshot=snapshot)
                record = await session.find(attempt.tag)
        except DriverError as error:
            trouble, still_since = error, None
            await sessions.drop()
            if error.fault is Fault.NOT_AUTHORIZED:
                break
        else:
            trouble = None
            proven = _proven(snapshot, record, target, stage, has_log=session.has_log)
            if proven is not None:
                return replace(proven, snapshot=snapshot)
            still_since = anyio.current_time() if still_since is None else still_since
            if anyio.current_time() - still_since >= STILL:
                break
        await anyio.sleep_until(min(anyio.current_time() + PAUSE, until))
    if trouble is None:
        return likely
    await sessions.give_up(trouble)
    return replace(likely, snapshot=None)


def _proven(
    snapshot: Snapshot, record: LogRecord | None, target: LockState | None, stage: Stage, *, has_log: bool
) -> Ending | None:
    """What one look at the lock proves."""
    if record is not None and record.succeeded is False:
        fault = record.fault or Fault.UNCATEGORIZED
        return _failed(fault, snapshot, "The lock's log says that it did not complete the action.")
    arrived = target is None or snapshot.lock_state is target
    if record is not None and record.succeeded and arrived:
        return Ending(Step.CONFIRM, changed=True)
    if target is not None and arrived and not has_log:
        return Ending(Step.CONFIRM, method=Method.UNKNOWN if stage is Stage.WRITTEN else None)
    return None


def _failed(fault: Fault, snapshot: Snapshot, message: str) -> Ending:
    obstructed = fault is Fault.JAMMED and snapshot.door_state is DoorState.OPEN
    return Ending(Step.FAIL, code=code_of(Fault.OBSTRUCTED if obstructed else fault), message=message)


def _likely(snapshot: Snapshot, target: LockState | None) -> Ending | None:
    """What is to be told if nothing changes any more and the log keeps no entry of ours.

    A bolt where it was asked to be may be somebody else's doing; one that is stuck may still come free.
    """
    if snapshot.lock_state is LockState.JAMMED:
        return _failed(Fault.JAMMED, snapshot, "The lock reports that its motor is blocked.")
    if target is None or snapshot.lock_state is not target:
        return None
    return Ending(Step.CONFIRM, method=Method.UNKNOWN)
