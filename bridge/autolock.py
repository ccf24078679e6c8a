"""Telling a lock when to lock itself: a task that a lock's worker carries out by the rules of an action.

What the lock says of itself afterwards is the outcome: the setting that was asked for proves success; another one,
read after the link on which it was sent is gone, proves that it was not taken.
"""

from __future__ import annotations

import anyio

from bridge.attempt import Step
from bridge.errors import Code, code_of
from bridge.model import Attempt, Ending
from bridge.readback import BUDGET, PAUSE
from bridge.sessions import Sessions
from drivers.base import Actuation, AutoLock, AutoLocking, DriverError, Fault, Session, Stage


async def approach(session: Session, attempt: Attempt) -> Actuation | Ending:
    """Come as near to the change as one can without making it; an ending if there is nothing to change, or no way.

    Args:
        session: with the lock, which it has just read.
        attempt: a `CONFIGURE_AUTO_LOCK`.

    Raises:
        DriverError: the lock refused in a way that may pass; `LinkLost`: the link is gone or the lock is mute.
    """
    wanted = _wanted(attempt)
    if not isinstance(session, AutoLocking):
        return _failed(Code.ACTION_NOT_SUPPORTED, "This lock cannot be told when to lock itself.")
    try:
        if wanted.met_by(await session.auto_lock()):
            return Ending(Step.CONFIRM, changed=False)
        return await session.prepare_auto_lock(wanted)
    except DriverError as error:
        if error.fault is Fault.NOT_AUTHORIZED:  # the key is good, the lock was read with it: more than that is needed
            return _failed(code_of(error.fault), error.message)
        raise


async def read_back(sessions: Sessions, attempt: Attempt, stage: Stage) -> Ending:
    """Find out what came of a change whose end was not seen, for at most `BUDGET` seconds.

    Args:
        sessions: the lock's.
        attempt: committed.
        stage: how far it is known to have come.
    """
    wanted = _wanted(attempt)
    until = anyio.current_time() + BUDGET
    trouble: DriverError | None = None
    await sessions.drop()  # what is still under way on the old link is over before the lock is asked on another
    while (left := until - anyio.current_time()) > 0:
        try:
            with sessions.within(left):
                found = await _ask(sessions, left)
        except DriverError as error:
            trouble = error
            await sessions.drop()
            if error.fault is Fault.NOT_AUTHORIZED:
                break
        else:
            if wanted.met_by(found):
                return Ending(Step.CONFIRM)
            return _failed(Code.FIRMWARE_REJECTED, "The lock did not take the setting: it still has another one.")
        await anyio.sleep_until(min(anyio.current_time() + PAUSE, until))
    if trouble is not None:
        await sessions.give_up(trouble)
    return Ending(
        Step.LOSE,
        code=Code.OUTCOME_UNKNOWN,
        message="The setting may have been sent, and the lock could not be asked what came of it.",
        stage=stage,
    )


async def _ask(sessions: Sessions, left: float) -> AutoLock:
    session = await sessions.get(left)
    if not isinstance(session, AutoLocking):
        raise DriverError(Fault.UNCATEGORIZED, "This lock cannot be asked when it locks itself.")
    return await session.auto_lock()


def _wanted(attempt: Attempt) -> AutoLock:
    if attempt.setting is None:
        raise ValueError("A CONFIGURE_AUTO_LOCK carries its setting.")
    return attempt.setting


def _failed(code: Code, message: str) -> Ending:
    return Ending(Step.FAIL, code=code, message=message)
