"""What is overdue, by virtual time."""

import anyio
import pytest
import trio.testing

from bridge.service.progress import Progress


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_work_is_overdue_once_its_time_is_over_and_not_before():
    progress = Progress()
    with progress.expected("the journal", within=60.0):
        await anyio.sleep(60.0)
        assert progress.overdue() == []
        await anyio.sleep(0.001)
        assert progress.overdue() == ["the journal"]


async def test_waiting_for_the_world_outside_is_never_overdue():
    progress = Progress()
    with progress.expected("the journal", within=1.0):
        pass
    await anyio.sleep(80_000.0)
    assert progress.overdue() == []


async def test_work_that_ends_after_all_is_overdue_no_more():
    progress = Progress()
    with progress.expected("the journal", within=1.0):
        await anyio.sleep(2.0)
        assert progress.overdue()
    assert progress.overdue() == []


async def test_work_that_fails_or_is_cancelled_is_over():
    progress = Progress()
    with pytest.raises(OSError, match="disk"), progress.expected("the journal", within=1.0):
        raise OSError("disk")
    with anyio.move_on_after(0.5), progress.expected("a look", within=1.0):
        await anyio.sleep_forever()
    await anyio.sleep(2.0)
    assert progress.overdue() == []


async def test_work_of_the_same_name_is_told_once_and_lasts_as_long_as_any_of_it():
    progress = Progress()
    with progress.expected("the journal", within=1.0):
        with progress.expected("the journal", within=1.0):
            await anyio.sleep(2.0)
            assert progress.overdue() == ["the journal"]
        assert progress.overdue() == ["the journal"]
    assert progress.overdue() == []


async def test_what_is_overdue_for_longest_is_told_first():
    progress = Progress()
    with progress.expected("a look", within=3.0), progress.expected("the journal", within=1.0):
        await anyio.sleep(2.0)
        assert progress.overdue() == ["the journal"]
        await anyio.sleep(2.0)
        assert progress.overdue() == ["the journal", "a look"]


def test_time_may_be_told_by_somebody_else():
    times = iter([10.0, 15.0, 15.1])
    progress = Progress(lambda: next(times))
    with progress.expected("the journal", within=5.0):
        assert progress.overdue() == []
        assert progress.overdue() == ["the journal"]
