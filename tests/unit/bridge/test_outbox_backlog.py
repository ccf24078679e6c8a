"""P5 after a day without a broker: ten thousand events, in their order, and no more of them in memory than few."""

from __future__ import annotations

import tracemalloc
from uuid import UUID

import anyio
import pytest
import trio.testing

from bridge.bell import Bell
from bridge.journal import inline, open_journal
from bridge.lifecycle import PRUNE_PAUSE
from bridge.model import Event
from bridge.outbox import REFUSED_PAUSE, WINDOW, Outbox
from bridge.states import States
from tests.support.clock import RunningClock
from tests.support.fake_connection import FakeDelivery, Sent
from tests.support.house import until

EVENTS = 10_000
DAY = 24 * 3600.0
ROUND_TRIP = 0.02
MEBIBYTE = 2**20


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Broker:
    """Takes what is sent after a round trip each, in order, and may go at any moment."""

    def __init__(self, lasts=EVENTS * 10):
        self.heard = []
        self.most_under_way = 0
        self.refused = set()
        self._lasts = lasts
        self._under_way = []
        self._stir = anyio.Event()

    def event(self, event):
        delivery = FakeDelivery(Sent("", b"", retain=False, properties=None))
        self._under_way.append((event.event_id.int, delivery))
        self.most_under_way = max(self.most_under_way, len(self._under_way))
        self._stir.set()
        return delivery

    def state(self, device):
        """A state of a lock is of no interest here."""

    async def serve(self, outbox):
        """Let the outbox send until the broker goes."""
        async with anyio.create_task_group() as group:
            group.start_soon(outbox.serve, self)
            await self._answer()
            group.cancel_scope.cancel()

    async def _answer(self):
        while len(self.heard) < self._lasts:
            await self._stir.wait()
            self._stir = anyio.Event()
            await anyio.sleep(ROUND_TRIP)
            answered, self._under_way = self._under_way, []
            for number, delivery in answered:
                taken = number not in self.refused
                if taken:
                    self.heard.append(number)
                delivery.settle(taken=taken)


class Backlog:
    """A journal in which events are recorded, and the outbox over it."""

    def __init__(self, journal, bell, clock):
        self.journal = journal
        states = States(clock, bell)
        states.add("front_door", "Front door", "nuki")
        self.outbox = Outbox(journal, states, bell)

    async def fill(self, count):
        """Record events over a day without a broker, tidying the journal as the bridge does."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_tidy)
            for first in range(0, count, 50):
                await anyio.sleep(DAY * 50 / count)
                numbers = range(first, min(first + 50, count))
                await self.journal.tell([event(number) for number in numbers])
            group.cancel_scope.cancel()

    async def _keep_tidy(self):
        while True:
            await self.journal.prune()
            await anyio.sleep(PRUNE_PAUSE)

    @property
    def unsent(self):
        return self.journal._store._connection.execute("SELECT count(*) FROM event WHERE sent = 0").fetchone()[0]


def event(number):
    body = {"event_id": str(UUID(int=number)), "n": number, "filling": "x" * 500}
    return Event(UUID(int=number), "lock.unlocked", "front_door", body)


@pytest.fixture
async def backlog(tmp_path):
    bell, clock = Bell(), RunningClock()
    journal = await open_journal(tmp_path / "journal.db", clock, bell, run=inline)
    yield Backlog(journal, bell, clock)
    await journal.close()


async def test_p5_a_day_without_a_broker_loses_no_event_and_leaves_their_order(backlog):
    await backlog.fill(EVENTS)
    assert anyio.current_time() >= DAY
    assert backlog.unsent == EVENTS
    broker = Broker()
    async with anyio.create_task_group() as group:
        group.start_soon(broker.serve, backlog.outbox)
        await until(lambda: not backlog.unsent)
        group.cancel_scope.cancel()
    assert broker.heard == list(range(EVENTS))
    assert broker.most_under_way <= WINDOW


async def test_a_backlog_is_not_read_into_memory(backlog):
    await backlog.fill(EVENTS)
    broker = Broker()
    tracemalloc.start()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(broker.serve, backlog.outbox)
            await until(lambda: not backlog.unsent)
            group.cancel_scope.cancel()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(broker.heard) == EVENTS
    assert peak < 3 * MEBIBYTE  # the events themselves are more than five


async def test_a_broker_that_goes_again_and_again_has_all_of_it_in_the_end(backlog):
    count = 2000
    await backlog.fill(count)
    heard = []
    for _ in range(100):
        broker = Broker(lasts=150)
        with anyio.move_on_after(60):
            await broker.serve(backlog.outbox)
        heard += broker.heard
        if not backlog.unsent:
            break
    assert list(dict.fromkeys(heard)) == list(range(count))
    assert len(heard) < 2 * count


async def test_events_that_are_refused_wait_without_holding_up_the_backlog(backlog):
    await backlog.fill(1000)
    broker = Broker()
    broker.refused = set(range(0, 1000, 7))
    async with anyio.create_task_group() as group:
        group.start_soon(broker.serve, backlog.outbox)
        await until(lambda: backlog.unsent == len(broker.refused))
        once = list(broker.heard)
        broker.refused = set()
        await anyio.sleep(2 * REFUSED_PAUSE)
        assert backlog.unsent == 0
        group.cancel_scope.cancel()
    assert once == [number for number in range(1000) if number % 7]
    assert broker.heard[len(once) :] == list(range(0, 1000, 7))
