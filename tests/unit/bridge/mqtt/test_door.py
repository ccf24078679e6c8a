"""What the bridge does with a connection, from the first subscription to the farewell."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge import __version__
from bridge.mqtt.broker import Subscription
from bridge.mqtt.door import WILL_DELAY, Announcer
from bridge.mqtt.topics import METHODS, Topics
from drivers.virtual.faults import Trouble
from tests.support.clock import FakeClock
from tests.support.fake_connection import Sent
from tests.support.house import BASE, FRONT, House, until

STATUS = f"{BASE}/status"
STATE = f"{BASE}/locks/{FRONT}/state"
EVENTS = f"{BASE}/events/"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path) as house:
        yield house


async def test_it_subscribes_and_says_that_it_is_there(house):
    async with house.life() as life:
        connection = life.connect()
        await until(lambda: connection.on(STATUS))
        assert connection.subscriptions == [
            Subscription(f"{BASE}/locks/+/actions", no_local=True),
            Subscription(f"{BASE}/barrier/+"),
            *[Subscription(f"{BASE}/rpc/{method}", no_local=True) for method in METHODS],
        ]
        (status,) = connection.on(STATUS)
        assert status.retain
        assert status.body["online"] is True
        assert status.body["version"] == __version__


async def test_a_broker_that_allows_no_questions_still_brings_commands(house):
    async with house.life() as life:
        connection = life.connect()
        connection.denied.add(f"{BASE}/rpc/locks/get")
        await until(lambda: connection.on(STATUS))
        connection.deliver(f"{BASE}/locks/{FRONT}/actions", {"action": "unlock"})
        await until(lambda: house.movements)


async def test_a_resumed_session_has_its_barrier_before_anything_else(house):
    async with house.life() as life:
        connection = life.connect(session_present=True)
        await until(lambda: connection.on(STATUS))
        first = connection.done[0]
        assert isinstance(first, Sent)
        assert first.topic.startswith(f"{BASE}/barrier/")
        assert (first.payload, first.retain) == (b"", False)


async def test_what_is_announced_later_is_announced_on_this_connection_and_the_next(house):
    topic = "homeassistant/lock/x/config"
    async with house.life() as life:
        connection = life.connect()
        await until(lambda: connection.on(STATUS))
        life.bridge.door.announcements.add([(topic, {"name": "X"})], [])
        await until(lambda: connection.on(topic))
        assert [(sent.body, sent.retain) for sent in connection.on(topic)] == [({"name": "X"}, True)]
        connection.lose()
        connection = life.connect()
        await until(lambda: connection.on(topic))


async def test_it_says_that_it_leaves(house):
    async with house.life() as life:
        connection = life.connect()
        await until(lambda: connection.on(STATUS))
        connection.lose()
        await until(lambda: len(connection.on(STATUS)) == 2)
        assert connection.on(STATUS)[-1].body["online"] is False
        assert connection.on(STATUS)[-1].retain


async def test_events_and_then_the_state_that_they_led_to(house):
    async with house.life() as life:
        connection = life.connect()
        attempt = await life.perform(custom_id="req_1")
        await until(lambda: connection.on(STATE)[-1].body["lock_state"] == "unlocked")
        events = connection.on(EVENTS)
        assert [event.topic for event in events] == [
            f"{EVENTS}lock.action_completed/{FRONT}",
            f"{EVENTS}action_attempt.unlock_door.succeeded/{FRONT}",
            f"{EVENTS}lock.unlocked/{FRONT}",
        ]
        assert connection.done[-1] == connection.on(STATE)[-1]
        assert connection.done[-4:-1] == events
        for number, event in enumerate(events, 1):
            assert not event.retain
            assert dict(event.properties.user) == {
                "event_id": event.body["event_id"],
                "seq": str(number),
                "schema": event.body["event_type"],
                "action_attempt_id": str(attempt.attempt_id),
                "custom_id": "req_1",
            }
        assert all(state.retain for state in connection.on(STATE))


@pytest.mark.parametrize("trouble", [Trouble.DROP_AFTER_WRITE, Trouble.MUTE_AFTER_ACCEPTED])
async def test_a_state_found_by_reading_back_also_comes_after_its_events(house, trouble):
    async with house.life() as life:
        connection = life.connect()
        house.lock.faults.arm(trouble)
        await life.perform()
        await until(lambda: connection.on(STATE)[-1].body["lock_state"] == "unlocked")
        told = [one.body.get("event_type", one.body.get("lock_state")) for one in connection.on(STATE, EVENTS)]
        assert told.index("lock.unlocked") < told.index("unlocked")


async def test_events_of_the_time_without_a_broker_are_told_when_it_is_back(house):
    async with house.life() as life:
        await life.perform("unlock")
        await anyio.sleep(3600)
        await life.perform("lock")
        connection = life.connect()
        await until(lambda: len(connection.on(EVENTS)) == 6)
        assert [event.body["event_id"] for event in connection.on(EVENTS)] == [
            event["event_id"] for event in life.events
        ]


async def test_events_that_were_not_acknowledged_are_told_again_with_the_same_identity(house):
    async with house.life() as life:
        first = life.connect()
        first.puback = lambda _sent: None
        await life.perform()
        await until(lambda: len(first.on(EVENTS)) == 3)
        first.lose()
        second = life.connect(generation=2)
        await until(lambda: len(second.on(EVENTS)) == 3)
        assert [one.payload for one in first.on(EVENTS)] == [one.payload for one in second.on(EVENTS)]


async def test_a_state_that_the_broker_would_not_take_holds_nothing_up(house):
    async with house.life() as life:
        connection = life.connect()
        connection.refused.add(STATE)
        await life.perform()
        await until(lambda: len(connection.on(EVENTS)) == 3)


async def test_told_to_stop_it_tells_what_was_under_way_before_it_leaves(house):
    async with house.life() as life:
        connection = life.connect()
        await life.submit()
        await until(lambda: house.movements)
        await life.bridge.stop()
        assert len(connection.on(EVENTS)) == 3
        reply = f"{BASE}/locks/{FRONT}/actions"
        packet = connection.deliver(reply, {"action": "lock"})
        await until(lambda: packet in connection.acked)
        assert connection.on(f"{reply}/reply")[-1].body["error_code"] == "BRIDGE_OFFLINE"


class TestAnnouncer:
    def test_a_run_has_its_own_epoch_and_tells_how_long_it_lasts(self):
        clock = FakeClock()
        announcer = Announcer(clock)
        clock.pass_time(61.5)
        clock.synchronised = False
        status = Sent("", announcer.status(online=True), retain=True, properties=None).body
        epoch = status["session"].pop("epoch")
        assert len(epoch) == 16
        assert status["session"] == {"uptime_s": 61, "clock_trusted": False}
        assert status["timestamp"] == int(clock.wall().timestamp() * 1000)
        again = Sent("", Announcer(clock).status(online=True), retain=True, properties=None).body
        assert again["session"]["epoch"] != epoch

    def test_the_will_says_that_the_bridge_is_gone(self):
        will = Announcer(FakeClock()).will(Topics(BASE, ()))
        assert (will.topic, will.delay) == (STATUS, WILL_DELAY)
        assert b'"online":false' in will.payload
