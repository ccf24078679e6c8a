"""Calls into an edge-cancelled library, made from level-cancelled code."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from bridge.ble import calls
from bridge.ble.calls import Calls


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Library:
    """A call of bleak's shape: it waits, and when it is cancelled it awaits its own cleanup."""

    def __init__(self, cleanup: float = 0.0) -> None:
        self.cleanup = cleanup
        self.begun = anyio.Event()
        self.cleaned = False
        self.answer = asyncio.Event()

    async def call(self) -> str:
        self.begun.set()
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(self.cleanup)
            await asyncio.sleep(0)
            self.cleaned = True
            raise
        return "answer"


async def test_a_call_returns_its_result():
    library = Library()
    library.answer.set()
    assert await Calls().run(library.call, within=1) == "answer"


async def test_an_error_of_the_call_reaches_the_caller():
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Calls().run(fail, within=1)


async def test_a_call_past_its_bound_times_out_after_its_cleanup():
    library = Library()
    with pytest.raises(TimeoutError):
        await Calls().run(library.call, within=0.01)
    assert library.cleaned


async def test_a_cancelled_caller_leaves_after_the_cleanup_and_long_before_the_bound():
    library = Library(cleanup=0.05)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: Calls().run(library.call, within=60))
            await library.begun.wait()
            tasks.cancel_scope.cancel()
    assert library.cleaned


async def test_a_call_of_an_already_cancelled_caller_is_ended_too():
    library = Library()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await Calls().run(library.call, within=60)
    assert scope.cancelled_caught
    assert library.cleaned or not library.begun.is_set()


async def test_the_owner_ends_all_calls_in_flight():
    library, other, owner = Library(), Library(), Calls()
    ended: list[Library] = []

    async def use(each: Library) -> None:
        with pytest.raises(TimeoutError):
            await owner.run(each.call, within=60)
        ended.append(each)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use, library)
            tasks.start_soon(use, other)
            await library.begun.wait()
            await other.begun.wait()
            owner.end()
            owner.end()
    assert set(ended) == {library, other}
    assert library.cleaned
    assert other.cleaned


async def test_a_call_that_is_ended_before_it_began_is_not_made():
    library, owner = Library(), Calls()
    asyncio.get_running_loop().call_soon(owner.end)
    with pytest.raises(TimeoutError):
        await owner.run(library.call, within=60)
    assert not library.begun.is_set()


@pytest.mark.parametrize("by", ["bound", "caller"])
async def test_a_cleanup_that_hangs_is_ended_as_well(monkeypatch, by):
    monkeypatch.setattr(calls, "CLEANUP", 0.05)
    library = Library(cleanup=60)
    with anyio.fail_after(5), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            if by == "caller":
                tasks.start_soon(_cancel_once_begun, library, scope)
            with pytest.raises(TimeoutError):
                await Calls().run(library.call, within=60 if by == "caller" else 0.01)
    assert not library.cleaned


async def _cancel_once_begun(library: Library, scope: anyio.CancelScope) -> None:
    await library.begun.wait()
    scope.cancel()


async def test_a_call_that_is_ended_during_its_cleanup_finishes_it():
    library, owner = Library(cleanup=0.05), Calls()

    async def end_it_again() -> None:
        await anyio.sleep(0.03)
        owner.end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end_it_again)
        with pytest.raises(TimeoutError):
            await owner.run(library.call, within=0.01)
    assert library.cleaned


async def test_an_answer_that_comes_with_the_edge_is_still_an_answer():
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "answer"
        return "too late"

    assert await Calls().run(stubborn, within=0.01) == "answer"


@pytest.mark.parametrize(("grace", "ends"), [(30, True), (0, False)])
async def test_a_call_whose_caller_is_cancelled_may_come_to_its_end_within_its_grace(grace, ends):
    library = Library()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: Calls().run(library.call, within=60, grace=grace))
        await library.begun.wait()
        tasks.cancel_scope.cancel()
        asyncio.get_running_loop().call_soon(library.answer.set)
    assert library.cleaned is not ends
