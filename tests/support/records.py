"""A journal that a test opens, fills and opens again."""

import contextlib
import uuid

from bridge import events
from bridge.attempt import Step
from bridge.journal import inline, open_journal
from bridge.model import Ending, Event
from tests.support.samples import IDENTITY, make_command

CONFIRM = Ending(Step.CONFIRM, changed=True)


class CountingBell:
    """Counts how often it is rung."""

    def __init__(self):
        self.rings = 0

    def ring(self):
        self.rings += 1


@contextlib.asynccontextmanager
async def reopened(journal, path, clock):
    """The journal as the next start finds it."""
    await journal.close()
    again = await open_journal(path, clock, CountingBell(), inline)
    try:
        yield again
    finally:
        await again.close()


def tell(attempt):
    """What an outcome is told by."""
    return events.of_attempt(attempt, IDENTITY)


def silent(_attempt):
    """An outcome of which nothing is told."""
    return []


async def accepted(journal, **fields):
    """An attempt at a command with these fields."""
    return await journal.accept(make_command(**fields), 1030.0)


async def ended(journal, ending=CONFIRM, told=silent, **fields):
    """An attempt that was committed and has its outcome."""
    return await journal.end(await journal.commit(await accepted(journal, **fields)), ending, told)


def make_event(lock_id="front_door", **body):
    """An event that belongs to no attempt."""
    return Event(uuid.uuid4(), "lock.unlocked", lock_id, body)
