"""The one GATT connection, over a bleak backend that misbehaves on demand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import anyio
import pytest
import structlog.testing
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError

from bridge.ble import calls, link
from bridge.ble.air import LocalAir
from bridge.ble.link import BleakLink
from bridge.ble.radio import Unreachable
from bridge.ble.virtual import VirtualBackend
from drivers.base import LinkLost
from drivers.virtual.peripheral import AttError
from tests.support.echo_twin import ADDRESS, DROPPED, ECHO, NAME, REFUSED, EchoTwin


@pytest.fixture
def anyio_backend():
    return "asyncio"


class HostileBackend(VirtualBackend):
    """Hangs in the calls that are named in its device's `hang`, and notes what it cleaned up."""

    async def connect(self, pair: bool, **_: object) -> None:  # noqa: FBT001 - bleak's signature
        await super().connect(pair)
        try:
            await self._hang("connect")
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            await self.disconnect()
            self._device.details.cleaned = True
            raise

    async def write_gatt_char(self, *args, **kwargs) -> None:
        await super().write_gatt_char(*args, **kwargs)
        await self._hang("write")

    async def disconnect(self) -> None:
        await self._hang("disconnect")
        await super().disconnect()

    async def start_notify(self, *args, **kwargs) -> None:
        await super().start_notify(*args, **kwargs)
        await self._hang("start_notify")
        self._device.details.subscriptions += 1

    async def stop_notify(self, *args) -> None:
        await super().stop_notify(*args)
        self._device.details.subscriptions -= 1
        if "stop_notify" in self._device.details.fail:
            raise KeyError("stop_notify")

    async def _hang(self, call: str) -> None:
        air = self._device.details
        if call in air.hang:
            air.hanging.set()
            await asyncio.sleep(60)


class HostileAir(LocalAir):
    def __init__(self, twins) -> None:
        super().__init__(twins)
        self.hang: set[str] = set()
        self.fail: set[str] = set()
        self.hanging = anyio.Event()
        self.cleaned = False
        self.subscriptions = 0


@pytest.fixture
def twin():
    return EchoTwin()


@pytest.fixture
async def air(twin):
    air = HostileAir({ADDRESS: twin})
    async with anyio.create_task_group() as tasks:
        await tasks.start(air.run, lambda _: None)
        yield air
        tasks.cancel_scope.cancel()


async def open_link(air: HostileAir, *, within: float = 5, ended=None) -> BleakLink:
    device = BLEDevice(ADDRESS, None, air)
    return await BleakLink.connect(device, within=within, backend=HostileBackend, ended=ended)


@asynccontextmanager
async def linked(air: HostileAir):
    open_ = await open_link(air)
    try:
        yield open_
    finally:
        air.hang.clear()
        await open_.aclose()


async def test_a_write_is_answered_by_an_indication(air, twin):
    async with linked(air) as lock, lock.subscribe(ECHO) as stream:
        await lock.write(ECHO, b"hello")
        assert await stream.receive() == b"hello"
        assert lock.address == ADDRESS
        assert lock.is_open
    assert twin.written == [b"hello"]
    assert twin.central is None


async def test_a_value_is_read(air):
    async with linked(air) as lock:
        assert await lock.read(NAME) == b"Echo"


async def test_a_link_tells_what_the_device_offers(air):
    async with linked(air) as lock:
        assert lock.has(ECHO)
        assert not lock.has("00002a00-0000-1000-8000-00805f9b34fb")
        with pytest.raises(LinkLost, match="does not offer"):
            await lock.read("00002a00-0000-1000-8000-00805f9b34fb")


async def test_a_write_that_the_lock_refuses_is_told_with_its_att_error(air, twin):
    async with linked(air) as lock:
        with pytest.raises(LinkLost, match="0x80"):
            await lock.write(ECHO, REFUSED)
    assert twin.written == []


async def test_a_link_lost_during_a_write_is_told_to_the_writer_and_ends_the_stream(air, twin):
    async with linked(air) as lock, lock.subscribe(ECHO) as stream:
        with pytest.raises(LinkLost):
            await lock.write(ECHO, DROPPED)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert twin.written == [DROPPED]


async def test_losing_the_link_wakes_a_write_that_hangs(air, twin):
    async with linked(air) as lock:
        air.hang.add("write")
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_drop_once_hanging, air, twin)
                with pytest.raises(LinkLost, match="was lost"):
                    await lock.write(ECHO, b"x")


async def _drop_once_hanging(air: HostileAir, twin: EchoTwin) -> None:
    await air.hanging.wait()
    twin.central.drop()


async def test_a_lock_that_falls_silent_is_told_as_such(air, monkeypatch):
    monkeypatch.setattr(link, "ANSWER", 0.02)
    async with linked(air) as lock:
        air.hang.add("write")
        with pytest.raises(LinkLost, match="fell silent"):
            await lock.write(ECHO, b"x")


async def test_everything_on_a_closed_link_is_link_lost(air):
    async with linked(air) as lock:
        await lock.aclose()
        await lock.aclose()
        assert not lock.is_open
        with pytest.raises(LinkLost):
            lock.has(ECHO)
        with pytest.raises(LinkLost):
            await lock.write(ECHO, b"x")
        with pytest.raises(LinkLost):
            await lock.read(NAME)
        with pytest.raises(LinkLost):
            async with lock.subscribe(ECHO):
                pass


async def test_readers_share_one_subscription_until_the_last_has_left(air):
    async with linked(air) as lock:
        async with lock.subscribe(ECHO) as one:
            async with lock.subscribe(ECHO) as two:
                await lock.write(ECHO, b"x")
                assert (await one.receive(), await two.receive()) == (b"x", b"x")
                assert air.subscriptions == 1
            assert air.subscriptions == 1
        assert air.subscriptions == 0


async def test_a_subscription_that_cannot_be_made_leaves_nothing_behind(air):
    async with linked(air) as lock:
        for _ in range(2):
            with pytest.raises(LinkLost, match="neither notifies"):
                async with lock.subscribe(NAME):
                    pass


async def test_a_reader_that_is_cancelled_while_another_subscribes_leaves_it_alone(air):
    async with linked(air) as lock:
        air.hang.add("start_notify")
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_subscribe, lock)
                await air.hanging.wait()
                tasks.start_soon(_subscribe, lock)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        air.hang.clear()
        async with lock.subscribe(ECHO) as stream:
            await lock.write(ECHO, b"x")
            assert await stream.receive() == b"x"


async def _subscribe(lock: BleakLink) -> None:
    async with lock.subscribe(ECHO):
        pass


async def test_failing_to_unsubscribe_is_logged_and_not_raised(air):
    async with linked(air) as lock:
        air.fail.add("stop_notify")
        with structlog.testing.capture_logs() as logs:
            async with lock.subscribe(ECHO):
                pass
    assert [entry["event"] for entry in logs] == ["link.unsubscribe_failed"]


async def test_a_reader_that_is_too_slow_has_its_stream_ended_and_hinders_nobody(air, monkeypatch):
    monkeypatch.setattr(link, "BACKLOG", 2)
    async with linked(air) as lock, lock.subscribe(ECHO) as slow:
        with structlog.testing.capture_logs() as logs:
            for number in range(5):
                await lock.write(ECHO, bytes([number]))
            await anyio.wait_all_tasks_blocked()
        assert [item async for item in slow] == [b"\x00", b"\x01"]
        assert lock.is_open
    assert [entry["event"] for entry in logs] == ["link.reader_too_slow"]


async def test_a_reader_may_stop_reading_before_it_unsubscribes(air):
    async with linked(air) as lock, lock.subscribe(ECHO) as stream:
        stream.close()
        await lock.write(ECHO, b"x")
        await anyio.wait_all_tasks_blocked()
        assert lock.is_open


async def test_a_connect_past_its_bound_is_unreachable_and_cleaned_up(air, twin):
    air.hang.add("connect")
    with pytest.raises(Unreachable, match="did not answer"):
        await open_link(air, within=0.02)
    assert air.cleaned
    assert twin.central is None


async def test_a_cancelled_connect_is_cleaned_up_before_its_caller_goes_on(air, twin):
    air.hang.add("connect")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_link, air)
            await air.hanging.wait()
            tasks.cancel_scope.cancel()
    assert air.cleaned
    assert twin.central is None
    air.hang.clear()
    async with linked(air) as lock:
        assert lock.is_open


@pytest.mark.parametrize("turns", range(12))
async def test_a_connect_cancelled_at_any_moment_leaves_the_lock_free(air, twin, turns):
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_after, scope, turns)
            opened = await open_link(air)
            await opened.aclose()
    assert twin.central is None
    async with linked(air):
        assert twin.central is not None


async def _cancel_after(scope: anyio.CancelScope, turns: int) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


async def test_a_device_without_any_service_is_unreachable_and_let_go(air, twin):
    twin.gatt = {}
    with pytest.raises(Unreachable, match="no services"):
        await open_link(air)
    assert twin.central is None


async def test_the_end_of_a_link_is_told_once_from_whichever_side(air, twin):
    ends: list[str] = []
    lock = await open_link(air, ended=lambda: ends.append("lost"))
    twin.central.drop()
    assert ends == ["lost"]
    await lock.aclose()
    lock = await open_link(air, ended=lambda: ends.append("closed"))
    lock.sever()
    assert ends == ["lost"]
    await lock.aclose()
    await lock.aclose()
    assert ends == ["lost", "closed"]
    twin.refusing = True
    with pytest.raises(Unreachable, match="switched off"):
        await open_link(air, ended=lambda: ends.append("refused"))
    assert ends == ["lost", "closed", "refused"]


async def test_closing_is_bounded_and_never_raises_even_when_cancelled(air, monkeypatch):
    monkeypatch.setattr(link, "ANSWER", 0.02)
    monkeypatch.setattr(calls, "CLEANUP", 0.02)
    lock = await open_link(air)
    air.hang.add("disconnect")
    with structlog.testing.capture_logs() as logs, anyio.fail_after(5), anyio.CancelScope() as scope:
        scope.cancel()
        await lock.aclose()
    assert [entry["event"] for entry in logs] == ["link.disconnect_failed"]
    assert not lock.is_open


async def test_the_mtu_is_what_the_connection_has(air, monkeypatch):
    async with linked(air) as lock:
        assert lock.mtu == 247
    assert lock.mtu == 247
    monkeypatch.setattr(lock, "_characteristics", {})
    assert lock.mtu == 23


async def test_the_end_of_a_link_can_be_waited_for(air, twin):
    async with linked(air) as lock, anyio.create_task_group() as tasks:
        tasks.start_soon(lock.ended)
        await anyio.wait_all_tasks_blocked()
        twin.central.drop()
    await lock.ended()


@pytest.mark.parametrize(
    ("code", "stale"), [(0x01, True), (0x02, True), (0x03, True), (0x0A, True), (0x80, False), (0x0E, False)]
)
async def test_an_answer_that_fits_another_table_of_characteristics_is_noted(air, twin, monkeypatch, code, stale):
    async with linked(air) as lock:
        assert not lock.stale

        def write(_characteristic: str, _data: bytes) -> None:
            raise AttError(code)

        monkeypatch.setattr(twin, "write", write)
        with pytest.raises(LinkLost):
            await lock.write(ECHO, b"x")
        assert lock.stale is stale


async def test_a_characteristic_that_is_missing_or_that_bluez_has_no_more_is_noted(air, monkeypatch):
    async with linked(air) as lock:
        assert not lock.has("ffff")
        assert not lock.stale  # asking is no proof
        with pytest.raises(LinkLost):
            await lock.read("ffff")
        assert lock.stale
    async with linked(air) as lock:

        async def gone(_characteristic) -> bytes:
            raise BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", [])

        monkeypatch.setattr(lock._client, "read_gatt_char", gone)
        with pytest.raises(LinkLost):
            await lock.read(NAME)
        assert lock.stale


async def test_the_last_part_of_closing_may_go_on_behind_the_link(air, twin):
    parts, ends = [], []
    device = BLEDevice(ADDRESS, None, air)

    def behind(part) -> bool:
        parts.append(part)
        return True

    lock = await BleakLink.connect(
        device, within=5, backend=HostileBackend, ended=lambda: ends.append(1), behind=behind
    )
    for _ in range(2):
        await lock.aclose()
    assert not lock.is_open
    assert twin.central is not None
    assert not ends
    (part,) = parts
    await part()
    assert twin.central is None
    assert ends == [1]


async def test_closing_is_waited_for_where_nobody_sees_to_its_last_part(air, twin):
    device = BLEDevice(ADDRESS, None, air)
    lock = await BleakLink.connect(device, within=5, backend=HostileBackend, behind=lambda _: False)
    await lock.aclose()
    assert twin.central is None


async def test_a_link_whose_adapter_has_gone_has_ended_at_once(air):
    ends = []
    lock = await open_link(air, ended=lambda: ends.append(1))
    lock.abandon()
    assert ends == [1]
    await lock.ended()
    await lock.aclose()
    assert ends == [1]
