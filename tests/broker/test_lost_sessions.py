"""A broker that dies, with and without a store, and what becomes of the commands and events that were with it.

P1: what was answered is not lost. P2: what is repeated, by its sender or by the broker, is not done twice. What the
broker itself forgot nobody can tell: the sender repeats it, by its `custom_id`, until it is answered.
"""

from __future__ import annotations

from typing import Any

import pytest

from bridge.bell import Bell
from bridge.clock import SystemClock
from bridge.journal import open_journal
from tests.support.daemon import Daemon, configuration
from tests.support.eventually import eventually
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.proxy import proxy
from tests.support.records import make_event

LOCK = "front_door"
UNLOCK = {"action": "unlock", "custom_id": "c1"}
WAITS = {"MessageExpiryInterval": 50}


@pytest.fixture
def anyio_backend():
    return "trio"


async def saved(broker: Mosquitto, what: bytes) -> None:
    """Return once the broker's store holds something."""
    broker.save()
    await eventually(lambda: broker.store.exists() and what in broker.store.read_bytes())


async def record(daemon: Daemon, count: int) -> None:
    """Leave numbered events in the journal of a daemon that does not run."""
    journal = await open_journal(daemon.state_dir / "journal.db", SystemClock(), Bell())
    await journal.tell([make_event(LOCK, number=number) for number in range(count)])
    await journal.close()


async def outcome(upstream: Upstream, **reply: object) -> dict[str, Any]:
    """Return what tells the end of the command that was answered so."""
    action_id = (await upstream.reply(LOCK, **reply)).body["action_id"]
    return await upstream.completed(action_id)


async def test_p1_p2_commands_that_wait_in_a_durable_broker_survive_its_death_and_are_done_once(tmp_path):
    async with (
        Mosquitto(tmp_path, durable=True) as broker,
        hosting(tmp_path, LOCK) as host,
        Upstream(broker.port, session="upstream") as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        await upstream.command(LOCK, UNLOCK, **WAITS)
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "no expiry"})
        await saved(broker, b"no expiry")
        broker.kill()
        await broker.start()
        await daemon.serve()
        assert (await outcome(upstream, custom_id="c1"))["changed"] is True
        assert (await upstream.reply(LOCK, custom_id="no expiry")).body["error_code"] == "COMMAND_EXPIRED"
        assert len(host.movements) == 1


@pytest.mark.parametrize("when", ["waiting", "taken"])
async def test_p2_a_command_that_the_broker_forgot_is_repeated_by_its_sender_and_done_once(tmp_path, when):
    """The broker dies without a store, before the bridge had the command or while it is carried out."""
    async with (
        Mosquitto(tmp_path) as broker,
        hosting(tmp_path, LOCK, motor_time=0.3) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream) as daemon,
    ):
        if when == "waiting":
            assert await daemon.stop() == 0
            await upstream.command(LOCK, UNLOCK, **WAITS)
            broker.kill()
            await broker.start()
            await daemon.serve()
        else:
            before = len(upstream.having("status", online=True))
            await upstream.command(LOCK, UNLOCK, **WAITS)
            await eventually(lambda: host.movements)
            broker.kill()
            await broker.start()
            await upstream.first("status", before + 1, online=True)
        await upstream.command(LOCK, {"action": "lock", "custom_id": "fence"}, **WAITS)
        await outcome(upstream, custom_id="fence")
        assert len(host.movements) == (0 if when == "waiting" else 2)

        answered = len(upstream.having(f"locks/{LOCK}/actions/reply", custom_id="c1"))
        await upstream.command(LOCK, UNLOCK, **WAITS)
        reply = (await upstream.reply(LOCK, answered + 1, custom_id="c1")).body
        assert reply.get("replayed") is (None if when == "waiting" else True)
        if when == "waiting":
            await upstream.completed(reply["action_id"])
        assert len(host.movements_for(reply["action_id"])) == 1
        assert len(host.movements) == (1 if when == "waiting" else 2)


async def test_p2_a_broker_that_comes_back_from_an_old_store_repeats_a_command_and_it_is_not_done_again(tmp_path):
    """The store is of the time before the bridge had the command, so it is delivered as if for the first time."""
    unlatch = 'actions = ["lock", "unlock", "unlatch"]'
    async with (
        Mosquitto(tmp_path, durable=True) as broker,
        hosting(tmp_path, LOCK) as host,
        Upstream(broker.port, session="upstream") as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air, lock=unlatch), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        await upstream.command(LOCK, {"action": "unlatch"}, **WAITS)
        await saved(broker, b"unlatch")
        await daemon.serve()
        event = await outcome(upstream, action="unlatch")
        broker.kill()
        await broker.start()

        again = (await upstream.reply(LOCK, 2, action="unlatch")).body
        assert again.items() >= {"action_id": event["action_id"], "replayed": True}.items()
        await upstream.command(LOCK, {"action": "lock", "custom_id": "fence"}, **WAITS)
        await outcome(upstream, custom_id="fence")
        assert [movement.action for movement in host.movements] == ["unlatch", "lock"]


async def test_p5_events_that_are_pending_when_a_broker_without_a_store_dies_are_told_to_the_next(tmp_path):
    async with (
        Mosquitto(tmp_path) as broker,
        hosting(tmp_path, LOCK, motor_time=0.4) as host,
        Upstream(broker.port) as upstream,
        proxy(broker.port) as between,
        Daemon(tmp_path, configuration(between.port, LOCK, air=host.air), upstream) as daemon,
    ):
        await upstream.command(LOCK, UNLOCK)
        await upstream.reply(LOCK, custom_id="c1")
        broker.kill()
        between.shut = True
        await eventually(lambda: "attempt ended" in daemon.log)
        await broker.start()
        async with Upstream(broker.port) as other:
            between.shut = False
            events = [
                await other.first(f"events/{kind}/{LOCK}")
                for kind in ("lock.action_completed", "action_attempt.unlock_door.succeeded", "lock.unlocked")
            ]
            assert [int(event.user["seq"]) for event in events] == sorted(int(event.user["seq"]) for event in events)
            await other.first(f"locks/{LOCK}/state", lock_state="unlocked")
            assert len(other.on("events/#")) == 3
        assert len(host.movements) == 1


async def test_a_backlog_of_a_thousand_events_is_delivered_whole_and_in_order(tmp_path, broker: Mosquitto):
    async with (
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        await record(daemon, 1000)
        await daemon.serve()
        await upstream.until(
            lambda: len(upstream.heard) > 1000 and upstream.having("events/lock.unlocked/+", number=999)
        )
        assert [event.body["number"] for event in upstream.on("events/lock.unlocked/+")] == list(range(1000))
        await daemon.stop()
        await daemon.serve()
        await upstream.command(LOCK, UNLOCK)
        await outcome(upstream, custom_id="c1")
        assert len(upstream.having("events/lock.unlocked/+", number=0)) == 1
