"""When the watchdog is fed and when not, by virtual time."""

from contextlib import asynccontextmanager

import anyio
import pytest
import structlog.testing
import trio.testing

from bridge.service import watchdog
from bridge.service.progress import Progress
from bridge.service.watchdog import RECHECK

EVERY = 20.0


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Watchdog:
    """Notes when it is fed, in seconds since it was begun."""

    def __init__(self):
        self.progress = Progress()
        self.fed = []
        self._begun = anyio.current_time()

    @property
    def now(self):
        return round(anyio.current_time() - self._begun, 6)

    def tell(self, state):
        assert state == "WATCHDOG=1"
        self.fed.append(self.now)

    @asynccontextmanager
    async def fed_every(self, seconds):
        async with anyio.create_task_group() as group:
            group.start_soon(watchdog.keep_fed, self.progress, seconds, self.tell)
            yield
            group.cancel_scope.cancel()


async def test_it_is_fed_at_once_and_then_as_often_as_it_wants():
    dog = Watchdog()
    async with dog.fed_every(EVERY):
        await anyio.sleep(65.0)
    assert dog.fed == [0.0, 20.0, 40.0, 60.0]


async def test_it_is_fed_while_work_takes_long_and_is_not_overdue():
    dog = Watchdog()
    async with dog.fed_every(EVERY):
        with dog.progress.expected("the journal", within=60.0):
            await anyio.sleep(59.0)
    assert dog.fed == [0.0, 20.0, 40.0]


async def test_it_is_fed_no_more_once_something_is_overdue():
    dog = Watchdog()
    async with dog.fed_every(EVERY):
        with dog.progress.expected("the journal", within=30.0):
            await anyio.sleep(1000.0)
            assert dog.fed == [0.0, 20.0]


async def test_other_work_that_goes_on_does_not_hide_what_is_stuck():
    dog = Watchdog()
    async with dog.fed_every(EVERY):
        with dog.progress.expected("the journal", within=30.0):
            for _ in range(100):
                with dog.progress.expected("a look", within=30.0):
                    await anyio.sleep(1.0)
    assert dog.fed == [0.0, 20.0]


async def test_it_is_fed_again_at_once_when_what_was_stuck_goes_on():
    dog = Watchdog()
    async with dog.fed_every(EVERY):
        with dog.progress.expected("the journal", within=30.0):
            await anyio.sleep(50.5)
        before = dog.now
        await anyio.sleep(30.0)
    assert dog.fed[2] <= before + RECHECK
    assert dog.fed[3] == dog.fed[2] + EVERY


async def test_the_log_names_what_is_stuck_once_and_that_it_goes_on():
    dog = Watchdog()
    with structlog.testing.capture_logs() as lines:
        async with dog.fed_every(EVERY):
            with dog.progress.expected("the journal", within=30.0):
                await anyio.sleep(500.0)
            await anyio.sleep(EVERY)
    assert [(line["log_level"], line["work"]) for line in lines] == [
        ("error", "the journal"),
        ("warning", "the journal"),
    ]


async def test_a_watchdog_of_a_short_time_is_looked_after_as_often_while_something_is_stuck():
    dog = Watchdog()
    async with dog.fed_every(0.2):
        with dog.progress.expected("the journal", within=1.0):
            await anyio.sleep(1.5)
        await anyio.sleep(0.2)
    assert dog.fed[-1] > 1.5


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": ""}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "42"}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0", "WATCHDOG_PID": "42"}, None),
        ({"WATCHDOG_USEC": "soon", "WATCHDOG_PID": "42"}, None),
    ],
)
def test_it_is_fed_at_a_third_of_its_time_if_it_watches_this_process(environ, seconds):
    assert watchdog.pause(environ, 42) == (None if seconds is None else pytest.approx(seconds))
