"""Whether the bridge is there, as the broker tells it: at its start, at its proper end, and when it is killed."""

from __future__ import annotations

import time

import pytest

from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

LOCK = "front_door"


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture
async def upstream(broker: Mosquitto):
    async with Upstream(broker.port) as connected:
        yield connected


async def test_the_status_says_which_run_of_the_bridge_is_online(broker: Mosquitto, tmp_path, upstream: Upstream):
    async with Daemon(tmp_path, configuration(broker.port, LOCK), upstream) as daemon:
        online = (await upstream.first("status", online=True)).body
        assert await daemon.stop() == 0
        offline = (await upstream.first("status", online=False)).body
        await daemon.start()
        again = (await upstream.first("status", 2, online=True)).body

    assert set(online) == {"online", "timestamp", "version", "session"}
    assert set(online["session"]) == {"epoch", "uptime_s", "clock_trusted"}
    assert abs(online["timestamp"] / 1000 - time.time()) < 60
    assert offline["session"]["epoch"] == online["session"]["epoch"] != again["session"]["epoch"]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_killed_bridge_is_told_offline_by_its_last_will(broker: Mosquitto, tmp_path, version):
    config = configuration(broker.port, LOCK, mqtt=f'protocol = "{version}"')
    async with Upstream(broker.port, version=version) as upstream, Daemon(tmp_path, config, upstream) as daemon:
        await upstream.first("status", online=True)
        daemon.kill()
        will = await upstream.first("status", online=False)
        assert set(will.body) == {"online", "timestamp", "version", "session"}
        async with Upstream(broker.port) as latecomer:
            assert (await latecomer.first("status", online=False)).retain


async def test_a_bridge_that_restarts_quickly_is_never_told_offline(broker: Mosquitto, tmp_path, upstream: Upstream):
    async with Daemon(tmp_path, configuration(broker.port, LOCK), upstream) as daemon:
        daemon.kill()
        await daemon.serve()
        await upstream.first("status", 2, online=True)
        assert upstream.having("status", online=False) == []


async def test_told_to_stop_it_ends_what_moves_truthfully_and_leaves_what_waits(
    broker: Mosquitto, tmp_path, upstream: Upstream
):
    async with (
        hosting(tmp_path, LOCK, motor_time=1.5) as host,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream) as daemon,
    ):
        await upstream.command(LOCK, {"action": "unlock"})
        moving = (await upstream.reply(LOCK)).body["action_id"]
        await upstream.first(f"locks/{LOCK}/state", lock_state="unlocking")
        await upstream.command(LOCK, {"action": "lock"})
        waiting = (await upstream.reply(LOCK, 2)).body["action_id"]
        daemon.terminate()
        await daemon.told("STOPPING=1")
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "late"})
        refusal = await upstream.reply(LOCK, custom_id="late")
        assert await daemon.ended() == 0

        assert refusal.body["error_code"] == "BRIDGE_OFFLINE"
        told = upstream.having("events/lock.action_completed/+", action_id=moving)
        assert [event.body["status"] for event in told] == ["success"]
        assert upstream.heard[-1].topic.endswith("/status")
        assert upstream.heard[-1].body["online"] is False
        assert upstream.having("events/lock.action_completed/+", action_id=waiting) == []
        assert len(host.movements) == 1

        await daemon.serve()
        assert (await upstream.completed(waiting))["status"] == "success"
        assert len(host.movements_for(waiting)) == 1
        assert len(upstream.having("events/lock.action_completed/+", action_id=moving)) == 1
