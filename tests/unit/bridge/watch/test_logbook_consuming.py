"""How a log that forgets what is read is taken, over a session that is the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
import trio.testing

from bridge.bell import Bell
from bridge.service.progress import Progress
from bridge.sessions import Sessions
from bridge.states import States
from bridge.watch.logbook import GRACE, MOST, PAGE_TIME, Logbook
from bridge.watch.memory import Memory, Place
from drivers.base import Action, ConsumingOptions, LinkLost, LogRecord, Method
from drivers.yale import YaleSession
from tests.support.clock import NOON, FakeClock
from tests.support.scripted_driver import ScriptedDriver

if TYPE_CHECKING:
    from drivers.base import Consuming

TAKES = ConsumingOptions(consume_log=True)
FOLLOWED = Memory(place=Place(index=5))


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Log(YaleSession):
    """A lock's log, and as much of its session as takes it."""

    def __init__(self, number):
        self.left = [LogRecord(0, NOON, Action.LOCK, Method.MANUAL_TURN, succeeded=True)] * number
        self.takes = 0.0
        self.says = None

    async def take(self):
        await anyio.sleep(self.takes)
        if self.says is not None:
            raise self.says
        return self.left.pop() if self.left else None


def log_of(number) -> Consuming:
    return Log(number)


@pytest.fixture
def driver():
    return ScriptedDriver()


@pytest.fixture
def sessions(driver):
    states = States(FakeClock(), Bell())
    states.add("front_door", "Front door", "scripted")
    return Sessions(driver.lock(options=TAKES), driver, states, Progress())


@pytest.fixture
async def book(sessions):
    return Logbook(sessions)


@pytest.mark.parametrize(
    ("fields", "opened"),
    [
        ({"options": TAKES}, True),
        ({"options": ConsumingOptions()}, False),
        ({"options": TAKES, "read_log": False}, False),
    ],
)
async def test_it_is_open_where_its_owner_says_so(driver, sessions, fields, opened):
    sessions.lock = driver.lock(**fields)
    assert Logbook(sessions).open is opened


async def test_an_entry_is_taken_at_a_time_and_numbered_after_the_last(book):
    log = log_of(2)
    page = await book.news(log, FOLLOWED)
    assert [record.record_id for record in page.records] == [6]
    assert (page.taken, page.more, page.first_look, page.acquaintance) == (True, True, True, False)
    assert len(log.left) == 1
    assert not book.followed


async def test_one_that_was_not_recorded_is_told_again_and_nothing_more_is_taken(book):
    log = log_of(3)
    first = await book.news(log, FOLLOWED)
    assert await book.news(log, FOLLOWED) == first
    assert len(log.left) == 2
    page = await book.news(log, Memory(place=Place(index=6)))
    assert [record.record_id for record in page.records] == [7]


async def test_its_end_is_told(book):
    page = await book.news(log_of(0), FOLLOWED)
    assert (list(page.records), page.taken, page.more) == ([], True, False)
    assert book.followed
    assert not (await book.news(log_of(1), FOLLOWED)).first_look


@pytest.mark.parametrize("number", [0, 3, MOST + 3])
async def test_what_was_there_before_is_passed_over_however_long(book, number):
    log = log_of(number)
    page = await book.news(log, Memory())
    assert (list(page.records), page.acquaintance, page.more) == ([], True, False)
    assert not log.left


async def test_a_lock_that_falls_silent_ends_the_link(book, sessions):
    await sessions.get(5)
    log = log_of(1)
    log.says = LinkLost()
    with pytest.raises(LinkLost):
        await book.news(log, FOLLOWED)
    assert not sessions.open


async def test_an_entry_takes_no_longer_than_it_may(book):
    log = log_of(1)
    log.takes = 2 * PAGE_TIME
    with pytest.raises(LinkLost):
        await book.news(log, FOLLOWED)
    assert anyio.current_time() == pytest.approx(PAGE_TIME)


@pytest.mark.parametrize("takes", [GRACE - 0.1, GRACE + 0.1])
async def test_one_under_way_has_a_moment_when_a_command_comes_and_the_link_stays(book, sessions, takes):
    await sessions.get(5)
    log = log_of(5)
    log.takes = takes
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(book.news, log, Memory())
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            book.hurry()
    assert anyio.current_time() == pytest.approx(min(takes, GRACE))
    assert sessions.open
    assert len(log.left) == (4 if takes < GRACE else 5)


async def test_without_the_opt_in_a_session_that_could_take_is_not_asked_to(driver, sessions):
    sessions.lock = driver.lock(options=ConsumingOptions())
    log = log_of(1)
    assert await Logbook(sessions).news(log, FOLLOWED) is None
    assert len(log.left) == 1
