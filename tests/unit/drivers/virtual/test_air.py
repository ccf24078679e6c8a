from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
import trio.testing

from drivers.virtual.air import Air
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from drivers.virtual.peripheral import VirtualSettings


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Ear:
    """A central that writes down what it hears, and when."""

    def __init__(self, mtu=23):
        self.mtu = mtu
        self.heard = []
        self.at = []
        self.stir = anyio.Event()
        self.dropped = False

    def notify(self, characteristic, data):
        self.heard.append(data)
        self.at.append(anyio.current_time())
        self.stir.set()

    def drop(self):
        self.dropped = True


@asynccontextmanager
async def aired(**options):
    lock = VirtualLock(VirtualSettings())
    air = Air(lock, **options)
    async with anyio.create_task_group() as group:
        await group.start(air.run)
        yield lock, air
        group.cancel_scope.cancel()


async def settled():
    await trio.testing.wait_all_tasks_blocked()


async def test_a_message_is_cut_to_what_the_mtu_allows():
    async with aired() as (_, air):
        air.connected(ear := Ear(mtu=23))
        air.indicate("c", bytes(45))
        await settled()
        assert [len(data) for data in ear.heard] == [20, 20, 5]


async def test_a_message_is_cut_to_the_locks_own_fragments():
    async with aired(fragment=20) as (_, air):
        air.connected(ear := Ear(mtu=247))
        air.indicate("c", bytes(range(45)))
        await settled()
        assert [len(data) for data in ear.heard] == [20, 20, 5]
        assert b"".join(ear.heard) == bytes(range(45))


async def test_nothing_is_said_to_nobody():
    async with aired() as (_, air):
        air.indicate("c", b"early")
        air.hang_up()
        air.connected(ear := Ear())
        await settled()
        assert ear.heard == []
        assert not ear.dropped


async def test_a_second_central_is_refused():
    async with aired() as (_, air):
        air.connected(Ear())
        with pytest.raises(ConnectionRefusedError):
            air.connected(Ear())


async def test_a_lock_held_by_a_phone_refuses():
    async with aired() as (lock, air):
        lock.held_by_phone = True
        with pytest.raises(ConnectionRefusedError):
            air.connected(Ear())
        lock.held_by_phone = False
        air.connected(Ear())


async def test_a_lock_told_to_refuse_refuses_once():
    async with aired() as (lock, air):
        lock.faults.arm(Trouble.REFUSE_CONNECTION)
        with pytest.raises(ConnectionRefusedError):
            air.connected(Ear())
        air.connected(Ear())


async def test_going_out_of_range_drops_the_central_and_refuses_others():
    async with aired() as (lock, air):
        air.connected(ear := Ear())
        lock.offline()
        assert ear.dropped
        with pytest.raises(ConnectionRefusedError):
            air.connected(Ear())
        lock.online()
        air.connected(Ear())


async def test_going_out_of_range_alone_is_no_matter():
    async with aired() as (lock, air):
        lock.offline()
        lock.online()
        air.connected(Ear())


async def test_what_a_gone_central_should_have_heard_is_not_told_to_the_next():
    async with aired() as (_, air):
        air.connected(first := Ear())
        air.indicate("c", b"secret")
        air.disconnected(first)
        air.connected(second := Ear())
        await settled()
        assert (first.heard, second.heard) == ([], [])


async def test_the_leaving_of_one_who_was_never_there_changes_nothing():
    async with aired() as (_, air):
        air.connected(ear := Ear())
        air.disconnected(Ear())
        assert air.central is ear


async def test_hanging_up_comes_after_what_was_said():
    async with aired() as (_, air):
        air.connected(ear := Ear())
        air.indicate("c", b"last words")
        air.hang_up()
        air.indicate("c", b"too late")
        await settled()
        assert ear.heard == [b"last words"]
        assert ear.dropped


async def test_a_mute_lock_says_nothing():
    async with aired() as (_, air):
        air.connected(ear := Ear())
        air.mute = True
        air.indicate("c", b"one")
        air.mute = False
        air.indicate("c", b"two")
        await settled()
        assert ear.heard == [b"two"]


@pytest.mark.parametrize(
    ("trouble", "heard"),
    [
        (Trouble.LOSE_INDICATION, [b"1", b"3"]),
        (Trouble.DUPLICATE_INDICATION, [b"1", b"2", b"2", b"3"]),
        (Trouble.REORDER_INDICATION, [b"1", b"3", b"2"]),
    ],
)
async def test_an_indication_is_lost_doubled_or_overtaken(trouble, heard):
    async with aired() as (lock, air):
        air.connected(ear := Ear())
        lock.faults.arm(trouble, after=1)
        for data in (b"1", b"2", b"3"):
            air.indicate("c", data)
        await settled()
        assert ear.heard == heard


async def test_a_delayed_indication_delays_all_after_it():
    async with aired(delay=3.0) as (lock, air):
        air.connected(ear := Ear())
        lock.faults.arm(Trouble.DELAY_INDICATION, after=1)
        begun = anyio.current_time()
        for data in (b"1", b"2", b"3"):
            air.indicate("c", data)
        while len(ear.heard) < 3:
            ear.stir = anyio.Event()
            await ear.stir.wait()
        assert ear.heard == [b"1", b"2", b"3"]
        assert [at - begun for at in ear.at] == pytest.approx([0, 3, 3])
