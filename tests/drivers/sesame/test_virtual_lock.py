"""The virtual Sesame before whoever speaks its protocol."""

import pytest
import trio.testing

from drivers.base import LinkLost, PairingRequest
from drivers.sesame.channel import open_channel
from drivers.sesame.protocol.codes import NOTIFY, WRITE, Item, Result
from drivers.virtual.peripheral import AttError
from tests.support.sesame_host import DRIVER, logged_in, reached, settle


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_it_shows_the_oldest_entry_of_its_history_until_that_is_deleted():
    async with logged_in() as (twin, ask):
        assert (await ask(Item.HISTORY, b"\x01")).result == Result.NOT_FOUND
        twin.lock.manual_unlock()
        twin.lock.fob()
        await settle(twin)
        first = await ask(Item.HISTORY, b"\x01")
        assert first == await ask(Item.HISTORY, b"\x01")
        await ask(Item.HISTORY_DELETE, first.data[:4])
        assert (await ask(Item.HISTORY, b"\x01")).data[:4] > first.data[:4]


async def test_it_is_reset_for_pairing_and_as_it_was_where_nothing_came_of_it():
    async with reached() as (twin, link):
        before = twin.secret
        twin.pairing_mode = True
        assert twin.pairing_mode
        assert DRIVER.sight(twin.advertisement()).pairable
        twin.pairing_mode = False
        assert twin.secret == before
        twin.pairing_mode = True
        key = await DRIVER.pair(link, PairingRequest("Bridge", 1))
        twin.pairing_mode = False
        assert not twin.pairing_mode
        assert twin.secret == key.secret_bytes() != before


async def test_what_it_does_not_know_it_refuses():
    async with logged_in() as (_, ask):
        assert (await ask(Item.INITIAL)).result == Result.NOT_SUPPORTED
        assert (await ask(Item.TIME, bytes(4))).succeeded


async def test_nothing_is_read_of_it_and_only_one_characteristic_is_written():
    async with reached() as (twin, link):
        with pytest.raises(LinkLost):
            await link.read(NOTIFY)
        with pytest.raises(AttError):
            twin.write(NOTIFY, b"")


async def test_garbage_is_ignored():
    async with logged_in() as (twin, ask):
        for segment in (b"", b"\x03", b"\x05garbage", b"\x03\x51", b"\x00more"):
            twin.write(WRITE, segment)
        assert (await ask(Item.VERSION)).succeeded


async def test_a_registration_with_no_point_of_the_curve_is_refused():
    async with reached(registered=False) as (twin, link):
        channel = await open_channel(link)
        await channel.greeting()
        await channel.send(Item.REGISTRATION, bytes(68))
        assert (await channel.response(Item.REGISTRATION)).result == Result.INVALID_PARAMETER
        assert twin.secret is None
        await channel.aclose()
