"""What is announced, and what is taken back when it is no longer so."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.bell import Bell
from bridge.journal import inline, open_journal
from bridge.mqtt.announcements import Announcements
from tests.support.clock import FakeClock
from tests.support.fake_connection import FakeConnection
from tests.support.house import BACK, BASE, FRONT, House, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def journal(tmp_path):
    journal = await open_journal(tmp_path / "journal.db", FakeClock(), Bell(), run=inline)
    yield journal
    await journal.close()


async def announced(journal, discoveries, states=(), **fields):
    """Announce on a connection of its own, and return what was published there."""
    connection = FakeConnection()
    for name, value in fields.items():
        setattr(connection, name, value)
    with connection:
        announcements = Announcements(journal, [(topic, {"name": topic}) for topic in discoveries], states)
        gone = await announcements.remember()
        announcements.announce(connection)
        await announcements.take_back(connection, gone)
    return [(sent.topic, sent.payload != b"") for sent in connection.done if sent.retain]


async def test_what_is_no_longer_there_is_cleared_once(journal):
    assert await announced(journal, ["a", "b"], ["state/a", "state/b"]) == [("a", True), ("b", True)]
    assert await announced(journal, ["a"], ["state/a"]) == [("a", True), ("b", False), ("state/b", False)]
    assert await announced(journal, ["a"], ["state/a"]) == [("a", True)]


async def test_what_comes_back_is_not_cleared(journal):
    await announced(journal, ["a", "b"])
    await announced(journal, ["a"])
    assert await announced(journal, ["b"]) == [("b", True), ("a", False)]


async def test_what_the_broker_did_not_clear_is_cleared_later(journal):
    await announced(journal, ["a", "b", "c"])
    assert await announced(journal, ["a"], puback=lambda sent: sent.topic == "b")
    assert await announced(journal, ["a"]) == [("a", True), ("c", False)]


async def test_what_a_lost_connection_left_is_cleared_on_the_next(journal):
    await announced(journal, ["a", "b"])
    with anyio.move_on_after(1) as scope:
        await announced(journal, ["a"], puback=lambda _sent: None)
    assert scope.cancelled_caught
    assert await announced(journal, ["a"]) == [("a", True), ("b", False)]


async def test_one_that_is_refused_keeps_the_others_from_nothing(journal):
    assert await announced(journal, ["a", "b"], refused={"a"}) == [("b", True)]


async def test_a_journal_that_cannot_be_written_puts_off_what_is_to_be_cleared(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house:
        async with house.life() as life:
            life.connect()
            await until(lambda: life.device()["online"])
        house.configured = {FRONT}
        async with house.life() as life:
            with life.unwritable():
                connection = life.connect()
                await until(lambda: connection.on(f"{BASE}/locks/{FRONT}/state"))
                await anyio.sleep(10)
                assert not connection.on(f"{BASE}/locks/{BACK}/state")
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.on(f"{BASE}/locks/{BACK}/state"))


async def test_of_a_lock_that_was_taken_out_nothing_is_left_at_the_broker(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house:
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.on(f"{BASE}/locks/{BACK}/state"))
        house.configured = {FRONT}
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.on(f"{BASE}/locks/{BACK}/state"))
            (cleared,) = connection.on(f"{BASE}/locks/{BACK}/state")
            assert (cleared.payload, cleared.retain) == (b"", True)


async def test_of_a_sensor_that_a_lock_turns_out_not_to_have_nothing_is_left_at_the_broker(tmp_path):
    door = f"homeassistant/binary_sensor/lockbridge_g1_{FRONT}/door/config"
    battery = f"homeassistant/sensor/lockbridge_g1_{FRONT}/battery/config"
    async with House.standing(tmp_path, driver="switchbot") as house:
        house.discovery = True
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.on(door))
            assert connection.on(door)[0].payload
        house.options = {"door_sensor": False}
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.on(door))
            assert [(sent.payload, sent.retain) for sent in connection.on(door)] == [(b"", True)]
            assert all(sent.payload for sent in connection.on(battery))
            await until(lambda: life.device()["online"])
            assert life.device()["door_state"] == "unknown"


async def test_what_could_not_be_forgotten_is_cleared_again(journal, monkeypatch):
    await announced(journal, ["a", "b"])
    db = journal._store._connection
    with monkeypatch.context() as patch:
        clear = FakeConnection.begin

        def begin(connection, *args, **fields):
            db.execute("PRAGMA query_only = 1")
            return clear(connection, *args, **fields)

        patch.setattr(FakeConnection, "begin", begin)
        assert await announced(journal, ["a"]) == [("a", True), ("b", False)]
        db.execute("PRAGMA query_only = 0")
    assert await announced(journal, ["a"]) == [("a", True), ("b", False)]
