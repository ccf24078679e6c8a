"""The virtual Yale lock's own ways, before a central that is the test."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
import trio.testing

from drivers.base import Action
from drivers.virtual.faults import Trouble
from drivers.virtual.peripheral import AttError
from drivers.yale.protocol.codes import Bolt, Op, Result, Secure, Subject, Uuid, Variant
from drivers.yale.protocol.crypto import Block, Chain
from drivers.yale.protocol.frames import Frame, SecureFrame, request, seal, unseal
from drivers.yale.virtual.twin import IDLE
from tests.support.yale_host import living

OURS = bytes(range(16))


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Host:
    """A central that shakes hands by hand."""

    mtu = 247

    def __init__(self, twin, credential):
        self.twin = twin
        self.key = credential.key_bytes()
        self.slot = credential.slot
        self.heard = []
        self.lost = False
        twin.connected(self)

    def notify(self, characteristic, data):
        self.heard.append((characteristic, data))

    def drop(self):
        self.lost = True

    async def secure(self, block, op, data=bytes(8)):
        self.twin.write(Uuid.SECURE_WRITE, seal(block, SecureFrame(op, data, self.slot).encode()))
        await trio.testing.wait_all_tasks_blocked()
        return unseal(block, self.heard.pop()[1])

    async def shake_hands(self):
        answer = SecureFrame.decode(await self.secure(Block(self.key), Secure.KEY_EXCHANGE, OURS[:8]))
        assert answer.op == Secure.KEY_EXCHANGED
        key = OURS[:8] + answer.data
        self.block = Block(key)
        assert SecureFrame.decode(await self.secure(self.block, Secure.INITIALIZE, OURS[8:])).op == Secure.INITIALIZED
        self.out, self.back = Chain(Block(key)), Chain(Block(key))

    async def ask(self, frame):
        """Return what the lock says at once."""
        self.twin.write(Uuid.WRITE, seal(self.out, frame.encode()))
        await trio.testing.wait_all_tasks_blocked()
        heard, self.heard = self.heard, []
        return [Frame.decode(unseal(self.back, data)) for _, data in heard]


@asynccontextmanager
async def host(**settings):
    async with living(**settings) as (twin, credential):
        host = Host(twin, credential)
        await host.shake_hands()
        yield host


async def test_lock_and_door_are_told_at_once_too():
    async with host() as central:
        central.twin.lock.open_door()
        await trio.testing.wait_all_tasks_blocked()
        (_, told) = await central.ask(request(Op.STATUS, Subject.BOTH))
        assert (told.number(8), told.number(9)) == (Bolt.LOCKED, 3)


@pytest.mark.parametrize(
    "frame", [request(Op.STATUS, 0x77), request(0x39, 1), request(Op.READ_SETTING, 0x01), Frame(0xBB, Op.UNLOCK)]
)
async def test_what_it_does_not_know_it_says_nothing_to(frame):
    async with host() as central:
        assert await central.ask(frame) == []
        assert not central.twin.lock.movements


async def test_a_variant_that_it_cannot_is_refused():
    async with host() as central:
        _, end = await central.ask(request(Op.LOCK, Variant.SECURE_MODE))
        assert end.result == Result.INVALID_OPERATION


async def test_an_operation_is_acknowledged_then_told_and_ended():
    async with host() as central:
        told = await central.ask(request(Op.UNLOCK))
        assert [(frame.flag, frame.op) for frame in told] == [(0xAA, Op.UNLOCK), (0xBB, Op.STATUS)]
        await anyio.sleep(2)
        ends = [Frame.decode(unseal(central.back, data)) for _, data in central.heard]
        assert [(frame.op, frame.number(8), frame.result) for frame in ends] == [
            (Op.STATUS, Bolt.UNLOCKED, 0),
            (Op.UNLOCK, 0, 0),
        ]


async def test_a_result_is_told_to_whom_it_concerns_alone():
    async with living() as (twin, credential):
        first = Host(twin, credential)
        await first.shake_hands()
        await first.ask(request(Op.UNLOCK))
        twin.air.drop()
        second = Host(twin, credential)
        await second.shake_hands()
        await anyio.sleep(2)
        assert [Frame.decode(unseal(second.back, data)).op for _, data in second.heard] == [Op.STATUS]


async def test_what_it_cannot_read_it_says_nothing_to():
    async with host() as central:
        central.twin.write(Uuid.WRITE, bytes(18))
        central.twin.write(Uuid.WRITE, bytes(3))
        await trio.testing.wait_all_tasks_blocked()
        assert central.heard == []


async def test_nothing_is_served_before_the_handshake():
    async with living() as (twin, credential):
        central = Host(twin, credential)
        with pytest.raises(AttError):
            twin.write(Uuid.WRITE, bytes(18))
        twin.lock.manual_unlock()
        await trio.testing.wait_all_tasks_blocked()
        assert central.heard == []


@pytest.mark.parametrize("data", [b"", bytes(17), bytes(18), bytes(17) + b"\x01"])
async def test_another_key_is_refused(data):
    async with living() as (twin, credential):
        Host(twin, credential)
        with pytest.raises(AttError) as refused:
            twin.write(Uuid.SECURE_WRITE, data)
        assert refused.value.code == 0x0E


async def test_another_characteristic_is_refused():
    async with host() as central:
        with pytest.raises(AttError):
            central.twin.write(Uuid.NOTIFY, b"")
        with pytest.raises(AttError):
            central.twin.read(Uuid.WRITE)


async def test_an_idle_link_is_ended_and_one_that_is_used_is_not():
    async with host() as central:
        for _ in range(4):
            await anyio.sleep(IDLE - 1)
            await central.ask(request(Op.STATUS, Subject.LOCK))
        assert not central.lost
        await anyio.sleep(IDLE + 1)
        assert central.lost


async def test_a_request_that_comes_too_soon_is_counted():
    async with host() as central:
        await central.ask(request(Op.STATUS, Subject.LOCK))
        await central.ask(request(Op.STATUS, Subject.LOCK))
        assert central.twin.hurried == 1
        await anyio.sleep(1)
        await central.ask(request(Op.STATUS, Subject.LOCK))
        assert central.twin.hurried == 1


async def test_the_byte_on_the_air_is_another_after_each_change():
    async with living() as (twin, _):
        bytes_ = [twin.advertisement().manufacturer_data[465]]
        for change in (twin.lock.manual_unlock, twin.lock.open_door, lambda: twin.lock.battery(10)):
            change()
            bytes_.append(twin.advertisement().manufacturer_data[465])
        assert bytes_ == [b"\x00", b"\x01", b"\x00", b"\x00"]
        twin.lock.offline()
        assert twin.advertisement() is None


async def test_refusals_and_failures_are_kept_in_no_record_but_a_jam():
    async with living() as (twin, _):
        twin.lock.faults.arm(Trouble.BUSY)
        twin.lock.keypad_lock()
        assert twin._next_activity().kind == 0x80
        twin.lock.faults.arm(Trouble.JAM)
        twin.lock.fob()
        await anyio.sleep(5)
        jam = twin._next_activity()
        assert (jam.bolt, twin._next_activity().kind) == (Bolt.JAMMED, 0x80)
        assert [movement.action for movement in twin.lock.movements] == [Action.UNLOCK]
