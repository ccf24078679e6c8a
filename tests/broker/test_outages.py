"""The broker away, the daemon away: what was recorded is told later, what is stale is not done."""

from __future__ import annotations

import anyio
import pytest

from drivers.base import LockState
from tests.support.daemon import Daemon, configuration
from tests.support.eventually import eventually
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

FRONT, BACK = "front_door", "back_door"


@pytest.fixture
def anyio_backend():
    return "trio"


async def test_p5_events_that_a_broker_outage_held_up_are_delivered_afterwards_in_order(tmp_path):
    async with (
        Mosquitto(tmp_path, durable=True) as broker,
        hosting(tmp_path, FRONT, BACK, motor_time=0.5) as host,
        Upstream(broker.port, session="upstream") as upstream,
        Daemon(tmp_path, configuration(broker.port, FRONT, BACK, air=host.air), upstream),
    ):
        broker.save()
        await eventually(lambda: broker.store.exists() and b"upstream" in broker.store.read_bytes())
        for lock_id, action in ((FRONT, "unlock"), (FRONT, "lock"), (BACK, "unlock")):
            await upstream.command(lock_id, {"action": action, "custom_id": f"{lock_id} {action}"})
            await upstream.reply(lock_id, custom_id=f"{lock_id} {action}")
        broker.kill()
        assert upstream.on("events/#") == []
        await eventually(lambda: len(host.movements) == 3 and host.locks[FRONT].state is LockState.LOCKED)
        await broker.start()

        await upstream.first(f"events/lock.locked/{FRONT}")
        await upstream.first(f"events/lock.unlocked/{BACK}")
        for lock_id, expected in (
            (FRONT, ["unlock_door.succeeded", "lock_door.succeeded"]),
            (BACK, ["unlock_door.succeeded"]),
        ):
            events = upstream.on(f"events/+/{lock_id}")
            assert len({event.body["event_id"] for event in events}) == len(events) == 3 * len(expected)
            places = [int(event.user["seq"]) for event in events]
            assert places == sorted(places)
            ended = [event.body["event_type"] for event in events if "action_attempt" in event.topic]
            assert ended == [f"action_attempt.{each}" for each in expected]
        await upstream.first(f"locks/{BACK}/state", lock_state="unlocked")
        assert len(host.movements) == 3


async def test_p4_of_what_waited_while_it_was_away_only_what_is_provably_fresh_is_done(broker: Mosquitto, tmp_path):
    async with (
        hosting(tmp_path, FRONT) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air), upstream) as daemon,
    ):
        daemon.kill()
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "expired"}, MessageExpiryInterval=1)
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "no expiry"})
        await upstream.command(FRONT, {"action": "lock", "custom_id": "fresh"}, MessageExpiryInterval=50)
        await anyio.sleep(2.1)  # time itself is waited for: the broker counts whole seconds
        await daemon.serve()

        refused = await upstream.reply(FRONT, custom_id="no expiry")
        assert refused.body["error_code"] == "COMMAND_EXPIRED"
        fresh = await upstream.reply(FRONT, custom_id="fresh")
        assert (await upstream.completed(fresh.body["action_id"]))["status"] == "success"
        assert host.movements == []

        await upstream.command(FRONT, {"action": "unlock", "custom_id": "live"})
        live = await upstream.reply(FRONT, custom_id="live")
        assert (await upstream.completed(live.body["action_id"]))["changed"] is True
        assert upstream.having(f"locks/{FRONT}/actions/reply", custom_id="expired") == []
        assert len(host.movements) == 1


async def test_a_fresh_command_that_waited_moves_the_bolt_once(broker: Mosquitto, tmp_path):
    async with (
        hosting(tmp_path, FRONT) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "fresh"}, MessageExpiryInterval=50)
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "fresh"}, MessageExpiryInterval=50)
        await daemon.serve()
        reply = (await upstream.reply(FRONT)).body
        assert (await upstream.reply(FRONT, 2)).body.items() >= {"replayed": True, "custom_id": "fresh"}.items()
        assert (await upstream.completed(reply["action_id"]))["changed"] is True
        assert len(host.movements) == 1


async def test_on_3_1_1_nothing_waits_for_a_bridge_that_is_away(broker: Mosquitto, tmp_path):
    config = 'protocol = "3.1.1"'
    async with (
        hosting(tmp_path, FRONT) as host,
        Upstream(broker.port, version="3.1.1") as upstream,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air, mqtt=config), upstream) as daemon,
    ):
        daemon.kill()
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "away"})
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "kept"}, retain=True)
        await daemon.serve()
        await upstream.command(FRONT, {"action": "lock", "custom_id": "live"})
        live = await upstream.reply(FRONT, custom_id="live")
        assert (await upstream.completed(live.body["action_id"]))["status"] == "success"
        assert upstream.having(f"locks/{FRONT}/actions/reply", custom_id="away") == []
        kept = await upstream.reply(FRONT, custom_id="kept")
        assert kept.body["error_code"] == "RETAINED_COMMAND"
        assert host.movements == []


async def test_p4_what_waited_for_a_bridge_that_lost_its_journal_is_refused(broker: Mosquitto, tmp_path):
    async with (
        hosting(tmp_path, FRONT) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air), upstream) as daemon,
    ):
        daemon.kill()
        for part in daemon.state_dir.glob("journal.db*"):
            part.unlink()
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "c"}, MessageExpiryInterval=50)
        await daemon.serve()
        assert (await upstream.reply(FRONT, custom_id="c")).body["error_code"] == "COMMAND_EXPIRED"
        assert host.movements == []
