"""A wake-up call that is never missed and never counted."""

import anyio
import anyio.lowlevel
import pytest
import trio.testing

from bridge.bell import Bell


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def silent(bell):
    """Whether nobody rings within a minute."""
    with anyio.move_on_after(60) as scope:
        await bell.wait()
    return scope.cancelled_caught


async def test_a_bell_that_was_not_rung_is_waited_for():
    assert await silent(Bell())


async def test_ringing_before_the_wait_wakes_at_once():
    bell = Bell()
    bell.ring()
    assert not await silent(bell)


async def test_ringing_during_the_wait_wakes():
    bell = Bell()
    async with anyio.create_task_group() as group:
        group.start_soon(bell.wait)
        await anyio.wait_all_tasks_blocked()
        bell.ring()


async def test_many_rings_wake_once():
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.wait()
    assert await silent(bell)


async def test_a_bell_can_be_rung_again_after_it_woke():
    bell = Bell()
    for _ in range(3):
        bell.ring()
        assert not await silent(bell)


async def test_a_ring_is_kept_for_the_next_waiter_when_the_wait_is_given_up():
    bell = Bell()
    assert await silent(bell)
    bell.ring()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await bell.wait()
    assert scope.cancelled_caught
    assert not await silent(bell)


async def test_a_ring_while_the_waiter_is_busy_is_not_missed():
    bell = Bell()
    wakes = []

    async def serve():
        while len(wakes) < 2:
            await bell.wait()
            wakes.append(True)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        await anyio.wait_all_tasks_blocked()
        bell.ring()
        await anyio.wait_all_tasks_blocked()
        bell.ring()
    assert len(wakes) == 2


async def test_a_ring_can_be_taken_without_waiting_and_once_only():
    bell = Bell()
    assert not bell.take()
    bell.ring()
    assert bell.take()
    assert not bell.take()
    assert await silent(bell)


async def test_looking_for_a_ring_does_not_take_it_from_the_waiter():
    bell = Bell()
    async with anyio.create_task_group() as group:
        group.start_soon(bell.wait)
        await anyio.wait_all_tasks_blocked()
        assert not bell.take()
        bell.ring()


async def test_another_waiter_has_a_bell_of_its_own_for_as_long_as_it_waits():
    bell = Bell()
    with bell.another() as other:
        bell.ring()
        assert not await silent(other)
        assert not await silent(bell)
        other.ring()
        assert await silent(bell)
    bell.ring()
    other.take()
    bell.ring()
    assert not other.take()
