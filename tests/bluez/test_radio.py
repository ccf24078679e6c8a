"""The radio over a real kernel and a real bluetoothd, with virtual locks on a virtual air."""

from __future__ import annotations

import signal

import anyio
import pytest
from dbus_fast import Message, MessageFlag

from bridge.ble.bluez import BluezRadio
from bridge.ble.radio import RadioDown, Unreachable
from drivers.base import LinkLost
from tests.support import bluetoothd_process as bluetoothd
from tests.support.echo_twin import ADDRESS, DROPPED, ECHO, NAME, REFUSED, EchoTwin
from tests.support.eventually import eventually
from tests.support.on_air import on_air
from tests.support.radio import WITHIN, assert_it_works, connected, hear, running
from tests.support.virtual_adapter import power, system_bus

OTHER = "54:D2:72:00:00:02"


async def test_a_lock_is_heard_as_it_advertises(radio, twin):
    heard = await hear(radio)
    assert heard.manufacturer_data == twin.advertisement().manufacturer_data
    assert heard.service_data == twin.advertisement().service_data
    assert heard.rssi is not None
    assert radio.presence(ADDRESS).heard_at is not None
    assert not radio.presence(ADDRESS).silent


async def test_a_write_is_answered_by_an_indication(radio, twin):
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        assert link.has(ECHO)
        for number in range(20):
            await link.write(ECHO, bytes([number]) * 20)
            with anyio.fail_after(5):
                assert await stream.receive() == bytes([number]) * 20
        assert await link.read(NAME) == b"Echo"
    await eventually(lambda: twin.central is None)


async def test_a_refused_write_is_told_with_its_att_error_and_the_link_stands(radio, twin):
    async with connected(radio) as link:
        with pytest.raises(LinkLost, match="0x80"):
            await link.write(ECHO, REFUSED)
        assert await link.read(NAME) == b"Echo"


async def test_a_lock_out_of_reach_while_idle_ends_the_link(radio, twin):
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        twin.central.drop()
        with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
            await stream.receive()
        with pytest.raises(LinkLost):
            await link.read(NAME)
    await assert_it_works(radio)


async def test_a_lock_out_of_reach_after_a_write_ends_the_link(radio, twin):
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        with anyio.fail_after(5):
            with pytest.raises(LinkLost):
                await link.write(ECHO, DROPPED)
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
    assert twin.written == [DROPPED]
    await assert_it_works(radio)


async def test_a_subscription_that_a_dead_program_left_behind_doubles_nothing(radio, twin):
    async with connected(radio) as link:
        await leave_a_subscription(link._find(ECHO).obj[0])
    await eventually(lambda: twin.central is None)
    async with connected(radio) as link:
        with pytest.raises(LinkLost, match="listens"):
            async with link.subscribe(ECHO):
                pass
    async with connected(radio) as link, link.subscribe(ECHO) as stream:
        for number in range(5):
            await link.write(ECHO, bytes([number]))
            with anyio.fail_after(5):
                assert await stream.receive() == bytes([number])
        assert not stream.statistics().current_buffer_used


async def leave_a_subscription(characteristic: str) -> None:
    """Subscribe and be gone before bluetoothd comes to it, so that it never learns of the end."""
    await bluetoothd.send(signal.SIGSTOP)
    try:
        async with system_bus() as bus:
            start = Message("org.bluez", characteristic, "org.bluez.GattCharacteristic1", "StartNotify")
            start.flags = MessageFlag.NO_REPLY_EXPECTED
            await bus.send(start)
    finally:
        await bluetoothd.send(signal.SIGCONT)


async def test_a_lock_that_was_never_on_the_air_is_unreachable_within_the_bound(radio):
    with anyio.fail_after(4), pytest.raises(Unreachable, match="not heard"):
        await radio.connect("54:D2:72:00:00:99", within=2)


async def test_a_lock_that_has_gone_is_unreachable_and_can_be_reached_when_it_is_back(radio, twin):
    await assert_it_works(radio)
    twin.advertising = False
    await anyio.sleep(0.5)
    with anyio.fail_after(8), pytest.raises(Unreachable):
        await radio.connect(ADDRESS, within=2)
    twin.advertising = True
    await assert_it_works(radio)


@pytest.mark.parametrize("after", [0.0, 0.005, 0.02, 0.03, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3])
async def test_a_connect_cancelled_at_any_moment_leaves_bluez_able_to_connect_at_once(radio, twin, after):
    await hear(radio)
    with anyio.move_on_after(after):
        await (await radio.connect(ADDRESS, within=WITHIN)).aclose()
    await assert_it_works(radio)


async def test_two_locks_are_connected_at_once(radio, twin, ether):
    async with on_air(ether, EchoTwin(OTHER)), connected(radio) as one, connected(radio, OTHER) as two:
        assert await one.read(NAME) == await two.read(NAME) == b"Echo"


async def device_path(radio: BluezRadio) -> str:
    link = await radio.connect(ADDRESS, within=WITHIN)
    await link.aclose()
    return link._client._backend._device_path


def connect_message(device: str) -> Message:
    return Message(destination="org.bluez", path=device, interface="org.bluez.Device1", member="Connect")


async def test_what_a_killed_run_left_connected_is_disconnected_before_the_start(ether, twin):
    async with running() as radio, system_bus() as killed:
        await killed.call(connect_message(await device_path(radio)))
        assert twin.central is not None
    async with running(ours={ADDRESS}) as radio:
        await eventually(lambda: twin.central is None, patience=1)
        await assert_it_works(radio)


async def test_a_connection_that_a_killed_run_was_making_is_called_off_at_the_start(ether, twin):
    async with running() as radio, system_bus() as killed:
        device = await device_path(radio)
        twin.advertising = False
        await anyio.sleep(0.5)
        await killed.send(connect_message(device))
        await anyio.sleep(0.2)
    async with running(ours={ADDRESS}) as radio:
        twin.advertising = True
        await assert_it_works(radio)


async def test_an_adapter_powered_off_by_someone_is_told_and_taken_up_again(radio, twin, adapter):
    async with connected(radio) as link, system_bus() as bus:
        assert await power(bus, adapter.path, on=False)
        await eventually(lambda: not radio.usable)
        assert not link.is_open
        with pytest.raises(RadioDown):
            await radio.connect(ADDRESS, within=1)
        assert await power(bus, adapter.path, on=True)
        await eventually(lambda: radio.usable)
    await assert_it_works(radio)
