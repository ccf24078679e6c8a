"""How a lock's log is followed, over a session that is the test."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
import trio.testing

from bridge.bell import Bell
from bridge.service.progress import Progress
from bridge.sessions import Sessions
from bridge.states import States
from bridge.watch import logbook
from bridge.watch.logbook import GRACE, MOST, PAGE, PAGE_TIME, SHUT, Logbook
from bridge.watch.memory import Memory, Pending, Place
from drivers.base import Action, Capabilities, DriverError, Fault, LinkLost, LogRecord, Method
from tests.support.clock import NOON, FakeClock
from tests.support.scripted_driver import ScriptedDriver


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def record(number, life=0):
    return LogRecord(
        number, NOON + timedelta(seconds=number, days=life), Action.LOCK, Method.MANUAL_TURN, succeeded=True
    )


class Log:
    """A lock's log, and as much of its session as reads it; `asked` is what was asked for."""

    def __init__(self, *numbers, life=0):
        self.records = [record(number, life) for number in numbers]
        self.asked = []
        self.says = None
        self.takes = 0.0

    async def log(self, after, count):
        self.asked.append((after, count))
        await anyio.sleep(self.takes)
        if self.says is not None:
            raise self.says
        newest_first = self.records[::-1] if after is None else [r for r in self.records if r.record_id > after]
        return newest_first[:count]


@pytest.fixture
def driver():
    driver = ScriptedDriver()
    driver.capabilities = Capabilities(actions=frozenset(Action), log=True)
    return driver


@pytest.fixture
def sessions(driver):
    states = States(FakeClock(), Bell())
    states.add("front_door", "Front door", "scripted")
    return Sessions(driver.lock(), driver, states, Progress())


@pytest.fixture
async def book(driver, sessions):
    return Logbook(sessions)


def at(number, life=0):
    return Memory(place=Place(index=number, at=record(number, life).at))


def numbers(page):
    return [each.record_id for each in page.records]


async def test_nothing_new_costs_one_entry(book):
    log = Log(1, 2, 3)
    assert numbers(await book.news(log, at(3))) == []
    assert log.asked == [(None, 1)]
    assert book.followed


async def test_what_is_new_is_read_from_the_place_on(book):
    log = Log(*range(1, 30))
    page = await book.news(log, at(9))
    assert numbers(page) == list(range(10, 30))
    assert not page.acquaintance
    assert [after for after, count in log.asked[1:] if count == PAGE] == [8, 16, 24]


async def test_only_what_is_read_first_in_a_life_may_be_of_any_age(book):
    log = Log(1, 2)
    assert (await book.news(log, at(1))).first_look
    log.records.append(record(3))
    assert not (await book.news(log, at(2))).first_look


async def test_what_the_lock_has_overwritten_is_passed_over(book):
    assert numbers(await book.news(Log(*range(50, 60)), at(3))) == list(range(50, 60))


async def test_too_much_is_not_read_at_one_look(book):
    page = await book.news(Log(*range(1, 2 * MOST)), at(1))
    assert MOST - PAGE <= len(page.records) <= MOST + PAGE


async def test_a_log_that_is_met_is_followed_from_its_end(book):
    page = await book.news(Log(1, 2, 3), Memory())
    assert (numbers(page), page.acquaintance) == ([3], True)


@pytest.mark.parametrize("known", [9, 3, 2])
async def test_one_that_began_anew_is_met_again(book, known):
    page = await book.news(Log(1, 2, 3, life=1), at(known))
    assert (numbers(page), page.acquaintance) == ([3], True)


async def test_where_something_waits_to_be_explained_more_is_read(book):
    pending = Pending(bolt="locked", method=Method.UNKNOWN, since=NOON, until=NOON)
    page = await book.news(Log(*range(1, 20)), Memory(pending=(pending,)))
    assert (numbers(page), page.acquaintance) == (list(range(12, 20)), True)


async def test_a_log_without_an_entry_has_no_news(book):
    assert numbers(await book.news(Log(), Memory())) == []


async def test_a_log_that_keeps_back_what_it_has_is_left_at_that(book):
    log = Log(7)

    async def keeps_back(after, count):
        return log.records if after is None else []

    log.log = keeps_back
    assert numbers(await book.news(log, at(3))) == []


async def test_a_log_that_may_not_be_read_is_left_alone_for_a_day(book):
    log = Log(1)
    log.says = DriverError(Fault.NOT_AUTHORIZED, "The PIN is wrong.")
    assert await book.news(log, Memory()) is None
    assert not book.open
    await anyio.sleep(SHUT)
    assert book.open
    assert not book.followed


@pytest.mark.parametrize("error", [LinkLost(), DriverError(Fault.REFUSED, "It is busy.")])
async def test_one_that_could_not_be_read_ends_the_link_and_is_tried_again(book, sessions, error):
    await sessions.get(5)
    log = Log(1)
    log.says = error
    with pytest.raises(DriverError):
        await book.news(log, Memory())
    assert not sessions.open
    assert book.open


@pytest.mark.parametrize("fields", [{"read_log": False}, {}])
async def test_one_that_is_not_to_be_read_is_not_open(driver, sessions, fields):
    if not fields:
        driver.capabilities = Capabilities(actions=frozenset(Action))
    sessions.lock = driver.lock(**fields)
    assert not Logbook(sessions).open


async def test_a_page_takes_no_longer_than_it_may(book, sessions):
    await sessions.get(5)
    log = Log(1)
    log.takes = 10 * PAGE_TIME
    with pytest.raises(LinkLost):
        await book.news(log, Memory())
    assert anyio.current_time() == pytest.approx(PAGE_TIME)
    assert not sessions.open


@pytest.mark.parametrize("takes", [GRACE - 0.1, GRACE + 0.1])
async def test_a_page_under_way_has_a_moment_when_a_command_comes(book, sessions, takes):
    await sessions.get(5)
    log = Log(*range(1, 100))
    log.takes = takes
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(book.news, log, at(1))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            book.hurry()
    assert anyio.current_time() == pytest.approx(min(takes, GRACE))
    assert sessions.open is (takes < GRACE)
    assert len(log.asked) == 1


async def test_pages_are_not_read_on_and_on_while_a_command_waits(book, sessions, monkeypatch):
    monkeypatch.setattr(logbook, "PAGE", 1)
    await sessions.get(5)
    log = Log(*range(1, 100))
    log.takes = 0.1
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(book.news, log, at(1))
            await anyio.sleep(0.25)
            scope.cancel()
            book.hurry()
    assert len(log.asked) == 3
    assert anyio.current_time() == pytest.approx(0.3)
    assert sessions.open
