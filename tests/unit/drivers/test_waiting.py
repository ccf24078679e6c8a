import anyio
import pytest
import trio.testing

from drivers.base import LinkLost
from drivers.waiting import within


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_a_lock_that_takes_too_long_is_lost():
    with pytest.raises(LinkLost), within(1):
        await anyio.sleep(2)


async def test_a_lock_that_answers_in_time_is_not():
    with within(2):
        await anyio.sleep(1)


async def test_cancellation_from_outside_passes_through():
    with anyio.move_on_after(1) as scope:
        with within(2):
            await anyio.sleep(3)
    assert scope.cancelled_caught
