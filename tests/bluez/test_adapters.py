"""Several adapters and connection slots over a real kernel and a real bluetoothd."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from bridge.ble.radio import Absence, Cause, RadioDown, Unreachable
from drivers.base import LinkLost
from drivers.virtual.peripheral import Property
from tests.support.echo_twin import ADDRESS, NAME, EchoTwin
from tests.support.eventually import eventually
from tests.support.on_air import on_air
from tests.support.radio import WITHIN, assert_it_works, connected, hear, running
from tests.support.virtual_adapter import ADDRESS as FIRST
from tests.support.virtual_adapter import virtual_adapter

SECOND = "00:1A:7D:DA:71:02"
OTHER = "54:D2:72:00:00:02"


@pytest.fixture(scope="module")
async def second(adapter):
    """Another adapter on the same air."""
    async with virtual_adapter(adapter.ether, SECOND) as second:
        yield second


@pytest.fixture
async def both(adapter, second, twin, ether):
    """A radio with two adapters, of which the second hears the lock better."""
    ether.signal(ADDRESS, -80, FIRST)
    ether.signal(ADDRESS, -50, SECOND)
    async with running(adapters=[FIRST, SECOND], ours={ADDRESS}) as radio:
        await eventually(lambda: all(each.knows(ADDRESS) for each in radio.patients))
        yield radio
    ether.heal(ADDRESS)


def carrier(radio) -> str:
    """Return the address of the adapter that carries a link."""
    (carrier,) = [each.address for each in radio.patients if each.linked]
    return carrier


async def test_a_connection_goes_through_the_adapter_that_hears_the_lock_best(both, ether):
    async with connected(both):
        assert carrier(both) == SECOND
    ether.signal(ADDRESS, -40, FIRST)
    await eventually(lambda: both.presence(ADDRESS).rssi == -40 and not both.patients[1].linked)
    async with connected(both):
        assert carrier(both) == FIRST


async def test_a_connection_goes_through_the_next_adapter_when_the_best_does_not_come_through(both, ether):
    ether.signal(ADDRESS, None, SECOND)
    link = await both.connect(ADDRESS, within=2 * WITHIN)
    assert carrier(both) == FIRST
    assert await link.read(NAME) == b"Echo"
    await link.aclose()


async def test_an_adapter_that_is_pulled_out_takes_nothing_with_it_but_its_own_links(both, second, twin):
    async with connected(both) as link:
        await second.unplug()
        with anyio.fail_after(10):
            await link.ended()
        assert both.usable
        await eventually(lambda: both.patients[1].down is not None)
        assert both.patients[1].down.cause is Cause.ABSENT
    await assert_it_works(both)
    await second.plug()
    await eventually(lambda: both.patients[1].usable, patience=40)
    await assert_it_works(both)


async def test_adapters_keep_their_roles_when_the_kernel_numbers_them_anew(both, adapter, second):
    before = adapter.name, second.name
    await adapter.unplug()
    await second.unplug()
    await eventually(lambda: not both.usable)
    await second.plug()
    await adapter.plug()
    assert (second.name, adapter.name) == before  # each has the other's number
    await eventually(lambda: all(each.usable for each in both.patients), patience=40)
    assert [each.path for each in both.patients] == [adapter.path, second.path]
    await eventually(lambda: all(each.knows(ADDRESS) for each in both.patients))
    async with connected(both):
        assert carrier(both) == SECOND


async def test_a_slot_that_is_in_use_is_told_as_such_and_one_that_lingers_is_given_up(adapter, ether, twin):
    async with (
        running(adapters=[FIRST], max_connections=1) as radio,
        on_air(ether, EchoTwin(OTHER)),
        anyio.create_task_group() as tasks,
    ):
        await hear(radio, OTHER)
        async with connected(radio):
            with pytest.raises(Unreachable, match="in use") as told:
                await radio.connect(OTHER, within=1)
            assert told.value.absence is None
            tasks.start_soon(assert_it_works, radio, OTHER)
            with anyio.fail_after(5):
                await radio.wanted(ADDRESS)


async def test_the_mtu_is_known_soon_after_the_first_and_every_later_connection(radio, twin):
    for _ in range(3):
        async with connected(radio) as link:
            await link.read(NAME)
            await eventually(lambda: link.mtu == twin.central.mtu, patience=5)
            assert link.mtu > 23


async def test_what_bluez_knows_of_a_lock_can_be_thrown_away_and_found_anew(radio, twin):
    await assert_it_works(radio)
    await eventually(lambda: not radio.patients[0].linked)
    await radio.patients[0].renew(ADDRESS)
    await assert_it_works(radio)


async def test_a_table_that_proved_stale_is_thrown_away_before_the_next_connection(radio, twin):
    async with connected(radio) as link:
        link._stale = True
    before = len(twin.written)
    await assert_it_works(radio)
    assert radio._dealings[ADDRESS].renewed_at is not None
    assert len(twin.written) == before + 1


@pytest.mark.parametrize("hashed", [True, False])
async def test_a_lock_whose_table_is_another_since_an_update_is_reached_by_the_second_try(radio, ether, hashed):
    before, after = EchoTwin(OTHER), EchoTwin(OTHER)
    inserted = {f"a92ee2{number}-5501-11e4-916c-0800200c9a66": frozenset({Property.WRITE}) for number in (10, 11)}
    after.gatt = {service: inserted | found for service, found in before.gatt.items()}
    async with on_air(ether, before, hashed=hashed):
        await assert_it_works(radio, OTHER)
        await eventually(lambda: before.central is None)
    async with on_air(ether, after, hashed=hashed):
        with suppress(LinkLost, TimeoutError):
            await assert_it_works(radio, OTHER)
        await assert_it_works(radio, OTHER)


async def test_a_lock_that_a_phone_holds_is_told_apart_from_one_that_is_away(radio, ether, twin):
    await hear(radio)
    twin.refusing = True
    with pytest.raises(Unreachable) as told:
        await radio.connect(ADDRESS, within=WITHIN)
    assert told.value.absence is Absence.HELD_BY_ANOTHER
    twin.refusing = False
    ether.leave(ADDRESS)
    with pytest.raises(Unreachable):  # BlueZ may still be telling of what was heard before
        await radio.connect(ADDRESS, within=3)
    with pytest.raises(Unreachable) as told:
        await radio.connect(ADDRESS, within=3)
    assert told.value.absence is Absence.OUT_OF_RANGE
    ether.heal(ADDRESS)
    with pytest.raises(Unreachable) as told:
        await radio.connect("54:D2:72:00:00:99", within=1)
    assert told.value.absence is Absence.NEVER_SEEN
    await assert_it_works(radio)


async def test_an_adapter_that_is_not_there_is_told_by_its_address(adapter):
    async with running(adapters=["00:00:00:00:00:77"]) as radio:
        with pytest.raises(RadioDown, match="00:00:00:00:00:77") as told:
            await radio.connect(ADDRESS, within=1)
        assert told.value.cause is Cause.ABSENT
