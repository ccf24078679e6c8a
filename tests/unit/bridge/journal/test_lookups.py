"""Attempts and events by what names them."""

import math

import pytest

from bridge.journal import Sought, inline, lookups, open_journal
from bridge.journal.lookups import STRETCH, TURN
from tests.support.clock import NOON, FakeClock
from tests.support.records import CountingBell, accepted, ended, make_event, tell

ALWAYS = (0.0, math.inf)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def journal(tmp_path, clock):
    journal = await open_journal(tmp_path / "journal.db", clock, CountingBell(), inline)
    yield journal
    await journal.close()


class TestAttempts:
    async def test_the_latest_come_first(self, journal):
        made = [await accepted(journal, lock_id=lock_id) for lock_id in ("a", "b", "a")]
        assert await journal.search.attempts(None, 100, 100) == made[::-1]
        assert await journal.search.attempts(None, 100, 2) == made[:0:-1]
        assert await journal.search.attempts(None, made[1].seq, 100) == made[:1]
        assert await journal.search.attempts(["a"], 100, 100) == [made[2], made[0]]
        assert await journal.search.attempts(["a"], made[2].seq, 100) == [made[0]]
        assert await journal.search.attempts(["c"], 100, 100) == []
        assert await journal.search.attempts(["b", "a"], 100, 2) == [made[2], made[1]]
        assert await journal.search.attempts([], 100, 2) == []

    async def test_they_are_found_by_either_of_their_identities(self, journal):
        first, second, _ = [await accepted(journal) for _ in range(3)]
        found = await journal.search.attempts_named([str(second.attempt_id), first.action_id, "nobody"])
        assert (found[str(second.attempt_id)], found[first.action_id]) == (second, first)
        assert set(found.values()) == {first, second}
        assert await journal.search.attempts_named([]) == {}

    @pytest.mark.parametrize("number", [TURN - 1, TURN, TURN + 1, 2 * TURN])
    async def test_many_are_found_in_turns(self, journal, number):
        made = [await accepted(journal) for _ in range(number)]
        assert await journal.search.attempts(None, 1000, 1000) == made[::-1]
        assert await journal.search.attempts(None, 1000, number - 1) == made[:0:-1]
        names = [each.action_id for each in made]
        found = await journal.search.attempts_named(names)
        assert [found[name] for name in names] == made


class TestLatestEvents:
    @pytest.mark.parametrize("number", [0, 3, STRETCH, 2 * STRETCH + 1])
    async def test_they_come_in_order_however_far_back_they_are(self, journal, number):
        await journal.tell([make_event("rare", n=n) for n in range(2)])
        await journal.tell([make_event("common") for _ in range(number)])
        found = await journal.search.latest_events(Sought(lock_ids=["rare"]), 2)
        assert [event.body["n"] for event in found] == [0, 1]
        (latest,) = await journal.search.latest_events(Sought(), 1)
        assert latest.lock_id == ("common" if number else "rare")

    async def test_there_may_be_none(self, journal):
        assert await journal.search.latest_events(Sought(), 5) == []


async def test_events_that_the_broker_has_not_acknowledged_are_counted(journal):
    await journal.tell([make_event() for _ in range(3)])
    assert await journal.backlog() == 3
    first = (await journal.unsent(0, 1))[0]
    await journal.mark_sent([first.seq])
    assert await journal.backlog() == 2


async def test_what_was_begun_and_ended_is_counted(journal):
    await accepted(journal)
    done = await ended(journal)
    assert journal.begun["unlock", done.method] == 2
    assert journal.ended["unlock", done.state, done.code] == 1


class TestEvents:
    async def ids(self, journal, *, after=0, limit=100, when=ALWAYS, **fields):
        return [event.body.get("n") for event in await journal.search.events(Sought(*when, **fields), after, limit)]

    async def test_they_come_in_the_order_of_the_journal(self, journal, clock):
        for number in range(4):
            await journal.tell([make_event(n=number)])
            clock.step_wall(-60)
        assert await self.ids(journal) == [0, 1, 2, 3]
        assert await self.ids(journal, limit=2) == [0, 1]
        assert await self.ids(journal, after=2) == [2, 3]
        assert await self.ids(journal, after=4) == []

    async def test_of_a_time(self, journal, clock):
        assert await self.ids(journal) == []
        for number in range(3):
            await journal.tell([make_event(n=number)])
            clock.pass_time(1)
        noon = NOON.timestamp()
        assert await self.ids(journal, when=(noon + 1, math.inf)) == [1, 2]
        assert await self.ids(journal, when=(noon, noon + 2)) == [0, 1]
        assert await self.ids(journal, when=(noon + 3, math.inf)) == []

    @pytest.mark.parametrize("many", [1, 2, 3])
    async def test_of_a_time_in_which_there_were_many(self, journal, clock, monkeypatch, many):
        monkeypatch.setattr(lookups, "MANY", many)
        await self.test_of_a_time(journal, clock)

    async def test_of_locks_and_of_the_bridge(self, journal):
        await journal.tell([make_event("a", n=0), make_event("b", n=1), make_event(None, n=2)])
        assert await self.ids(journal, lock_ids=["a"]) == [0]
        assert await self.ids(journal, lock_ids=["b", "a"]) == [0, 1]
        assert await self.ids(journal, lock_ids=[]) == []
        assert await self.ids(journal) == [0, 1, 2]

    async def test_by_type_and_by_identity(self, journal):
        await ended(journal, told=tell)
        events = await journal.search.events(Sought(*ALWAYS), 0, 100)
        types = [event.event_type for event in events]
        assert types == ["lock.action_completed", "action_attempt.unlock_door.succeeded", "lock.unlocked"]

        async def found(**fields):
            return [event.event_type for event in await journal.search.events(Sought(*ALWAYS, **fields), 0, 100)]

        assert await found(event_types=types[:1]) == types[:1]
        assert await found(event_types=[]) == []
        assert await found(event_ids=[str(events[2].event_id), "nobody"]) == types[2:]
        assert await found(but=types[0]) == types[1:]

    async def test_of_connected_accounts(self, journal):
        await journal.tell([make_event(n=n, connected_account_id=each) for n, each in enumerate("aba")])
        await journal.tell([make_event(None, n=3)])
        assert await self.ids(journal, account_ids=["a"]) == [0, 2]
        assert await self.ids(journal, account_ids=["b", "c"]) == [1]
        assert await self.ids(journal, account_ids=[]) == []

    @pytest.mark.parametrize("skip", [0, 1, TURN - 1, TURN, TURN + 1, 2 * TURN + 5, 10**30])
    async def test_the_first_ones_are_skipped(self, journal, skip):
        number = 2 * TURN + 7
        await journal.tell([make_event(n=n) for n in range(number)])
        for limit in (1, TURN, number):
            found = await journal.search.events(Sought(*ALWAYS), 0, limit, skip)
            assert [event.body["n"] for event in found] == list(range(number))[skip : skip + limit]

    async def test_a_long_search_is_done_in_stretches(self, journal):
        everything = list(range(2 * STRETCH + 50))
        rare = {100, STRETCH, STRETCH + 1, 2 * STRETCH + 7}
        await journal.tell([make_event("a" if n in rare else "b", n=n) for n in everything])
        assert await self.ids(journal, limit=len(everything)) == everything
        assert await self.ids(journal, lock_ids=["a"]) == sorted(rare)
        assert await self.ids(journal, lock_ids=["a"], limit=2) == sorted(rare)[:2]
        assert await self.ids(journal, lock_ids=["a"], after=STRETCH + 1) == sorted(rare)[2:]
