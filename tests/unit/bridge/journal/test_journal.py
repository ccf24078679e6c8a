"""The durable record: attempts, their outcomes, and the events that tell them."""

import contextlib
import sqlite3
import tempfile
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.attempt import TABLE, State, Step
from bridge.errors import Code, IllegalStep, StorageUnavailable
from bridge.journal import in_thread, inline, open_journal
from bridge.journal import rows as rows_module
from bridge.model import Ending
from drivers.base import TAG_BYTES, Action, Method, Stage
from tests.support.clock import FakeClock
from tests.support.records import CONFIRM, CountingBell, accepted, ended, make_event, reopened, silent, tell
from tests.support.samples import make_command


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def bell():
    return CountingBell()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
async def journal(path, clock, bell):
    journal = await open_journal(path, clock, bell, inline)
    yield journal
    await journal.close()


class TestAttempts:
    async def test_an_accepted_command_is_an_attempt_with_its_deadline(self, journal, clock):
        clock.pass_time(5)
        attempt = await journal.accept(
            make_command(Action.LOCK, method=Method.BLUETOOTH_KEY, custom_id="req_1"), deadline=1025.0
        )
        assert (attempt.lock_id, attempt.action, attempt.method) == ("front_door", Action.LOCK, Method.BLUETOOTH_KEY)
        assert (attempt.custom_id, attempt.deadline, attempt.boot_id) == ("req_1", 1025.0, "boot-1")
        assert (attempt.state, attempt.accepted_at, attempt.ended_at) == (State.ACCEPTED, clock.wall(), None)

    async def test_it_is_found_by_either_of_its_identities(self, journal):
        attempt = await accepted(journal)
        assert await journal.search.attempt(attempt.action_id) == attempt
        assert await journal.search.attempt(str(attempt.attempt_id)) == attempt
        assert await journal.search.attempt("act_unknown") is None

    async def test_it_is_found_after_the_next_start(self, journal, path, clock):
        attempt = await accepted(journal)
        async with reopened(journal, path, clock) as again:
            assert await again.search.attempt(attempt.action_id) == attempt

    async def test_every_attempt_has_identities_and_a_place_of_its_own(self, journal):
        attempts = [await accepted(journal) for _ in range(10)]
        assert [attempt.seq for attempt in attempts] == sorted({attempt.seq for attempt in attempts})
        assert len({attempt.action_id for attempt in attempts}) == len({a.attempt_id for a in attempts}) == 10

    async def test_its_tag_fits_into_a_locks_log(self, journal):
        attempt = await accepted(journal)
        assert attempt.tag == attempt.action_id.encode()
        assert len(attempt.tag) <= TAG_BYTES

    async def test_attempts_at_the_same_time_share_the_disk_and_keep_apart(self, path, clock, bell):
        journal = await open_journal(path, clock, bell, in_thread)
        attempts = []

        async def accept(number):
            attempts.append(await accepted(journal, custom_id=str(number)))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(accept, number)
        for attempt in attempts:
            assert await journal.search.attempt(attempt.action_id) == attempt
        assert len({attempt.seq for attempt in attempts}) == 20
        await journal.close()


class TestCommit:
    async def test_a_committed_attempt_is_committed_on_disk(self, journal, path, clock):
        attempt = await journal.commit(await accepted(journal))
        assert attempt.state is State.COMMITTED
        async with reopened(journal, path, clock) as again:
            assert await again.search.attempt(attempt.action_id) == attempt

    async def test_it_is_committed_once(self, journal):
        attempt = await accepted(journal)
        await journal.commit(attempt)
        with pytest.raises(IllegalStep, match=attempt.action_id):
            await journal.commit(attempt)

    async def test_an_ended_attempt_is_not_committed(self, journal):
        attempt = await accepted(journal)
        await journal.end(attempt, Ending(Step.FAIL, code=Code.ACTION_TIMEOUT), silent)
        with pytest.raises(IllegalStep):
            await journal.commit(attempt)
        assert (await journal.search.attempt(attempt.action_id)).state is State.FAILED

    async def test_a_commit_that_is_not_on_disk_is_told(self, journal):
        attempt = await accepted(journal)
        await journal.close()
        with pytest.raises(StorageUnavailable):
            await journal.commit(attempt)


class TestEnd:
    @pytest.mark.parametrize(
        ("ending", "state"),
        [
            (Ending(Step.CONFIRM, changed=True), State.CONFIRMED),
            (Ending(Step.CONFIRM, changed=False), State.CONFIRMED),
            (Ending(Step.CONFIRM, method=Method.UNKNOWN), State.CONFIRMED),
            (Ending(Step.FAIL, code=Code.LOCK_JAMMED, message="It is jammed."), State.FAILED),
            (Ending(Step.LOSE, code=Code.OUTCOME_UNKNOWN, message="Who knows.", stage=Stage.MOVING), State.UNKNOWN),
        ],
    )
    async def test_the_outcome_is_kept_as_it_was(self, journal, path, clock, ending, state):
        attempt = await journal.commit(await accepted(journal))
        clock.pass_time(2.5)
        outcome = await journal.end(attempt, ending, silent)
        assert (outcome.state, outcome.ended_at) == (state, clock.wall())
        assert (outcome.code, outcome.message, outcome.changed) == (ending.code, ending.message, ending.changed)
        assert (outcome.stage, outcome.method) == (ending.stage, ending.method or Method.REMOTE_API)
        async with reopened(journal, path, clock) as again:
            assert await again.search.attempt(attempt.action_id) == outcome

    async def test_its_events_are_told_of_the_attempt_as_it_ended(self, journal, bell):
        outcome = await ended(journal, told=tell, custom_id="req_1")
        told = await journal.unsent(0, 10)
        assert [event.event_type for event in told] == [
            "lock.action_completed",
            "action_attempt.unlock_door.succeeded",
            "lock.unlocked",
        ]
        assert {(event.attempt_id, event.custom_id) for event in told} == {(outcome.attempt_id, "req_1")}
        assert bell.rings == 1

    async def test_an_attempt_ends_once(self, journal, bell):
        attempt = await journal.commit(await accepted(journal))
        first = await journal.end(attempt, CONFIRM, tell)
        for again in (attempt, first):
            with pytest.raises(IllegalStep):
                await journal.end(again, Ending(Step.FAIL, code=Code.LOCK_JAMMED), tell)
        assert await journal.search.attempt(attempt.action_id) == first
        assert len(await journal.unsent(0, 10)) == 3
        assert bell.rings == 1

    async def test_who_knows_an_older_state_ends_nothing(self, journal):
        stale = await accepted(journal)
        attempt = await journal.commit(stale)
        with pytest.raises(IllegalStep, match="no longer accepted"):
            await journal.end(stale, Ending(Step.FAIL, code=Code.ACTION_TIMEOUT), tell)
        assert await journal.search.attempt(attempt.action_id) == attempt
        assert await journal.unsent(0, 10) == []

    async def test_what_was_never_committed_cannot_end_as_unknown(self, journal):
        attempt = await accepted(journal)
        with pytest.raises(IllegalStep, match="cannot lose"):
            await journal.end(attempt, Ending(Step.LOSE), tell)
        assert await journal.open_attempts() == [attempt]

    @pytest.mark.parametrize(
        ("told", "error"),
        [
            (lambda _: [make_event(), make_event(unfit=object())], TypeError),
            (lambda _: [make_event(), make_event(unfit="\ud800")], UnicodeEncodeError),
            (lambda _: [make_event()] * 2, StorageUnavailable),
            (lambda attempt: [make_event(), 1 / attempt.changed], ZeroDivisionError),
        ],
        ids=["no JSON", "no UTF-8", "told twice", "not built"],
    )
    async def test_an_outcome_is_not_recorded_without_its_events_nor_they_without_it(self, journal, bell, told, error):
        attempt = await journal.commit(await accepted(journal))
        with pytest.raises(error):
            await journal.end(attempt, Ending(Step.CONFIRM, changed=False), told)
        assert await journal.search.attempt(attempt.action_id) == attempt
        assert await journal.unsent(0, 10) == []
        assert bell.rings == 0
        await journal.end(attempt, CONFIRM, tell)
        assert len(await journal.unsent(0, 10)) == 3

    async def test_open_attempts_are_those_without_an_outcome_in_their_order(self, journal, path, clock):
        first = await accepted(journal)
        await ended(journal)
        second = await journal.commit(await accepted(journal))
        third = await accepted(journal, lock_id="back_door")
        clock.reboot()
        async with reopened(journal, path, clock) as again:
            assert await again.open_attempts() == [first, second, third]
            assert all(attempt.over(clock.boot_id, clock.boottime()) for attempt in await again.open_attempts())


class TestEvents:
    async def test_unsent_events_come_in_order_from_beyond_a_place(self, journal):
        told = [make_event(n=number) for number in range(5)]
        await journal.tell(told[:2])
        await journal.tell(told[2:])
        found = await journal.unsent(0, 10)
        assert [each.event_id for each in found] == [each.event_id for each in told]
        assert await journal.unsent(found[1].seq, 2) == found[2:4]
        assert await journal.unsent(found[-1].seq, 10) == []

    async def test_what_the_broker_acknowledged_is_not_sent_again(self, journal, path, clock):
        await journal.tell([make_event(n=number) for number in range(4)])
        found = await journal.unsent(0, 10)
        await journal.mark_sent([found[0].seq, found[2].seq])
        async with reopened(journal, path, clock) as again:
            assert await again.unsent(0, 10) == [found[1], found[3]]

    async def test_telling_rings_the_bell_once_it_is_on_disk(self, journal, bell):
        await journal.tell([make_event()])
        assert bell.rings == 1
        with pytest.raises(TypeError):
            await journal.tell([make_event(unfit=object())])
        assert bell.rings == 1

    async def test_a_broken_event_is_told_to_its_teller_alone(self, journal):
        other = []

        async def accept():
            other.append(await accepted(journal))

        async with anyio.create_task_group() as group:
            group.start_soon(accept)
            with pytest.raises(TypeError):
                await journal.tell([make_event(unfit=object())])
        assert await journal.open_attempts() == other


class TestTellingOnce:
    async def test_what_is_told_once_is_not_told_again_under_its_name_nor_after_a_restart(self, journal, path, clock):
        assert await journal.tell_once("loss", [make_event(n=1)])
        assert not await journal.tell_once("loss", [make_event(n=2)])
        async with reopened(journal, path, clock) as again:
            assert not await again.tell_once("loss", [make_event(n=3)])
            assert await again.tell_once("another loss", [make_event(n=4)])
            assert [event.body["n"] for event in await again.unsent(0, 9)] == [1, 4]

    async def test_what_could_not_be_told_may_be_told_later(self, journal):
        with pytest.raises(TypeError):
            await journal.tell_once("loss", [make_event(unfit=object())])
        assert await journal.tell_once("loss", [make_event(n=1)])


class TestTellingTurns:
    async def test_only_changes_are_told_and_a_restart_is_none(self, journal, path, clock):
        assert not await journal.tell_turn("ill", [make_event(n=1)], on=False)
        assert await journal.tell_turn("ill", [make_event(n=2)], on=True)
        assert not await journal.tell_turn("ill", [make_event(n=3)], on=True)
        async with reopened(journal, path, clock) as again:
            assert not await again.tell_turn("ill", [make_event(n=4)], on=True)
            assert await again.tell_turn("ill", [make_event(n=5)], on=False)
            assert not await again.tell_turn("ill", [make_event(n=6)], on=False)
            assert await again.tell_turn("ill", [make_event(n=7)], on=True)
            assert [event.body["n"] for event in await again.unsent(0, 9)] == [2, 5, 7]


class TestRecord:
    async def test_a_record_keeps_its_epoch(self, journal, path, clock):
        assert journal.fresh
        async with reopened(journal, path, clock) as again:
            assert again.epoch == journal.epoch
            assert again.set_aside is None

    async def test_a_record_is_fresh_until_nothing_of_before_it_can_come(self, journal, path, clock):
        async with reopened(journal, path, clock) as again:
            assert again.fresh
            await again.settle()
            assert not again.fresh
            async with reopened(again, path, clock) as third:
                assert not third.fresh

    async def test_a_record_that_replaces_a_damaged_one_has_an_epoch_of_its_own(self, journal, path, clock):
        await journal.close()
        path.write_bytes(b"garbage " * 1000)
        again = await open_journal(path, clock, CountingBell(), inline)
        assert again.fresh
        assert again.epoch != journal.epoch
        assert again.set_aside == path.with_name("journal.db.corrupt-20260131T120000Z")
        await again.close()

    async def test_a_value_is_kept_as_it_was_first(self, journal, path, clock):
        assert await journal.fact("workspace_id", "w1") == "w1"
        async with reopened(journal, path, clock) as again:
            assert await again.fact("workspace_id", "w2") == "w1"

    async def test_what_is_set_replaces_what_was_kept_together_with_its_events(self, journal, path, clock):
        await journal.fact("a", "1")
        await journal.tell([make_event(n=1)], {"a": "2", "b": "3"})
        async with reopened(journal, path, clock) as later:
            assert (await later.facts()).items() >= {"a": "2", "b": "3"}.items()
            assert [event.body["n"] for event in await later.unsent(0, 9)] == [1]

    async def test_nothing_is_set_where_the_events_cannot_be_told(self, journal):
        with pytest.raises(TypeError):
            await journal.tell([make_event(unfit=object())], {"a": "2"})
        assert "a" not in await journal.facts()

    async def test_what_is_set_with_an_outcome_knows_of_its_events(self, journal):
        told = []

        def tell(_ended):
            told.append(make_event(n=1))
            return told

        attempt = await journal.accept(make_command(), 1030.0)
        await journal.end(attempt, CONFIRM, tell, lambda: {"a": str(len(told))})
        assert (await journal.facts())["a"] == "1"

    async def test_a_full_disk_takes_no_command_and_is_seen(self, journal):
        pages = await journal._store.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        await journal._store.read(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        assert journal.writable
        with pytest.raises(StorageUnavailable, match="full"):
            await accepted(journal, custom_id="x" * 10_000)
        assert not journal.writable
        assert await journal.open_attempts() == []

    async def test_a_record_that_cannot_be_begun_is_let_go(self, path, clock, bell, monkeypatch):
        def full(*_):
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(rows_module, "keep_fact", full)
            with pytest.raises(StorageUnavailable, match="full"):
                await open_journal(path, clock, bell, inline)
        journal = await open_journal(path, clock, bell, inline)
        assert journal.fresh
        await journal.close()


steps = st.lists(
    st.tuples(st.sampled_from(["accept", "commit", "confirm", "fail", "lose", "restart"]), st.integers(0, 3)),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_whatever_happens_each_attempt_is_committed_and_ended_at_most_once_and_told_of_accordingly(steps):
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(live, Path(folder) / "journal.db", steps)


async def live(path, steps):
    """Lead a life of commands, crashes of the caller's memory and restarts, and compare it with a simple model."""
    clock = FakeClock()
    journal = await open_journal(path, clock, CountingBell(), inline)
    known, states = [], {}
    for step, number in steps:
        if step == "accept":
            known.append(await accepted(journal))
            states[known[-1].seq] = State.ACCEPTED
        elif step == "restart":
            await journal.close()
            journal = await open_journal(path, clock, CountingBell(), inline)
            known = await journal.open_attempts()
        elif number < len(known):
            attempt = known[number]
            legal = (states[attempt.seq], Step(step)) in TABLE and states[attempt.seq] is attempt.state
            with contextlib.nullcontext() if legal else pytest.raises(IllegalStep):
                if step == "commit":
                    after = await journal.commit(attempt)
                else:
                    after = await journal.end(attempt, Ending(Step(step)), tell)
                states[attempt.seq] = after.state
                known.append(after)
    assert [attempt.seq for attempt in await journal.open_attempts()] == [
        seq for seq, state in states.items() if not state.terminal
    ]
    told = [each.event_type for each in await journal.unsent(0, 1000)]
    assert told.count("lock.action_completed") == sum(state.terminal for state in states.values())
    assert told.count("lock.unlocked") == sum(state is State.CONFIRMED for state in states.values())
    await journal.close()
