"""What others do at the door, from the lock to the broker, through a daemon of its own whose locks outlive it."""

from __future__ import annotations

import signal
import time

import pytest

from drivers.base import Action, LockState
from drivers.virtual.operation import FOB
from tests.support.daemon import Daemon, configuration
from tests.support.eventually import eventually
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.oracle import same

FRONT, BACK = "front_door", "back-tür.2"


@pytest.fixture
def anyio_backend():
    return "trio"


def told(upstream, **fields):
    """Return the operations that were told, however often, by their event's id."""
    found = {}
    for event in upstream.having("events/lock.action_completed/+", **fields):
        found.setdefault(event.body["event_id"], []).append(event)
    assert all(same(copies) for copies in found.values())
    return [copies[0].body for copies in found.values()]


@pytest.mark.parametrize("connection", ["on_demand", "always"])
async def test_what_is_done_at_the_door_is_told_and_the_retained_state_follows(broker: Mosquitto, tmp_path, connection):
    async with hosting(tmp_path, FRONT) as host, Upstream(broker.port) as upstream:
        config = configuration(broker.port, FRONT, air=host.air, lock=f'connection = "{connection}"\nlinger = 0.2')
        lock = host.locks[FRONT]
        async with Daemon(tmp_path, config, upstream):
            await upstream.first(f"locks/{FRONT}/state", lock_state="locked")

            lock.manual_unlock()
            event = await upstream.first(f"events/lock.action_completed/{FRONT}", performed_via="manual_turn")
            assert event.body.items() >= {"action": "unlock", "status": "success", "device_id": FRONT}.items()
            assert event.user["event_id"] == event.body["event_id"]
            moved = await upstream.first(f"events/lock.unlocked/{FRONT}", method="manual")
            assert "action_attempt_id" not in moved.body
            await upstream.until(
                lambda: [
                    state
                    for state in upstream.having(f"locks/{FRONT}/state", lock_state="unlocked")
                    if state.body.get("last_operation", {}).get("performed_via") == "manual_turn"
                ]
            )
            lock.fob()
            await upstream.first(f"events/lock.action_completed/{FRONT}", performed_via="bluetooth_key")
            await upstream.first(f"events/lock.locked/{FRONT}")
            assert not lock.keypad("000000")
            denied = await upstream.first(f"events/lock.access_denied/{FRONT}")
            assert denied.body["reason"]["reason_code"] == "unknown_code"

            await upstream.command(FRONT, {"action": "unlock"})
            await upstream.first(f"events/lock.action_completed/{FRONT}", performed_via="remote_api")
            assert len(told(upstream)) == 3


@pytest.mark.parametrize("way", ["killed", "while it reads the log"])
async def test_what_is_done_while_the_bridge_is_away_is_told_once_and_as_historic(broker: Mosquitto, tmp_path, way):
    async with hosting(tmp_path, FRONT) as host, Upstream(broker.port) as upstream:
        lock = host.locks[FRONT]
        config = configuration(broker.port, FRONT, air=host.air)
        async with Daemon(tmp_path, config, upstream) as daemon:
            await upstream.first(f"locks/{FRONT}/state", lock_state="locked")
            lock.manual_unlock()
            await upstream.first(f"events/lock.action_completed/{FRONT}", performed_via="manual_turn")
            daemon.kill()
            lock.operate(Action.LOCK, FOB)
            await eventually(lambda: not lock.busy)
            second = int(time.time())
            await eventually(lambda: int(time.time()) > second)  # the log tells seconds: later than it by what it tells
            if way != "killed":
                daemon.launch(LOCK_BRIDGE_CRASH_AT="before_told")
                assert await daemon.ended() == -signal.SIGKILL
            for _ in range(2):
                await daemon.serve()
                event = await upstream.first(f"events/lock.action_completed/{FRONT}", performed_via="bluetooth_key")
                assert (event.body["action"], event.body["historic"]) == ("lock", True)
                await upstream.first(f"locks/{FRONT}/state", lock_state="locked")
                daemon.kill()
            assert [each["performed_via"] for each in told(upstream)] == ["manual_turn", "bluetooth_key"]
        assert lock.state is LockState.LOCKED


async def test_of_a_lock_that_was_taken_out_nothing_is_left_at_the_broker(broker: Mosquitto, tmp_path):
    async with Upstream(broker.port) as upstream:
        async with Daemon(tmp_path, configuration(broker.port, FRONT, BACK), upstream):
            await upstream.first(f"locks/{FRONT}/state", lock_state="locked")
            await upstream.first(f"locks/{BACK}/state", lock_state="locked")
        async with Daemon(tmp_path, configuration(broker.port, FRONT), upstream):
            await upstream.until(lambda: [each for each in upstream.on(f"locks/{BACK}/state") if not each.payload])
    async with Upstream(broker.port, also=["homeassistant/#"]) as late:
        await late.until(lambda: [each for each in late.heard if each.topic.endswith("/lock/config")])
        await late.first("status")
        await late.first(f"locks/{FRONT}/state")
        assert not late.on(f"locks/{BACK}/state")
        topics = [each.topic for each in late.heard if each.topic.startswith("homeassistant/")]
        assert topics
        assert not any("back" in topic for topic in topics)
