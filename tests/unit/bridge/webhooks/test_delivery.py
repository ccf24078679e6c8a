import itertools
import json
import uuid
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest
import trio.testing

from bridge.bell import Bell
from bridge.errors import StorageUnavailable
from bridge.journal import inline, open_journal
from bridge.journal.posting import Posting
from bridge.model import Event
from bridge.webhooks.delivery import FIRST_PAUSE, GIVE_UP, LONGEST_PAUSE, TIDY_PAUSE, Posted, Webhooks, pause
from bridge.webhooks.signing import Signer
from tests.support.clock import NOON, MachineClock

SIGNER = Signer(bytes(32))
TAKEN, AWAY = Posted(204), Posted(None, trouble="ConnectError")


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Receiver:
    """A `Poster`: answers as told, 204 when nothing is."""

    def __init__(self):
        self.says = lambda _event: TAKEN
        self.delay = 0.0
        self.tries = []
        self.at_once = self.most_at_once = 0

    async def post(self, headers, body):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.tries.append((anyio.current_time(), headers, body))
        await anyio.sleep(self.delay)
        self.at_once -= 1
        return self.says(json.loads(body))

    @property
    def bodies(self):
        return [json.loads(body) for _, _, body in self.tries]


class Place:
    """A journal, a receiver, and the lives of what posts from the one to the other."""

    def __init__(self, path):
        self.path = path
        self.clock = MachineClock(NOON, synchronised=True)
        self.receiver = Receiver()
        self.numbers = {}

    @asynccontextmanager
    async def life(self, *, configured=True):
        bell = Bell()
        self.journal = await open_journal(self.path / "journal.db", self.clock, bell, run=inline)
        try:
            async with anyio.create_task_group() as group:
                if configured:
                    self.journal.posting.begin()

                    @asynccontextmanager
                    async def connect():
                        yield self.receiver

                    self.webhooks = Webhooks(
                        self.journal, bell, self.clock, signer=SIGNER, connect=connect, jitter=lambda: 1.0
                    )
                    group.start_soon(self.webhooks.run)
                else:
                    self.given_up = await self.journal.posting.end()
                yield
                group.cancel_scope.cancel()
        finally:
            await self.journal.close()

    async def tell(self, lock_id="front_door", number=1):
        for _ in range(number):
            place = self.numbers[lock_id] = self.numbers.get(lock_id, 0) + 1
            event_id = uuid.uuid4()
            body = {"event_id": str(event_id), "event_type": "lock.locked", "lock": lock_id, "number": place}
            await self.journal.tell([Event(event_id, "lock.locked", lock_id, body)])

    async def unposted(self):
        return await self.journal.posting.lines()

    def of(self, lock_id):
        return [body["number"] for body in self.receiver.bodies if body["lock"] == lock_id]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


async def settle():
    await anyio.sleep(0.01)


async def test_an_event_is_posted_once_it_is_recorded(place):
    async with place.life():
        await place.tell()
        await settle()
        assert place.of("front_door") == [1]
        await anyio.sleep(10_000)
        assert await place.unposted() == set()
    assert place.of("front_door") == [1]
    assert place.webhooks.counts == {"taken": 1}


async def test_an_event_is_posted_unchanged_until_it_is_taken_each_time_signed_anew(place):
    answers = iter([AWAY, Posted(500), Posted(302), TAKEN])
    place.receiver.says = lambda _: next(answers)
    async with place.life():
        await place.tell()
        await anyio.sleep(100)
    bodies = {body for _, _, body in place.receiver.tries}
    headers = [headers for _, headers, _ in place.receiver.tries]
    assert (len(bodies), len(headers)) == (1, 4)
    assert len({each["webhook-id"] for each in headers}) == 1
    assert len({each["webhook-timestamp"] for each in headers}) == 4
    at = [at for at, _, _ in place.receiver.tries]
    assert [round(later - earlier) for earlier, later in itertools.pairwise(at)] == [2, 4, 8]


async def test_a_receiver_that_is_away_for_a_day_gets_everything_in_order(place):
    place.receiver.says = lambda _: AWAY
    async with place.life():
        await place.tell("front_door", 50)
        await place.tell("back_door", 50)
        await anyio.sleep(24 * 3600)
        tried = len(place.receiver.tries)
        place.receiver.tries.clear()
        place.receiver.says = lambda _: TAKEN
        await anyio.sleep(LONGEST_PAUSE)
        assert await place.unposted() == set()
    assert tried < 250
    assert place.of("front_door") == place.of("back_door") == list(range(1, 51))


async def test_an_event_that_is_refused_holds_up_those_behind_it_and_no_other_lock(place):
    place.receiver.says = lambda event: Posted(500) if event["lock"] == "front_door" else TAKEN
    async with place.life():
        await place.tell("front_door", 2)
        await place.tell("back_door", 2)
        await place.tell(None, 2)
        await anyio.sleep(1000)
        assert await place.unposted() == {"front_door"}
    assert set(place.of("front_door")) == {1}
    assert place.of("back_door") == place.of(None) == [1, 2]


async def test_a_slow_receiver_is_not_asked_too_much_at_once(place):
    place.receiver.delay = 10
    async with place.life():
        for number in range(20):
            await place.tell(f"lock{number}")
        await anyio.sleep(60)
    assert place.receiver.most_at_once == 4
    assert len(place.receiver.tries) == 20


async def test_what_was_not_taken_is_posted_after_a_restart_and_what_was_taken_is_not(place):
    place.receiver.says = lambda event: TAKEN if event["number"] == 1 else AWAY
    async with place.life():
        await place.tell(number=3)
        await anyio.sleep(60)
    place.receiver.tries.clear()
    place.receiver.says = lambda _: TAKEN
    async with place.life():
        await settle()
    assert place.of("front_door") == [2, 3]


async def test_what_cannot_be_marked_is_not_posted_again_in_the_same_life(place):
    async with place.life():
        await place.tell()
        connection = place.journal._store._connection
        place.receiver.says = lambda _: connection.execute("PRAGMA query_only = 1") and TAKEN
        await anyio.sleep(60)
        assert place.of("front_door") == [1]
        connection.execute("PRAGMA query_only = 0")
        await anyio.sleep(60)
        assert await place.unposted() == set()
    assert place.of("front_door") == [1]


@pytest.mark.parametrize("name", ["lines", "first", "mark", "give_up"])
async def test_a_journal_that_fails_for_a_while_is_asked_again(place, monkeypatch, name):
    sound, failed = getattr(Posting, name), []

    async def failing_once(journal, *args):
        if not failed:
            failed.append(name)
            raise StorageUnavailable("not now")
        return await sound(journal, *args)

    monkeypatch.setattr(Posting, name, failing_once)
    async with place.life():
        await place.tell(number=2)
        await anyio.sleep(60)
        assert await place.unposted() == set()
    assert failed
    assert place.of("front_door") == [1, 2]


async def test_events_from_before_there_was_a_webhook_are_not_posted(place):
    async with place.life(configured=False):
        await place.tell(number=2)
    async with place.life():
        await place.tell()
        await settle()
    assert place.of("front_door") == [3]


async def test_once_there_is_no_webhook_any_more_nothing_is_kept_for_it(place):
    place.receiver.says = lambda _: AWAY
    async with place.life():
        await place.tell(number=2)
    async with place.life(configured=False):
        assert place.given_up == 2
        assert await place.unposted() == set()


async def test_what_is_never_taken_is_given_up_after_days_and_counted(place):
    place.receiver.says = lambda event: AWAY if event["number"] == 1 else TAKEN
    async with place.life():
        await place.tell()
        await anyio.sleep(25 * 3600)
        await place.tell()
        assert place.webhooks.counts["given_up"] == 0
        await anyio.sleep(GIVE_UP - 25 * 3600 + 2 * TIDY_PAUSE)
        assert await place.unposted() == set()
    assert place.of("front_door")[-1] == 2
    assert place.webhooks.counts["given_up"] == 1


async def test_while_the_clock_is_not_known_to_be_right_nothing_is_given_up(place):
    place.receiver.says = lambda _: AWAY
    async with place.life():
        await place.tell()
        place.clock.step_wall(10 * GIVE_UP, synchronised=False)
        await anyio.sleep(2 * TIDY_PAUSE)
        assert await place.unposted() == {"front_door"}


async def test_the_brokers_acknowledgement_is_not_the_webhooks_nor_the_other_way_round(place):
    place.receiver.says = lambda event: TAKEN if event["number"] == 1 else AWAY
    async with place.life():
        await place.tell(number=2)
        await settle()
        assert [event.seq for event in await place.journal.unsent(0, 10)] == [1, 2]
        await place.journal.mark_sent([1, 2])
        place.clock.step_wall(8 * 24 * 3600)
        await place.journal.prune()
        assert (await place.journal.posting.first("front_door")).body["number"] == 2
        assert place.journal._store._connection.execute("SELECT count(*) FROM event").fetchone()[0] == 1


async def test_a_receiver_that_asks_for_a_pause_gets_it(place):
    answers = iter([Posted(429, retry_after=120.0), TAKEN])
    place.receiver.says = lambda _: next(answers)
    async with place.life():
        await place.tell()
        await anyio.sleep(119)
        assert len(place.receiver.tries) == 1
        await anyio.sleep(2)
        assert await place.unposted() == set()


async def test_an_event_that_comes_in_while_a_line_ends_is_not_left_behind(place, monkeypatch):
    async with place.life():
        look = place.journal.posting.first

        async def look_just_before(lock_id):
            found = await look(lock_id)
            if found is None and place.numbers[lock_id] == 1:
                await place.tell()
                await settle()
            return found

        monkeypatch.setattr(place.journal.posting, "first", look_just_before)
        await place.tell()
        await anyio.sleep(60)
    assert place.of("front_door") == [1, 2]


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 410, 500])
def test_only_a_2xx_says_that_it_is_taken(status):
    assert not Posted(status).taken
    assert Posted(200).taken
    assert Posted(299).taken


def test_pauses_grow_to_a_limit_and_are_spread():
    assert [pause(tries, None, 1.0) for tries in (1, 2, 3)] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pause(1000, None, 1.0) == LONGEST_PAUSE
    assert pause(1, None, 0.0) == FIRST_PAUSE / 2
    assert pause(1, 60.0, 1.0) == 60.0
    assert pause(1, 1e9, 1.0) == LONGEST_PAUSE


def test_an_event_is_tried_for_a_day_at_least():
    assert timedelta(seconds=GIVE_UP) >= timedelta(hours=24)
