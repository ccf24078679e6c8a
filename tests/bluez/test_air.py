"""What goes wrong on the air, as the radio over a real BlueZ meets it."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from bridge.ble import link as ble_link
from bridge.ble.radio import Unreachable
from drivers.base import LinkLost
from tests.bluez.lab.air import Moment
from tests.support.echo_twin import ADDRESS, ECHO, NAME
from tests.support.eventually import eventually
from tests.support.radio import assert_it_works, connected, hear, running
from tests.support.virtual_adapter import virtual_adapter

OTHER_ADAPTER = "B8:27:EB:00:00:02"


@pytest.fixture
def impatient(monkeypatch):
    """An open link must answer in three seconds; BlueZ needs two to end one."""
    monkeypatch.setattr(ble_link, "ANSWER", 3.0)


def leaving(ether):
    return partial(ether.leave, ADDRESS)


async def test_a_lock_out_of_range_is_unreachable_until_it_is_back(radio, twin, ether):
    await hear(radio)
    ether.leave(ADDRESS)
    with anyio.fail_after(8), pytest.raises(Unreachable):
        await radio.connect(ADDRESS, within=2)
    ether.come_back(ADDRESS)
    await assert_it_works(radio)


@pytest.mark.parametrize("moment", [Moment.CONNECT, Moment.DISCOVERY])
async def test_a_lock_that_leaves_while_it_is_connected_to_is_reached_again_once_it_is_back(radio, twin, ether, moment):
    await hear(radio)
    ether.at(moment, ADDRESS, leaving(ether))
    with anyio.fail_after(10), pytest.raises(Unreachable):
        await radio.connect(ADDRESS, within=3)
    assert not ether.armed(ADDRESS)
    await eventually(lambda: twin.central is None)
    ether.come_back(ADDRESS)
    await assert_it_works(radio)


async def test_a_write_that_never_arrived_ends_the_link(radio, twin, ether):
    async with connected(radio) as link:
        ether.at(Moment.WRITE, ADDRESS, leaving(ether))
        with anyio.fail_after(5), pytest.raises(LinkLost):
            await link.write(ECHO, b"lost")
        assert not link.is_open
    assert twin.written == []
    ether.come_back(ADDRESS)
    await assert_it_works(radio)


async def test_a_write_whose_acknowledgement_never_arrived_has_arrived_once(radio, twin, ether):
    async with connected(radio) as link:
        ether.at(Moment.WRITTEN, ADDRESS, leaving(ether))
        with anyio.fail_after(5), pytest.raises(LinkLost):
            await link.write(ECHO, b"taken")
    assert twin.written == [b"taken"]
    ether.come_back(ADDRESS)
    await assert_it_works(radio)


async def test_a_lock_that_is_out_of_range_for_less_than_the_time_out_keeps_its_link(radio, twin, ether):
    async with connected(radio) as link:
        ether.at(Moment.WRITE, ADDRESS, leaving(ether))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(link.write, ECHO, b"late"))
            await eventually(lambda: not ether.armed(ADDRESS))
            ether.come_back(ADDRESS)
        assert await link.read(NAME) == b"Echo"
    assert twin.written == [b"late"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("moment", "arrived"), [(Moment.WRITE, []), (Moment.WRITTEN, [b"mute"])])
async def test_a_lock_that_goes_mute_loses_its_link_in_bounded_time(radio, twin, ether, moment, arrived):
    async with connected(radio) as link:
        ether.at(moment, ADDRESS, partial(ether.mute, ADDRESS))
        with anyio.fail_after(8), pytest.raises(LinkLost, match="silent"):
            await link.write(ECHO, b"mute")
    assert twin.written == arrived
    await eventually(lambda: twin.central is None)
    ether.speak(ADDRESS)
    await assert_it_works(radio)


async def test_a_lock_that_is_mute_from_the_start_is_unreachable_within_the_bound(radio, twin, ether):
    await hear(radio)
    ether.mute(ADDRESS)
    with anyio.fail_after(10), pytest.raises(Unreachable):
        await radio.connect(ADDRESS, within=3)
    ether.speak(ADDRESS)
    await assert_it_works(radio)


async def test_a_lock_that_a_phone_holds_is_heard_and_unreachable_until_the_phone_lets_go(radio, twin):
    twin.peripheral.held = True
    await anyio.sleep(0.5)
    await hear(radio)
    with anyio.fail_after(10), pytest.raises(Unreachable):
        await radio.connect(ADDRESS, within=3)
    twin.peripheral.held = False
    await assert_it_works(radio)


async def test_a_lock_that_a_phone_took_a_moment_ago_is_reached_when_the_phone_lets_go(radio, twin, ether):
    """BlueZ is told that the connection came about, and then that the lock never took it up."""

    def take():
        twin.peripheral.held = True
        twin.peripheral.controller.le_legacy_advertiser.stop()

    await hear(radio)
    ether.at(Moment.CONNECT, ADDRESS, take)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(assert_it_works, radio)
        await eventually(lambda: not ether.armed(ADDRESS))
        await anyio.sleep(0.5)
        twin.peripheral.held = False


async def test_each_adapter_hears_a_lock_as_loudly_as_it_is_there(adapter, twin, ether):
    ether.signal(ADDRESS, -85, adapter.address)
    ether.signal(ADDRESS, -45, OTHER_ADAPTER)
    async with virtual_adapter(ether, OTHER_ADAPTER):
        for address, loudness in ((adapter.address, -85), (OTHER_ADAPTER, -45)):
            async with running(adapters=[address]) as radio:
                assert (await hear(radio)).rssi == loudness


async def test_an_adapter_that_was_pulled_out_is_taken_up_again_under_another_number(twin, ether, adapter):
    async with running(adapters=[adapter.address], ours={ADDRESS}) as radio:
        await assert_it_works(radio)
        before = adapter.name
        await adapter.unplug()
        await eventually(lambda: not radio.usable)
        async with virtual_adapter(ether, OTHER_ADAPTER):
            await adapter.plug()
            assert adapter.name != before
            await eventually(lambda: radio.usable)
            await assert_it_works(radio)
            await adapter.unplug()
    await adapter.plug()


async def test_an_adapter_that_was_out_for_a_moment_is_taken_up_again(twin, adapter):
    async with running(adapters=[adapter.address], ours={ADDRESS}) as radio:
        await assert_it_works(radio)
        await adapter.unplug()
        await adapter.plug()
        await eventually(lambda: radio.usable)
        await assert_it_works(radio)
        await adapter.power(on=False)
        await adapter.power(on=True)
        await hear(radio)
