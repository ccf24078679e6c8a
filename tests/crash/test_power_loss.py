"""P1: what the journal acknowledged survives a power cut, and nothing half does.

The journal runs as it is, its own statements and settings over a disk that loses what was not synced (see
`tests.support.power`). After each cut what is left is opened as the daemon opens it. The same cuts with a weaker
`synchronous` do lose and damage: the check can fail.

`LOCK_BRIDGE_CUTS=2000` makes the run longer, `LOCK_BRIDGE_SEED` makes it another one.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest.mock import patch

import anyio
import anyio.lowlevel
import pytest

from bridge import events
from bridge.attempt import State, Step
from bridge.errors import Code, StorageUnavailable
from bridge.journal import inline, open_journal, store
from bridge.model import Ending
from tests.support.clock import FakeClock
from tests.support.power import Disk
from tests.support.records import CountingBell, make_event
from tests.support.samples import IDENTITY, make_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.journal import Journal
    from bridge.model import Attempt, Event

CUTS = int(os.environ.get("LOCK_BRIDGE_CUTS", "150"))
SEED = int(os.environ.get("LOCK_BRIDGE_SEED", "1"))
WRITERS = 3
"""Tasks that write at the same time, so that they share commits."""
LIVES = (200, 1000, 4000)
"""Operations on the disk after which the power goes, at most: some lives are short, some see SQLite check-point."""
CLOSING = 100
"""Operations for which the power lasts once the journal is told to close, at most."""
SETTINGS = {"OFF": 0, "NORMAL": 1, "FULL": 2}

ENDINGS = (
    Ending(Step.CONFIRM, changed=True),
    Ending(Step.CONFIRM, changed=False),
    Ending(Step.FAIL, code=Code.LOCK_JAMMED, message="The lock reports that its motor is blocked."),
    Ending(Step.LOSE, code=Code.OUTCOME_UNKNOWN, message="Nothing proves what came of it."),
)

pytestmark = pytest.mark.timeout(60 + CUTS)


@pytest.fixture
def anyio_backend():
    return "trio"


@dataclass
class Ledger:
    """What the journal said is on disk."""

    epoch: str | None = None
    attempts: dict[str, Attempt] = field(default_factory=dict)
    told: dict[str, Sequence[Event]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    count: int = 0

    def has(self, attempt: Attempt) -> Attempt:
        self.attempts[attempt.action_id] = attempt
        self.count += 1
        return attempt


class Life:
    """A journal in use until the power goes."""

    def __init__(self, journal: Journal, ledger: Ledger, dice: random.Random) -> None:
        self._journal = journal
        self._ledger = ledger
        self._dice = dice

    async def run(self, rounds: int) -> None:
        """Write; returns when done.

        Raises:
            StorageUnavailable: there is no power any more.
        """
        for attempt in await self._journal.open_attempts():
            await self._end(attempt)
        failures: list[StorageUnavailable] = []

        async def writer() -> None:
            try:
                for _ in range(rounds):
                    await self._round()
            except StorageUnavailable as error:
                failures.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(WRITERS):
                group.start_soon(writer)
        if failures:
            raise failures[0]

    async def _round(self) -> None:
        command = make_command(lock_id=self._dice.choice("ab"), custom_id=f"c{self._dice.random()}", request_key="r")
        attempt = self._ledger.has(await self._journal.accept(command, 1030.0))
        if self._dice.random() < 0.9:
            attempt = self._ledger.has(await self._journal.commit(attempt))
            await self._end(attempt)
        match self._dice.randrange(10):
            case 0:
                event = make_event(length="x" * self._dice.randrange(6000))
                await self._journal.tell([event])
                self._ledger.told[str(event.event_id)] = [event]
            case 1 | 2 | 3 | 4:
                unsent = await self._journal.unsent(0, self._dice.randint(1, 8))
                await self._journal.mark_sent(event.seq for event in unsent)
                self._ledger.sent.update(str(event.event_id) for event in unsent)
            case 5:
                await self._journal.prune()

    async def _end(self, attempt: Attempt) -> None:
        told: list[Event] = []

        def tell(ended: Attempt) -> Sequence[Event]:
            told.extend(events.of_attempt(ended, IDENTITY))
            return told

        choice = ENDINGS if attempt.state is State.COMMITTED else ENDINGS[:3]
        self._ledger.has(await self._journal.end(attempt, self._dice.choice(choice), tell))
        self._ledger.told[attempt.action_id] = told


async def live(disk: Disk, path: Path, ledger: Ledger, dice: random.Random, synchronous: str) -> None:
    """Open the journal on the disk, write, and close it, as far as the power lasts."""
    with disk.connections(synchronous) as connect, patch.object(store, "_connect", connect):
        try:
            journal = await open_journal(path, FakeClock(), CountingBell(), inline)
            try:
                row = journal._store._connection.execute("PRAGMA synchronous").fetchone()
                assert row[0] == SETTINGS[synchronous]
                ledger.epoch = ledger.epoch or journal.epoch
                await Life(journal, ledger, dice).run(dice.choice((5, 1000)))
                disk.lasts = min(disk.lasts, dice.randint(1, CLOSING))
            finally:
                await journal.close()
        except StorageUnavailable:
            assert disk.dark


async def examine(path: Path, ledger: Ledger) -> set[str]:
    """Open what is left as the daemon does, and name what is wrong with it."""
    journal = await open_journal(path, FakeClock(), CountingBell(), inline)
    try:
        if journal.set_aside is not None:
            return {"damaged"}
        db = journal._store._connection
        wrong = set() if ledger.epoch in (None, journal.epoch) else {"lost epoch"}
        if [tuple(row) for row in db.execute("PRAGMA integrity_check")] != [("ok",)]:
            wrong.add("damaged")
        bodies = {
            (row["attempt_id"], row["event_id"]): row["sent"]
            for row in db.execute("SELECT attempt_id, event_id, sent FROM event")
        }
        ids = {event_id: sent for (_, event_id), sent in bodies.items()}
        for known in ledger.attempts.values():
            wrong |= _compared(known, await journal.search.attempt(known.action_id))
        wrong |= {"lost event" for told in ledger.told.values() for e in told if str(e.event_id) not in ids}
        wrong |= {"lost mark" for event_id in ledger.sent if not ids.get(event_id)}
        told = Counter(attempt_id for attempt_id, _ in bodies)
        for row in db.execute("SELECT attempt_id, state, changed FROM attempt"):
            moved = row["state"] == "confirmed" and row["changed"] == 1
            expected = 2 + moved if State(row["state"]).terminal else 0
            if told.pop(row["attempt_id"], 0) != expected:
                wrong.add("half")
        return wrong if set(told) <= {None} else wrong | {"half"}
    finally:
        await journal.close()


def _compared(known: Attempt, found: Attempt | None) -> set[str]:
    """What was under way when the power went may be there or not; what was said to be there must be."""
    if found is None:
        return {"lost attempt"}
    later = [State.ACCEPTED, State.COMMITTED]
    if known.state.terminal:
        return set() if found == known else {"lost outcome"}
    return {"lost commit"} if found.state in later and later.index(found.state) < later.index(known.state) else set()


async def cut_again_and_again(tmp_path: Path, synchronous: str, cuts: int = CUTS) -> Counter[str]:
    """Cut the power at random moments of the journal's lives; count what was wrong afterwards.

    The next life begins with what the cut left. Where something was wrong, it begins anew.
    """
    dice = random.Random(SEED)
    figures: Counter[str] = Counter()
    folder, copy = tmp_path / "disk", tmp_path / "copy"
    ledger = Ledger()
    for _ in range(cuts):
        folder.mkdir(exist_ok=True)
        disk = Disk(folder, dice, lasts=dice.randint(1, dice.choice(LIVES)))
        await live(disk, folder / "journal.db", ledger, dice, synchronous)
        figures["cut short" if disk.dark else "cut at the end"] += 1
        figures["cut in a check-point"] += disk.behind(folder / "journal.db")
        disk.cut()
        shutil.copytree(folder, copy)
        wrong = await examine(copy / "journal.db", ledger)
        figures.update(wrong)
        figures["wrong"] += bool(wrong)
        shutil.rmtree(copy)
        if wrong or len(ledger.attempts) > 800:  # a new disk, so that no cut is counted for an earlier one
            figures["acknowledged"] += ledger.count
            ledger = Ledger()
            shutil.rmtree(folder)
    figures["acknowledged"] += ledger.count
    return figures


async def test_p1_no_power_cut_loses_what_was_acknowledged_or_leaves_anything_half(tmp_path, figures):
    found = await cut_again_and_again(tmp_path, "FULL")
    figures |= {"seed": SEED, "power cuts": CUTS, **found}
    assert found["wrong"] == 0
    assert found["cut short"] > CUTS / 2
    assert found["cut in a check-point"] > 0


async def test_p1_the_same_cuts_find_the_losses_of_a_weaker_setting(tmp_path, figures):
    found = await cut_again_and_again(tmp_path, "NORMAL")
    figures |= {"seed": SEED, "power cuts": CUTS, **found}
    assert found["wrong"] > CUTS / 3
    assert found["damaged"] == 0


async def test_p1_the_same_cuts_find_the_damage_where_nothing_is_synced(tmp_path, figures):
    found = await cut_again_and_again(tmp_path, "OFF")
    figures |= {"seed": SEED, "power cuts": CUTS, **found}
    assert found["damaged"] > CUTS / 50
