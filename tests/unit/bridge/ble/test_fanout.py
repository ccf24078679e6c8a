"""One source, any number of listeners."""

import anyio
import pytest

from bridge.ble.fanout import Fanout


async def test_every_listener_gets_every_item_from_when_it_listens():
    fanout = Fanout[int]()
    fanout.send(0)
    async with fanout.listen() as one:
        fanout.send(1)
        async with fanout.listen() as two:
            fanout.send(2)
            assert [one.receive_nowait(), one.receive_nowait()] == [1, 2]
            assert two.receive_nowait() == 2


async def test_a_slow_listener_loses_the_oldest():
    fanout = Fanout[int](backlog=2)
    async with fanout.listen() as listener:
        for item in range(5):
            fanout.send(item)
        assert [listener.receive_nowait(), listener.receive_nowait()] == [3, 4]
        with pytest.raises(anyio.WouldBlock):
            listener.receive_nowait()


async def test_a_listener_may_close_its_stream_early():
    fanout = Fanout[int](backlog=1)
    async with fanout.listen() as listener:
        listener.close()
        fanout.send(1)
        fanout.send(2)


async def test_a_listener_waits_for_the_next_item():
    fanout = Fanout[int]()
    async with fanout.listen() as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(_later, fanout)
        assert await listener.receive() == 7


async def _later(fanout: Fanout[int]) -> None:
    await anyio.wait_all_tasks_blocked()
    fanout.send(7)
