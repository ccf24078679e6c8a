"""Connection slots, shared out fairly."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.ble.slots import Slot, Slots


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
def slots():
    return Slots[str](1)


@pytest.fixture
async def tasks():
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


class Asker:
    """Somebody who takes a slot in a task of its own."""

    def __init__(self, tasks, slots, *adapters: str, within: float = 100.0) -> None:
        self.slot: Slot[str] | None = None
        self.scope = anyio.CancelScope()
        self.timed_out = False
        tasks.start_soon(self._take, slots, adapters, within)

    async def _take(self, slots, adapters, within) -> None:
        with self.scope:
            try:
                self.slot = await slots.take(adapters, within)
            except TimeoutError:
                self.timed_out = True


class Lingerer:
    """A link that merely lingers, and ends if its slot is wanted."""

    def __init__(self, tasks, slots, slot) -> None:
        self.asked = False
        self.scope = anyio.CancelScope()
        tasks.start_soon(self._linger, slots, slot)

    async def _linger(self, slots, slot) -> None:
        with self.scope:
            await slots.wanted(slot)
            self.asked = True


async def settle() -> None:
    await anyio.wait_all_tasks_blocked()


async def test_the_first_adapter_with_a_free_slot_is_taken(slots):
    first = await slots.take(["a", "b"], 1)
    second = await slots.take(["a", "b"], 1)
    assert (first.adapter, second.adapter) == ("a", "b")
    assert slots.free("a") == slots.free("b") == 0
    slots.release(first)
    slots.release(first)
    assert slots.free("a") == 1


async def test_a_wait_that_runs_out_is_told_and_leaves_nothing(slots):
    slot = await slots.take(["a"], 1)
    with pytest.raises(TimeoutError):
        await slots.take(["a"], 5)
    slots.release(slot)
    assert slots.free("a") == 1


async def test_a_slot_goes_to_whoever_has_waited_longest(slots, tasks):
    slot = await slots.take(["a"], 1)
    askers = []
    for _ in range(3):
        askers.append(Asker(tasks, slots, "a"))
        await settle()
    askers[0].scope.cancel()
    await settle()
    slots.release(slot)
    await settle()
    assert [asker.slot is not None for asker in askers] == [False, True, False]


async def test_a_slot_of_an_adapter_is_given_only_to_who_can_use_it(slots, tasks):
    slot = await slots.take(["a"], 1)
    await slots.take(["b"], 1)
    other = Asker(tasks, slots, "b")
    await settle()
    any_one = Asker(tasks, slots, "b", "a")
    await settle()
    slots.release(slot)
    await settle()
    assert other.slot is None
    assert any_one.slot is not None
    assert any_one.slot.adapter == "a"


async def test_a_lingering_link_is_asked_to_end_once_somebody_waits(slots, tasks):
    slot = await slots.take(["a"], 1)
    lingerer = Lingerer(tasks, slots, slot)
    await settle()
    assert not lingerer.asked
    asker = Asker(tasks, slots, "a")
    await settle()
    assert lingerer.asked
    assert asker.slot is None  # the connection has not ended yet
    slots.release(slot)
    await settle()
    assert asker.slot is not None


async def test_a_link_that_begins_to_linger_while_somebody_waits_is_asked_at_once(slots, tasks):
    slot = await slots.take(["a"], 1)
    Asker(tasks, slots, "a")
    await settle()
    with anyio.fail_after(1):
        await slots.wanted(slot)


async def test_only_as_many_links_as_are_needed_are_asked_the_longest_lingering_first(tasks):
    slots = Slots[str](3)
    lingerers = []
    for _ in range(3):
        lingerers.append(Lingerer(tasks, slots, await slots.take(["a"], 1)))
        await settle()
    Asker(tasks, slots, "a")
    Asker(tasks, slots, "a")
    await settle()
    assert [each.asked for each in lingerers] == [True, True, False]


async def test_a_link_on_another_adapter_is_left_alone(slots, tasks):
    await slots.take(["a"], 1)
    lingerer = Lingerer(tasks, slots, await slots.take(["b"], 1))
    Asker(tasks, slots, "a")
    await settle()
    assert not lingerer.asked


async def test_a_link_that_is_used_again_is_lingering_no_more(slots, tasks):
    slot = await slots.take(["a"], 1)
    lingerer = Lingerer(tasks, slots, slot)
    await settle()
    lingerer.scope.cancel()
    await settle()
    asker = Asker(tasks, slots, "a", within=5)
    await settle()
    assert not lingerer.asked
    slots.release(slot)
    await settle()
    assert asker.slot is not None


async def test_another_link_is_asked_if_the_first_is_used_again_in_that_moment(tasks):
    slots = Slots[str](2)
    first, second = await slots.take(["a"], 1), await slots.take(["a"], 1)
    one = Lingerer(tasks, slots, first)
    await settle()
    two = Lingerer(tasks, slots, second)
    await settle()
    asker = Asker(tasks, slots, "a")
    slots._ask()
    one.scope.cancel()
    await settle()
    assert one.asked != two.asked
    slots.release(first if one.asked else second)
    await settle()
    assert asker.slot is not None


async def test_whoever_is_served_in_the_moment_of_being_cancelled_keeps_nothing(slots, tasks):
    slot = await slots.take(["a"], 1)
    asker = Asker(tasks, slots, "a")
    await settle()
    asker.scope.cancel()
    slots.release(slot)
    await settle()
    assert asker.slot is None
    assert slots.free("a") == 1


async def test_whoever_stops_waiting_has_nobody_end_a_link_any_more(slots, tasks):
    slot = await slots.take(["a"], 1)
    asker = Asker(tasks, slots, "a", within=1)
    await anyio.sleep(2)
    assert asker.timed_out
    lingerer = Lingerer(tasks, slots, slot)
    await settle()
    assert not lingerer.asked
    slots.release(slot)
    assert slots.free("a") == 1


async def test_whoever_was_passed_over_has_another_link_end(tasks):
    slots = Slots[str](2)
    far = await slots.take(["b"], 1)
    await slots.take(["b"], 1)
    near, busy = await slots.take(["a"], 1), await slots.take(["a"], 1)
    far_one = Lingerer(tasks, slots, far)
    await settle()
    first = Asker(tasks, slots, "a", "b")
    await settle()
    second = Asker(tasks, slots, "a")
    await settle()
    near_one = Lingerer(tasks, slots, near)
    await settle()
    assert far_one.asked
    assert near_one.asked
    slots.release(near)  # it was asked for the second, and the first came before
    await settle()
    assert first.slot is not None
    assert second.slot is None
    another = Lingerer(tasks, slots, busy)
    await settle()
    assert another.asked
