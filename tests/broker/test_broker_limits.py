"""A broker that takes little at a time, and little in one packet."""

from __future__ import annotations

import json

import pytest

from tests.support.daemon import Daemon, configuration
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

LOCKS = ("front_door", "back_door", "cellar_door")
QUICK = "[locks.virtual]\nmotor_time = 0"


@pytest.fixture
def anyio_backend():
    return "trio"


async def test_one_packet_at_a_time_is_enough_for_a_burst(tmp_path):
    """Receive Maximum 1: each command is answered, each outcome told once, each lock's in order."""
    limits = "max_inflight_messages 1\nmax_queued_messages 0"
    rounds = 4
    async with (
        Mosquitto(tmp_path, limits) as broker,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, *LOCKS, lock=QUICK), upstream),
    ):
        for number in range(rounds):
            for lock_id in LOCKS:
                action = ("unlock", "lock")[number % 2]
                await upstream.command(lock_id, {"action": action, "custom_id": str(number)}, wait=False)
        for lock_id in LOCKS:
            await upstream.first(f"events/lock.locked/{lock_id}", rounds // 2)
            replies = upstream.on(f"locks/{lock_id}/actions/reply")
            assert [reply.body["custom_id"] for reply in replies] == [str(number) for number in range(rounds)]
            assert {reply.body["status"] for reply in replies} == {"pending"}
            told = [event.body["custom_id"] for event in upstream.on(f"events/lock.action_completed/{lock_id}")]
            assert told == [str(number) for number in range(rounds)]
            await upstream.first(f"locks/{lock_id}/state", lock_state="locked")


async def test_an_event_that_is_too_large_for_the_broker_holds_up_no_other(tmp_path):
    """A long `custom_id` makes one event larger than the broker takes; the bridge says so and goes on."""
    long = "\N{LOCK}" * 128
    async with (
        Mosquitto(tmp_path, "max_packet_size 1200") as broker,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCKS[0], lock=QUICK), upstream) as daemon,
    ):
        body = json.dumps({"action": "unlock", "custom_id": long}, ensure_ascii=False).encode()
        await upstream.command(LOCKS[0], body)
        await daemon.logged("event refused by the broker")
        await upstream.command(LOCKS[0], {"action": "lock", "custom_id": "short"})
        await upstream.first("events/lock.locked/+")
        told = [event.body["custom_id"] for event in upstream.on("events/lock.action_completed/+")]
        assert told == ["short"]
        assert len(upstream.having("status", online=True)) == 1
        assert "Traceback" not in daemon.log
