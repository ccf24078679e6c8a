"""How long the journal remembers: repeated commands, busy locks, and what is forgotten."""

from datetime import timedelta

import pytest

from bridge.attempt import State
from bridge.journal import inline, open_journal
from bridge.journal.journal import ATTEMPT_MEMORY, CUSTOM_ID_MEMORY, EVENT_MEMORY
from drivers.base import Action
from tests.support.clock import FakeClock
from tests.support.records import CountingBell, accepted, ended, make_event, reopened, tell
from tests.support.samples import make_command

WINDOW = 120.0


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


class TestEarlier:
    async def test_a_command_without_any_key_repeats_nothing(self, journal):
        await accepted(journal)
        assert await journal.earlier(make_command(), WINDOW) is None

    @pytest.mark.parametrize("age", [0.0, CUSTOM_ID_MEMORY])
    async def test_a_custom_id_is_remembered_for_a_day(self, journal, clock, age):
        attempt = await accepted(journal, custom_id="req_1")
        clock.boot += age
        assert await journal.earlier(make_command(custom_id="req_1"), WINDOW) == attempt

    async def test_and_no_longer(self, journal, clock):
        await accepted(journal, custom_id="req_1")
        clock.boot += CUSTOM_ID_MEMORY + 1
        assert await journal.earlier(make_command(custom_id="req_1"), WINDOW) is None

    @pytest.mark.parametrize("step", [-365 * 86400.0, 365 * 86400.0])
    async def test_a_step_of_the_wall_clock_does_not_change_what_this_boot_remembers(self, journal, clock, step):
        attempt = await accepted(journal, custom_id="req_1")
        clock.step_wall(step)
        assert await journal.earlier(make_command(custom_id="req_1"), WINDOW) == attempt

    @pytest.mark.parametrize(
        ("away", "found"), [(CUSTOM_ID_MEMORY, True), (CUSTOM_ID_MEMORY + 1, False), (-60.0, True)]
    )
    async def test_a_custom_id_is_remembered_across_boots_by_wall_time(self, journal, path, clock, away, found):
        attempt = await accepted(journal, custom_id="req_1")
        clock.reboot(away=away)
        async with reopened(journal, path, clock) as again:
            expected = attempt if found else None
            assert await again.earlier(make_command(custom_id="req_1", arrived=10.0), WINDOW) == expected

    @pytest.mark.parametrize(
        "other", [{"custom_id": "req_2"}, {"lock_id": "back_door"}, {"action": Action.LOCK}, {"custom_id": "REQ_1"}]
    )
    async def test_another_lock_action_or_custom_id_is_another_command(self, journal, other):
        await accepted(journal, custom_id="req_1")
        assert await journal.earlier(make_command(**({"custom_id": "req_1"} | other)), WINDOW) is None

    async def test_the_latest_of_several_is_found_with_its_status_of_now(self, journal):
        await accepted(journal, custom_id="req_1")
        latest = await ended(journal, custom_id="req_1")
        assert await journal.earlier(make_command(custom_id="req_1"), WINDOW) == latest
        assert latest.state is State.CONFIRMED

    @pytest.mark.parametrize(("age", "found"), [(0.0, True), (WINDOW, True), (WINDOW + 1, False)])
    async def test_a_reply_address_stands_for_a_custom_id_for_the_window_only(self, journal, clock, age, found):
        attempt = await accepted(journal, request_key="reply-7")
        clock.boot += age
        repeated = await journal.earlier(make_command(request_key="reply-7"), WINDOW)
        assert repeated == (attempt if found else None)

    async def test_a_reply_address_does_not_stand_beside_a_custom_id(self, journal):
        await accepted(journal, custom_id="req_1", request_key="reply-7")
        assert await journal.earlier(make_command(custom_id="req_2", request_key="reply-7"), WINDOW) is None

    @pytest.mark.parametrize(("age", "found"), [(WINDOW, True), (WINDOW + 1, False)])
    @pytest.mark.parametrize("custom_id", [None, "req_1"])
    async def test_a_redelivered_packet_is_recognised_within_the_window(self, journal, clock, custom_id, age, found):
        attempt = await accepted(journal, packet_key="packet-7")
        clock.boot += age
        again = make_command(packet_key="packet-7", redelivered=True, custom_id=custom_id)
        assert await journal.earlier(again, WINDOW) == (attempt if found else None)

    async def test_a_packet_that_is_no_redelivery_only_looks_the_same(self, journal):
        await accepted(journal, packet_key="packet-7")
        assert await journal.earlier(make_command(packet_key="packet-7"), WINDOW) is None

    async def test_keys_of_another_kind_do_not_meet(self, journal):
        await accepted(journal, custom_id="k", packet_key="p")
        again = make_command(request_key="k", packet_key="k", redelivered=True)
        assert await journal.earlier(again, WINDOW) is None


class TestRate:
    async def test_attempts_are_counted_by_lock_and_action_since_a_time(self, journal, clock):
        for arrived in (1000.0, 1010.0, 1020.0):
            await accepted(journal, arrived=arrived)
        await accepted(journal, arrived=1020.0, lock_id="back_door")
        await accepted(journal, arrived=1020.0, action=Action.LOCK)
        assert await journal.accepted_since("front_door", Action.UNLOCK, 999.0) == 3
        assert await journal.accepted_since("front_door", Action.UNLOCK, 1000.0) == 2
        assert await journal.accepted_since("front_door", Action.UNLOCK, 1020.0) == 0
        assert await journal.accepted_since("front_door", Action.LOCK, 999.0) == 1
        clock.reboot()
        assert await journal.accepted_since("front_door", Action.UNLOCK, 0.0) == 0

    async def test_they_are_counted_however_busy_the_other_locks_are(self, journal):
        await accepted(journal, arrived=1000.0)
        await journal._store.write(
            lambda db: db.execute(
                "INSERT INTO attempt (action_id, attempt_id, lock_id, action, method, boot_id, arrived, deadline,"
                " accepted_at, state) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                " SELECT i, i, 'back_door', action, method, boot_id, arrived, deadline, accepted_at, state"
                " FROM n, attempt"
            )
        )
        assert await journal.accepted_since("front_door", Action.UNLOCK, 999.0) == 1


class TestPrune:
    async def test_nothing_is_forgotten_within_its_memory(self, journal, clock):
        outcome = await ended(journal, told=tell)
        await journal.mark_sent(event.seq for event in await journal.unsent(0, 10))
        clock.pass_time(EVENT_MEMORY - 1)
        await journal.prune()
        assert await journal.search.attempt(outcome.action_id) == outcome
        assert await count_events(journal) == 3

    async def test_delivered_events_are_forgotten_first(self, journal, clock):
        await ended(journal, told=tell)
        found = await journal.unsent(0, 10)
        await journal.mark_sent([found[0].seq])
        clock.pass_time(EVENT_MEMORY + 1)
        await journal.prune()
        assert await journal.unsent(0, 10) == found[1:]
        assert await count_events(journal) == 2

    async def test_an_ended_attempt_is_forgotten_with_what_was_never_delivered(self, journal, clock):
        outcome = await ended(journal, told=tell)
        await journal.tell([make_event(lock_id=None)])
        clock.pass_time(ATTEMPT_MEMORY + 1)
        await journal.prune()
        assert await journal.search.attempt(outcome.action_id) is None
        assert await count_events(journal) == 0

    @pytest.mark.parametrize("rebooted", [False, True])
    async def test_an_attempt_without_an_outcome_is_never_forgotten(self, journal, clock, rebooted):
        attempt = await accepted(journal)
        clock.pass_time(10 * ATTEMPT_MEMORY)
        if rebooted:
            clock.reboot()
        await journal.prune()
        assert await journal.open_attempts() == [attempt]

    async def test_a_clock_that_is_set_right_makes_nothing_forgotten_that_this_boot_did(self, journal, clock):
        clock.now -= timedelta(days=365)
        outcome = await ended(journal, told=tell, custom_id="req_1")
        told = await journal.unsent(0, 10)
        clock.step_wall(365 * 86400.0)
        await journal.prune()
        assert await journal.earlier(make_command(custom_id="req_1"), WINDOW) == outcome
        assert await journal.unsent(0, 10) == told

    async def test_what_another_boot_did_is_forgotten_by_wall_time(self, journal, clock):
        outcome = await ended(journal, told=tell)
        clock.reboot(away=ATTEMPT_MEMORY + 1)
        await journal.prune()
        assert await journal.search.attempt(outcome.action_id) is None
        assert await journal.unsent(0, 10) == []


async def count_events(journal):
    return await journal._store.read(lambda db: db.execute("SELECT count(*) FROM event").fetchone()[0])
