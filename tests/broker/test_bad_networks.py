"""A whole bridge behind a network that stalls, dies on one side, or dribbles, and a broker that sends it away."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs

from bridge.mqtt.session import Connection, Settings
from tests.support import mqtt_wire as wire
from tests.support.daemon import configuration
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.proxy import proxy
from tests.support.whole_bridge import bridge

LOCK = "front_door"
QUICK = "[locks.virtual]\nmotor_time = 0"
WAITS = {"MessageExpiryInterval": 50}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def staged(broker: Mosquitto, tmp_path, **options):
    """A sender, a network and a bridge."""
    async with Upstream(broker.port) as upstream, proxy(broker.port) as between:
        config = configuration(between.port, LOCK, lock=QUICK, homeassistant="discovery = false")
        async with bridge(tmp_path, config, **options) as running:
            await upstream.first(f"locks/{LOCK}/state", lock_state="locked")
            yield upstream, between, running


def movements(running) -> list[str]:
    return [movement.action for movement in running.twins[LOCK].movements]


async def unlocked(upstream: Upstream, custom_id: str = "c") -> None:
    """Have the door unlocked, and return once that is told in full."""
    await upstream.command(LOCK, {"action": "unlock", "custom_id": custom_id}, **WAITS)
    reply = await upstream.reply(LOCK, custom_id=custom_id, status="pending")
    assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"
    await upstream.first(f"events/lock.unlocked/{LOCK}")


async def test_a_network_that_stalls_for_a_while_costs_time_alone(broker: Mosquitto, tmp_path):
    async with staged(broker, tmp_path) as (upstream, between, running):
        between.stall()
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "c"}, **WAITS)
        await anyio.sleep(0.3)  # nothing comes through, however long one waits
        assert movements(running) == []
        assert upstream.on("locks/+/actions/reply") == []
        between.flow()
        reply = (await upstream.reply(LOCK, custom_id="c")).body
        assert (await upstream.completed(reply["action_id"]))["status"] == "success"
        assert between.connections == 1
        assert movements(running) == ["unlock"]


@pytest.mark.parametrize("dead", ["up", "down"])
async def test_a_connection_that_is_dead_one_way_is_made_anew_and_nothing_is_done_twice(
    broker: Mosquitto, tmp_path, dead
):
    """Dead upwards, the command is carried out and its answer lost; dead downwards, it never comes."""
    async with staged(broker, tmp_path, keepalive=1) as (upstream, between, running):
        between.stall(dead)
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "c"}, **WAITS)
        if dead == "up":
            await eventually(lambda: movements(running) == ["unlock"])
            assert upstream.on("locks/+/actions/reply") == []
        else:
            await eventually(lambda: between.connections == 2)
        await eventually(lambda: between.connections >= 2)
        between.flow()
        reply = (await upstream.reply(LOCK, custom_id="c")).body
        assert (await upstream.completed(reply["action_id"]))["changed"] is True
        await upstream.first(f"locks/{LOCK}/state", lock_state="unlocked")
        assert movements(running) == ["unlock"]
        assert len({each.body["event_id"] for each in upstream.on("events/lock.action_completed/+")}) == 1


async def test_byte_by_byte_a_command_is_carried_out_like_any_other(broker: Mosquitto, tmp_path):
    async with staged(broker, tmp_path) as (upstream, between, running):
        between.dribble = True
        await unlocked(upstream)
        assert between.connections == 1
        assert movements(running) == ["unlock"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x8E, "Session taken over"),
        (0x8B, "Server shutting down"),
        (0x8D, "Keep alive timeout"),
        (0x98, "Administrative action"),
        (0x97, "Quota exceeded"),
        (0x9C, "Use another server"),
    ],
)
async def test_sent_away_by_the_broker_it_says_why_and_comes_back(broker: Mosquitto, tmp_path, code, words):
    with capture_logs() as logs:
        async with staged(broker, tmp_path) as (upstream, between, running):
            await between.dismiss(wire.packet(wire.DISCONNECT, bytes([code, 0])))
            await unlocked(upstream)
            assert movements(running) == ["unlock"]
    reasons = [entry["reason"] for entry in logs if entry["log_level"] == "warning"]
    assert reasons == [f"the broker said: {words}"]


async def test_another_client_under_its_name_does_not_keep_it_out(broker: Mosquitto, tmp_path):
    async with staged(broker, tmp_path) as (upstream, between, running):
        settings = Settings(client_id="lockbridge-g1", host="127.0.0.1", port=broker.port, session_expiry=0)
        (await Connection.open(settings, 1, clean=True))._close()
        await upstream.first("status", 2, online=True)
        await unlocked(upstream)
        assert between.connections == 2
        assert movements(running) == ["unlock"]
