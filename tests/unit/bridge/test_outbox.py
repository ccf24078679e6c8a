"""What is told upstream: recorded events in their order, then the states that they led to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from uuid import UUID

import anyio
import pytest
import trio.testing

from bridge.bell import Bell
from bridge.journal import inline, open_journal
from bridge.model import Event
from bridge.outbox import REFUSED_PAUSE, STORAGE_PAUSE, WINDOW, Outbox
from bridge.states import States
from drivers.base import LockState, Snapshot
from tests.support.clock import FakeClock
from tests.support.fake_connection import FakeDelivery, Sent
from tests.support.house import until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Post:
    """A publisher, and the broker behind it."""

    def __init__(self):
        self.said = []
        self.deliveries = []
        self.answer = lambda _number: True

    def event(self, event):
        number = int(event.event_id)
        self.said.append(number)
        delivery = FakeDelivery(Sent("", b"", retain=False, properties=None))
        self.deliveries.append(delivery)
        answer = self.answer(number)
        if answer is not None:
            delivery.settle(taken=answer)
        return delivery

    def state(self, device):
        self.said.append(device["lock_state"])

    @property
    def events(self):
        return [each for each in self.said if isinstance(each, int)]


class Desk:
    """A journal, the states and the outbox over them."""

    def __init__(self, journal, bell):
        self.journal = journal
        self.states = States(FakeClock(), bell)
        self.states.add("front_door", "Front door", "nuki")
        self.outbox = Outbox(journal, self.states, bell)

    async def record(self, *numbers):
        await self.journal.tell(
            [Event(UUID(int=number), "lock.unlocked", "front_door", {"n": number}) for number in numbers]
        )

    def saw(self, state):
        self.states.saw("front_door", Snapshot(state))

    @asynccontextmanager
    async def serving(self, post=None):
        post = post or Post()
        async with anyio.create_task_group() as group:
            group.start_soon(self.outbox.serve, post)
            yield post
            group.cancel_scope.cancel()

    def execute(self, sql):
        return self.journal._store._connection.execute(sql).fetchall()

    @property
    def unsent(self):
        return [row[0] for row in self.execute("SELECT seq FROM event WHERE sent = 0 ORDER BY seq")]


@pytest.fixture
async def desk(tmp_path):
    bell = Bell()
    journal = await open_journal(tmp_path / "journal.db", FakeClock(), bell, run=inline)
    yield Desk(journal, bell)
    await journal.close()


async def test_what_was_recorded_before_the_connection_is_sent_in_order_and_then_the_states(desk):
    await desk.record(1, 2, 3)
    desk.saw(LockState.UNLOCKED)
    async with desk.serving() as post:
        await until(lambda: not desk.unsent)
        assert post.said == [1, 2, 3, "unlocked"]


async def test_what_is_recorded_later_is_sent_at_once_and_its_state_after_it(desk):
    async with desk.serving() as post:
        await until(lambda: post.said)
        await desk.record(1)
        desk.saw(LockState.UNLOCKED)
        await until(lambda: not desk.unsent)
        assert post.said == ["unknown", 1, "unlocked"]


async def test_only_what_the_broker_took_is_marked_as_sent(desk):
    await desk.record(1, 2)
    post = Post()
    post.answer = lambda number: True if number == 1 else None
    async with desk.serving(post):
        await until(lambda: desk.unsent == [2])
        await anyio.sleep(600)
        assert desk.unsent == [2]
        post.deliveries[1].settle(taken=True)
        await until(lambda: not desk.unsent)
        assert post.events == [1, 2]


async def test_what_was_on_its_way_when_the_connection_was_lost_is_sent_again(desk):
    await desk.record(1, 2, 3)
    post = Post()
    post.answer = lambda number: True if number == 1 else None
    async with desk.serving(post):
        await until(lambda: desk.unsent == [2, 3])
    async with desk.serving() as post:
        await until(lambda: not desk.unsent)
        assert post.said == [2, 3, "unknown"]


async def test_a_state_does_not_wait_for_the_answers_to_events(desk):
    await desk.record(1)
    post = Post()
    post.answer = lambda _number: None
    async with desk.serving(post):
        await until(lambda: "unknown" in post.said)
        assert post.said == [1, "unknown"]


async def test_only_so_many_are_on_their_way_at_the_same_time(desk):
    await desk.record(*range(1, WINDOW + 11))
    post = Post()
    post.answer = lambda _number: None
    async with desk.serving(post):
        await until(lambda: len(post.said) == WINDOW)
        await anyio.sleep(60)
        assert post.said == list(range(1, WINDOW + 1))
        post.deliveries[0].settle(taken=True)
        await until(lambda: len(post.said) == WINDOW + 1)
        for delivery in post.deliveries:
            delivery.settle(taken=True)
        post.answer = lambda _number: True
        await until(lambda: not desk.unsent)
        assert post.said == [*range(1, WINDOW + 11), "unknown"]


async def test_a_refused_event_is_tried_again_later_and_holds_up_no_other(desk):
    await desk.record(1, 2, 3)
    post = Post()
    refused = True
    post.answer = lambda number: not (refused and number == 2)
    async with desk.serving(post):
        await until(lambda: desk.unsent == [2])
        await desk.record(4)
        await until(lambda: post.events == [1, 2, 3, 4])
        await anyio.sleep(REFUSED_PAUSE + 1)
        assert post.events == [1, 2, 3, 4, 2]
        refused = False
        await anyio.sleep(REFUSED_PAUSE + 1)
        assert post.events == [1, 2, 3, 4, 2, 2]
        assert not desk.unsent


async def test_a_refused_event_is_tried_again_though_others_never_cease(desk):
    post = Post()
    post.answer = lambda number: None if number > 1 else False
    await desk.record(1)
    async with desk.serving(post), anyio.create_task_group() as group:

        async def chatter():
            await desk.record(2)
            for number in range(3, 400):
                await desk.record(number)
                await anyio.sleep(1)
                next(each for each in post.deliveries if not each.finished).settle(taken=True)

        group.start_soon(chatter)
        with anyio.fail_after(3 * REFUSED_PAUSE):
            await until(lambda: post.events.count(1) == 2)
        group.cancel_scope.cancel()


async def test_a_journal_that_cannot_be_read_is_asked_again(desk):
    connection = desk.journal._store._connection
    connection.set_progress_handler(lambda: 1, 1)
    async with desk.serving() as post:
        await anyio.sleep(3 * STORAGE_PAUSE)
        connection.set_progress_handler(None, 1)
        await desk.record(1)
        await until(lambda: not desk.unsent)
        assert post.events == [1]


async def test_a_journal_that_cannot_note_what_was_sent_has_it_sent_again(desk):
    await desk.record(1)
    async with desk.serving() as post:
        desk.execute("PRAGMA query_only = 1")
        await until(lambda: len(post.events) == 2)
        assert anyio.current_time() == pytest.approx(STORAGE_PAUSE, abs=0.1)
        desk.execute("PRAGMA query_only = 0")
        await until(lambda: not desk.unsent)
        assert set(post.events) == {1}


async def test_it_is_caught_up_once_everything_was_taken(desk):
    await desk.record(1)
    post = Post()
    post.answer = lambda _number: None
    async with desk.serving(post):
        await until(lambda: post.events)
        with anyio.move_on_after(10) as waiting:
            await desk.outbox.caught_up()
        assert waiting.cancelled_caught
        post.deliveries[0].settle(taken=True)
        with anyio.fail_after(1):
            await desk.outbox.caught_up()
        assert not desk.unsent


async def test_a_new_connection_is_told_every_state(desk):
    for _ in range(2):
        async with desk.serving() as post:
            await until(lambda post=post: post.said == ["unknown"])
