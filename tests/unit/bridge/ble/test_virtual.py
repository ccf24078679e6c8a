"""The virtual radio, over locks in this process and over locks behind a socket."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from bleak import BleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError, BleakGATTProtocolError

from bridge.ble import air as air_module
from bridge.ble import airsocket
from bridge.ble.air import LocalAir
from bridge.ble.airsocket import AirServer, SocketAir
from bridge.ble.radio import RadioDown, Unreachable
from bridge.ble.virtual import ALLOWANCE, VirtualBackend, VirtualRadio
from drivers.base import LinkLost
from drivers.virtual.peripheral import AttError
from tests.support.echo_twin import ADDRESS, DROPPED, ECHO, NAME, REFUSED, SERVICE, EchoTwin

OTHER = "54:D2:72:00:00:02"


@pytest.fixture
def anyio_backend():
    return "asyncio"


class SetClock:
    """Boot time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def boottime(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def twin():
    return EchoTwin()


@pytest.fixture
def folder():
    # A Unix socket's path is short; pytest's own folders are not.
    path = tempfile.mkdtemp()
    yield Path(path)
    shutil.rmtree(path)


@pytest.fixture(params=["local", "socket"])
async def radio(request, twin, clock, folder, monkeypatch):
    monkeypatch.setattr(air_module, "ADVERTISING_INTERVAL", 0.01)
    twins = {ADDRESS: twin, OTHER: EchoTwin(OTHER)}
    async with anyio.create_task_group() as tasks:
        if request.param == "local":
            air = LocalAir(twins)
        else:
            await tasks.start(AirServer(twins, str(folder / "air")).run)
            air = SocketAir(str(folder / "air"))
        radio = VirtualRadio(air, clock)
        await tasks.start(radio.run)
        with anyio.fail_after(10):
            yield radio
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def connected(radio: VirtualRadio, address: str = ADDRESS):
    link = await radio.connect(address, within=5)
    try:
        yield link
    finally:
        await link.aclose()


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await anyio.sleep(0.002)


async def test_a_link_carries_writes_indications_and_reads(radio, twin):
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        await link.write(ECHO, b"\x00\xff")
        assert await stream.receive() == b"\x00\xff"
        assert await link.read(NAME) == b"Echo"
        assert link.has(ECHO)
        assert link.address == ADDRESS
    await until(lambda: twin.central is None)


async def test_an_indication_carries_no_more_than_the_mtu_allows(radio):
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        await link.write(ECHO, bytes(300))
        assert await stream.receive() == bytes(air_module.MTU - 3)


async def test_an_indication_that_nobody_subscribed_to_is_not_heard(radio):
    async with connected(radio) as link:
        await link.write(ECHO, b"early")
        await link.read(NAME)
        async with link.subscribe(ECHO) as stream:
            await link.write(ECHO, b"late")
            assert await stream.receive() == b"late"


async def test_a_refused_write_or_read_is_told_with_its_att_error(radio):
    async with connected(radio) as link:
        with pytest.raises(LinkLost, match="0x80"):
            await link.write(ECHO, REFUSED)
        with pytest.raises(LinkLost, match="0x02"):
            await link.read(ECHO)


async def test_a_connection_dropped_by_the_lock_ends_the_link_though_the_write_arrived(radio, twin):
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        with pytest.raises(LinkLost):
            await link.write(ECHO, DROPPED)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert twin.written == [DROPPED]
    async with connected(radio) as link:
        assert link.is_open


async def test_a_connection_dropped_while_idle_ends_the_link(radio, twin):
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        twin.central.drop()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        assert not link.is_open


async def test_a_lock_holds_one_central_at_a_time(radio):
    async with connected(radio), connected(radio, OTHER):
        with pytest.raises(Unreachable, match="held by another"):
            await radio.connect(ADDRESS, within=5)


async def test_a_lock_that_refuses_or_does_not_exist_is_unreachable(radio, twin):
    twin.refusing = True
    with pytest.raises(Unreachable, match="switched off"):
        await radio.connect(ADDRESS, within=5)
    with pytest.raises(Unreachable, match="no virtual lock"):
        await radio.connect("00:00:00:00:00:00", within=5)


async def test_what_is_on_the_air_is_heard_while_it_advertises(radio, twin):
    twin.advertising = False
    async with radio.advertisements() as advertisements:
        async for heard in advertisements:
            if heard.address == OTHER:
                break
        twin.advertising = True
        async for heard in advertisements:
            if heard.address == ADDRESS:
                assert heard == twin.advertisement()
                break


async def test_a_lock_that_was_never_heard_is_not_called_silent(radio, clock):
    clock.now += 1000
    presence = radio.presence("00:00:00:00:00:00")
    assert presence.heard_at is None
    assert not presence.silent


async def test_a_lock_counts_as_silent_once_it_was_not_heard_for_the_allowance(radio, twin, clock):
    await until(lambda: radio.presence(ADDRESS).heard_at == 1000)
    assert radio.presence(ADDRESS).rssi == -60
    twin.advertising = False
    clock.now += ALLOWANCE + 1
    await until(lambda: radio.presence(OTHER).heard_at == clock.now)
    assert radio.presence(ADDRESS).heard_at == 1000
    assert radio.presence(ADDRESS).silent
    twin.advertising = True
    await until(lambda: not radio.presence(ADDRESS).silent)


async def test_an_open_link_counts_as_hearing_the_lock(radio, twin, clock):
    twin.advertising = False
    async with connected(radio):
        clock.now += 100
        assert radio.presence(ADDRESS).heard_at == clock.now
        assert not radio.presence(ADDRESS).silent


async def test_a_lock_is_not_called_silent_for_the_time_in_which_the_adapter_was_down(radio, twin, clock):
    await until(lambda: radio.presence(ADDRESS).heard_at == 1000)
    twin.advertising = False
    radio.usable = False
    clock.now += 100
    assert not radio.presence(ADDRESS).silent
    radio.usable = True
    assert not radio.presence(ADDRESS).silent
    clock.now += ALLOWANCE + 1
    assert radio.presence(ADDRESS).silent


async def test_an_adapter_that_goes_down_loses_its_links_and_takes_no_more(radio):
    async with connected(radio) as link:
        radio.usable = False
        with pytest.raises(LinkLost):
            await link.read(NAME)
        with pytest.raises(RadioDown):
            await radio.connect(ADDRESS, within=5)
    radio.usable = True
    async with connected(radio) as link:
        assert await link.read(NAME) == b"Echo"


async def test_an_adapter_that_is_down_hears_nothing(radio, twin, clock):
    radio.usable = False
    clock.now += 5
    async with radio.advertisements() as advertisements:
        with anyio.move_on_after(0.05):
            await advertisements.receive()
            pytest.fail("heard while down")
    assert radio.presence(ADDRESS).heard_at != clock.now


async def test_locks_behind_a_socket_are_back_when_their_server_is(clock, folder, monkeypatch):
    monkeypatch.setattr(airsocket, "_RETRY", 0.01)
    path = str(folder / "air")
    radio = VirtualRadio(SocketAir(path), clock)
    with pytest.raises(Unreachable, match="not running"):
        await radio.connect(ADDRESS, within=5)
    async with anyio.create_task_group() as tasks:
        await tasks.start(radio.run)
        with pytest.raises(Unreachable, match="not there"):
            await radio.connect(ADDRESS, within=5)
        for _ in range(2):
            async with anyio.create_task_group() as hosting:
                await hosting.start(AirServer({ADDRESS: EchoTwin()}, path).run)
                with anyio.fail_after(10):
                    link = await radio.connect(ADDRESS, within=5)
                    await until(lambda: radio.presence(ADDRESS).rssi is not None)
                hosting.cancel_scope.cancel()
            with pytest.raises(LinkLost):
                await link.read(NAME)
            await link.aclose()
        tasks.cancel_scope.cancel()


async def test_a_server_that_dies_while_it_is_asked_is_a_lock_that_is_unreachable(clock, folder):
    async def hang_up(stream):
        await stream.receive()
        await stream.aclose()

    radio = VirtualRadio(SocketAir(str(folder / "air")), clock)
    async with anyio.create_task_group() as tasks:
        listener = await anyio.create_unix_listener(folder / "air")
        async with listener:
            tasks.start_soon(listener.serve, hang_up)
            await tasks.start(radio.run)
            with anyio.fail_after(5), pytest.raises(Unreachable, match="went away"):
                await radio.connect(ADDRESS, within=5)
            tasks.cancel_scope.cancel()


async def test_an_answer_that_nobody_waits_for_any_more_is_no_other_writes_answer(twin, clock, folder):
    path = str(folder / "air")
    server = AirServer({ADDRESS: twin}, path)
    air = SocketAir(path)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        await tasks.start(air.run, lambda _: None)
        connection = await air.connect(ADDRESS, QuietReceiver())
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as writing:
                writing.start_soon(connection.write, ECHO, b"first")
                while not connection._asked:
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
        with pytest.raises(AttError):
            await connection.write(ECHO, REFUSED)
        assert await connection.read(NAME) == b"Echo"
        await connection.close()
        await until(lambda: twin.central is None)
        tasks.cancel_scope.cancel()


class QuietReceiver:
    """The connecting side, which counts what reaches it."""

    def __init__(self) -> None:
        self.notices = 0

    def notified(self, characteristic: str, data: bytes) -> None:
        self.notices += 1

    def dropped(self) -> None:
        self.notices += 1


async def test_what_a_twin_says_after_the_end_reaches_nobody(twin):
    receiver = QuietReceiver()
    connection = await LocalAir({ADDRESS: twin}).connect(ADDRESS, receiver)
    central = twin.central
    await connection.close()
    await connection.close()
    central.notify(ECHO, b"x")
    central.drop()
    assert receiver.notices == 0
    with pytest.raises(ConnectionError):
        await connection.write(ECHO, b"x")


async def test_a_client_that_dies_frees_the_lock(twin, clock, folder):
    path = str(folder / "air")
    async with anyio.create_task_group() as tasks:
        await tasks.start(AirServer({ADDRESS: twin}, path).run)
        async with await anyio.connect_unix(path) as client:
            await client.send(b'{"connect": "%s"}\n' % ADDRESS.encode())
            assert b"gatt" in await client.receive()
            assert twin.central is not None
        with anyio.fail_after(5):
            await until(lambda: twin.central is None)
        tasks.cancel_scope.cancel()


async def test_a_plain_bleak_client_works_on_a_virtual_lock(radio):
    lost: list[BleakClient] = []
    heard: list[bytes] = []
    device = BLEDevice(ADDRESS, "Echo", radio.air)
    async with BleakClient(device, disconnected_callback=lost.append, backend=VirtualBackend) as client:
        assert client.is_connected
        assert client.name == "Echo"
        assert client.mtu_size == air_module.MTU
        await client.pair()
        characteristic = client.services.get_characteristic(ECHO)
        assert characteristic.properties == ["indicate", "write"]
        assert characteristic.service_uuid == SERVICE
        assert characteristic.max_write_without_response_size == air_module.MTU - 3
        await client.start_notify(ECHO, lambda _, data: heard.append(bytes(data)))
        await client.write_gatt_char(ECHO, b"x", response=True)
        await until(lambda: heard == [b"x"])
        await client.stop_notify(ECHO)
        await client.write_gatt_char(ECHO, REFUSED, response=False)
        with pytest.raises(BleakGATTProtocolError):
            await client.write_gatt_char(ECHO, REFUSED, response=True)
        await client.unpair()
        descriptor = BleakGATTDescriptor(None, 1, ECHO, characteristic)
        with pytest.raises(BleakError, match="no descriptors"):
            await client.read_gatt_descriptor(descriptor)
        with pytest.raises(BleakError, match="no descriptors"):
            await client.write_gatt_descriptor(descriptor, b"")
    assert lost == [client]
    async with BleakClient(device, backend=VirtualBackend) as other:
        await other.write_gatt_char(ECHO, b"nobody listens", response=True)
        await other.read_gatt_char(NAME)
    assert not client.is_connected
    with pytest.raises(BleakError):
        await client.write_gatt_char(ECHO, b"x", response=True)
    with pytest.raises(BleakError, match="BLEDevice"):
        BleakClient(ADDRESS, backend=VirtualBackend)
