"""The line for `systemctl status`, and when it is told."""

from contextlib import asynccontextmanager

import anyio
import pytest
import trio.testing

from bridge.service import status
from bridge.service.status import LOOK, Condition, line

WELL = Condition(locks=3, unreachable=0, broker=True, radio=True)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (WELL, "3 locks; broker connected; radio: scanning"),
        (Condition(3, 1, broker=True, radio=True), "3 locks, 1 unreachable; broker connected; radio: scanning"),
        (Condition(1, 1, broker=False, radio=False), "1 lock, 1 unreachable; no broker; radio: no usable adapter"),
        (Condition(0, 0, broker=True, radio=None), "no locks; broker connected; radio: virtual"),
        (
            Condition(2, 0, broker=True, radio=True, stuck=["the journal", "a look"]),
            "stuck: the journal, a look; 2 locks; broker connected; radio: scanning",
        ),
    ],
)
def test_it_says_how_the_bridge_is(condition, words):
    assert line(condition) == words


class Manager:
    """A service manager, and the bridge's condition that it is told of."""

    def __init__(self):
        self.condition = WELL
        self.takes = True
        self.told = []

    def look(self):
        return self.condition

    def tell(self, state):
        self.told.append(state)
        return self.takes


@asynccontextmanager
async def informed(manager):
    async with anyio.create_task_group() as group:
        group.start_soon(status.keep_told, manager.look, manager.tell)
        yield
        group.cancel_scope.cancel()


async def test_it_is_told_at_once_and_then_on_change_only():
    manager = Manager()
    async with informed(manager):
        await anyio.sleep(100.5 * LOOK)
        assert manager.told == ["STATUS=3 locks; broker connected; radio: scanning"]
        manager.condition = Condition(3, 0, broker=False, radio=True)
        await anyio.sleep(100 * LOOK)
        assert manager.told[1:] == ["STATUS=3 locks; no broker; radio: scanning"]


async def test_what_the_manager_did_not_take_is_told_again():
    manager = Manager()
    manager.takes = False
    async with informed(manager):
        await anyio.sleep(2.5 * LOOK)
        assert len(manager.told) == 3
        manager.takes = True
        await anyio.sleep(100 * LOOK)
    assert len(manager.told) == 4
    assert len(set(manager.told)) == 1
