"""A command over a real broker, from the sender's PUBLISH to the retained state, through a daemon of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from uuid import UUID

import anyio
import pytest

from drivers.base import LockState
from drivers.virtual.faults import Trouble
from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import BASE, Upstream

FRONT, BACK = "lock_491829", "back-tür.2"
SEED_REQUEST = b'{"action": "unlock", "custom_id": "req_98aa221"}'
QUICK = "[locks.virtual]\nmotor_time = 0.2"


@pytest.fixture
def anyio_backend():
    return "trio"


async def mosquitto_pub(port, *arguments):
    """Publish as a person does, with the broker's own tool."""
    command = [shutil.which("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(port), "-q", "1", *arguments]
    await anyio.to_thread.run_sync(lambda: subprocess.run(command, check=True, timeout=10))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_the_seeds_unlock_request_is_answered_then_told_by_both_events_then_by_the_state(
    broker: Mosquitto, tmp_path, version
):
    config = configuration(broker.port, FRONT, BACK, lock=QUICK, mqtt=f'protocol = "{version}"')
    async with Upstream(broker.port, version=version) as upstream, Daemon(tmp_path, config, upstream):
        await upstream.first(f"locks/{FRONT}/state", lock_state="locked")

        await mosquitto_pub(broker.port, "-t", f"{BASE}/locks/{FRONT}/actions", "-m", SEED_REQUEST.decode())
        state = await upstream.first(f"locks/{FRONT}/state", lock_state="unlocked")

        reply = await upstream.reply(FRONT)
        action_id = reply.body["action_id"]
        assert reply.body == {
            "action_id": action_id,
            "custom_id": "req_98aa221",
            "status": "pending",
            "lock_id": FRONT,
            "action": "unlock",
        }
        completed = await upstream.first(f"events/lock.action_completed/{FRONT}")
        assert (
            completed.body.items()
            >= {
                "event_type": "lock.action_completed",
                "device_id": FRONT,
                "action_id": action_id,
                "custom_id": "req_98aa221",
                "action": "unlock",
                "status": "success",
                "performed_via": "remote_api",
                "was_confirmed_by_device": True,
            }.items()
        )
        ended = await upstream.first(f"events/action_attempt.unlock_door.succeeded/{FRONT}")
        assert ended.body.items() >= {"action_type": "UNLOCK_DOOR", "status": "success"}.items()
        assert {"created_at", "occurred_at"} <= set(ended.body)
        for name in ("event_id", "workspace_id", "action_attempt_id", "device_id", "connected_account_id"):
            assert str(UUID(ended.body[name])) == ended.body[name]
        moved = await upstream.first(f"events/lock.unlocked/{FRONT}")
        assert moved.body["action_attempt_id"] == ended.body["action_attempt_id"]
        order = [upstream.heard.index(each) for each in (reply, completed, ended, moved, state)]
        assert order == sorted(order)
        assert state.body["last_operation"].items() >= {"action": "unlock", "performed_via": "remote_api"}.items()

        async with Upstream(broker.port, version=version) as latecomer:
            kept = await latecomer.first(f"locks/{FRONT}/state")
            assert kept.retain
            assert kept.body["lock_state"] == "unlocked"
            assert (await latecomer.first(f"locks/{BACK}/state")).body["lock_state"] == "locked"
            assert latecomer.on("events/#") == []


async def test_a_second_command_with_the_same_custom_id_replays_and_moves_nothing(broker: Mosquitto, tmp_path):
    async with hosting(tmp_path, FRONT) as host, Upstream(broker.port) as upstream:
        config = configuration(broker.port, FRONT, air=host.air)
        async with Daemon(tmp_path, config, upstream) as daemon:
            await upstream.command(FRONT, SEED_REQUEST)
            first = (await upstream.reply(FRONT)).body
            await upstream.completed(first["action_id"])

            await upstream.command(FRONT, SEED_REQUEST)
            assert (await upstream.reply(FRONT, 2)).body == first | {"status": "success", "replayed": True}

            host.locks[FRONT].manual_lock()
            assert await daemon.stop() == 0
            await daemon.serve()
            await upstream.command(FRONT, SEED_REQUEST)
            assert (await upstream.reply(FRONT, 3)).body == first | {"status": "success", "replayed": True}
            await upstream.command(FRONT, {"action": "lock", "custom_id": "req_98aa221"})
            other = (await upstream.reply(FRONT, action="lock")).body
            assert other["action_id"] != first["action_id"]
            assert (await upstream.completed(other["action_id"]))["changed"] is False

            assert len(host.movements) == 1
            assert host.locks[FRONT].state is LockState.LOCKED
            told = upstream.on(f"events/lock.action_completed/{FRONT}")
            assert len([each for each in told if "action_attempt_id" in each.body]) == 2


async def test_without_custom_id_the_reply_address_stands_for_it(broker: Mosquitto, tmp_path):
    async with (
        hosting(tmp_path, FRONT) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air), upstream),
    ):
        address = {"ResponseTopic": "lockbridge/answers/me", "CorrelationData": b"\x00\xff1"}
        await upstream.command(FRONT, {"action": "unlock"}, **address)
        reply = await upstream.until(lambda: said(upstream, "lockbridge/answers/me", 1))
        await upstream.completed(reply.body["action_id"])
        await upstream.command(FRONT, {"action": "unlock"}, **address)
        again = await upstream.until(lambda: said(upstream, "lockbridge/answers/me", 2))

        assert again.body == reply.body | {"status": "success", "replayed": True}
        assert again.correlation == b"\x00\xff1"
        assert len(host.movements) == 1


def said(upstream, topic, number):
    """The message of this number on a topic, if it has come."""
    return next(iter([each for each in upstream.heard if each.topic == topic][number - 1 :]), None)


@pytest.fixture
async def upstream(broker: Mosquitto):
    async with Upstream(broker.port, also=["homeassistant/#"]) as connected:
        yield connected


async def test_mqtt_5_properties_say_what_belongs_together(broker: Mosquitto, tmp_path, upstream: Upstream):
    async with Daemon(tmp_path, configuration(broker.port, FRONT, lock=QUICK), upstream):
        properties = {"ResponseTopic": "lockbridge/answers/42", "CorrelationData": b"\x00\xff42"}
        await upstream.command(FRONT, {"action": "unlock", "custom_id": "c1"}, **properties)
        reply = await upstream.until(lambda: said(upstream, "lockbridge/answers/42", 1))
        await upstream.command(FRONT, {"action": "nonsense", "custom_id": "c2"}, **properties)
        refusal = await upstream.until(lambda: said(upstream, "lockbridge/answers/42", 2))
        await upstream.first("events/lock.unlocked/+")
        await upstream.first(f"locks/{FRONT}/state", lock_state="unlocked")

        assert set(reply.body) == {"action_id", "custom_id", "status", "lock_id", "action"}
        assert set(refusal.body) == {"error_code", "message"}
        assert refusal.body["error_code"] == "INVALID_ACTION"
        assert [reply.correlation, refusal.correlation] == [b"\x00\xff42"] * 2
        assert reply.user["custom_id"] == "c1"
        assert upstream.on(f"locks/{FRONT}/actions/reply") == []
        events = upstream.on(f"events/+/{FRONT}")
        assert len(events) == 3
        for event in events:
            assert event.user["event_id"] == event.body["event_id"]
            assert event.user["action_attempt_id"] == event.body["action_attempt_id"]
            assert event.user["action_attempt_id"] == reply.user["action_attempt_id"]
            assert event.user["custom_id"] == "c1"
            assert "schema" in event.user
        assert [int(event.user["seq"]) for event in events] == sorted(int(event.user["seq"]) for event in events)
        ours = [reply, refusal, *events, *upstream.on("status"), *upstream.on("locks/+/state")]
        assert {message.content_type for message in ours} == {"application/json"}


async def test_a_failure_is_told_as_one_and_by_the_locks_own_report(broker: Mosquitto, tmp_path, upstream: Upstream):
    async with (
        hosting(tmp_path, FRONT) as host,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air), upstream),
    ):
        host.locks[FRONT].jam()
        await upstream.command(FRONT, {"action": "unlock"})
        reply = (await upstream.reply(FRONT)).body
        assert "custom_id" not in reply
        event = await upstream.completed(reply["action_id"])

        assert event["status"] == "failed"
        assert event["error_code"] == "LOCK_JAMMED"
        assert event["message"]
        assert event["was_confirmed_by_device"] is False
        failed = await upstream.first(f"events/action_attempt.unlock_door.failed/{FRONT}")
        assert failed.body["status"] == "error"
        await upstream.first(f"locks/{FRONT}/state", lock_state="jammed")
        assert upstream.on("events/lock.unlocked/+") == []


async def test_unlatch_is_an_unlock_door_attempt_and_always_acts(broker: Mosquitto, tmp_path, upstream: Upstream):
    config = 'actions = ["lock", "unlock", "unlatch"]'
    async with (
        hosting(tmp_path, FRONT) as host,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air, lock=config), upstream),
    ):
        for number, action in enumerate(("unlock", "unlatch", "unlock"), 1):
            await upstream.command(FRONT, {"action": action})
            reply = (await upstream.reply(FRONT, number)).body
            event = await upstream.completed(reply["action_id"])
            assert (event["action"], event["status"]) == (action, "success")
            assert event["changed"] is (number < 3)

        await upstream.first("events/action_attempt.unlock_door.succeeded/+", 3)
        assert [movement.action for movement in host.movements] == ["unlock", "unlatch"]


async def test_a_link_that_breaks_after_the_write_is_read_back_and_never_written_again(
    broker: Mosquitto, tmp_path, upstream: Upstream
):
    async with (
        hosting(tmp_path, FRONT) as host,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air), upstream),
    ):
        host.locks[FRONT].drop_after_write()
        await upstream.command(FRONT, {"action": "unlock"})
        event = await upstream.completed((await upstream.reply(FRONT)).body["action_id"])

        assert event["status"] == "success"
        assert len(host.movements_for(event["action_id"])) == 1


async def test_what_the_lock_does_not_prove_is_told_as_unknown(broker: Mosquitto, tmp_path, upstream: Upstream):
    async with (
        hosting(tmp_path, FRONT) as host,
        Daemon(tmp_path, configuration(broker.port, FRONT, air=host.air), upstream),
    ):
        host.locks[FRONT].faults.arm(Trouble.STALL)
        host.locks[FRONT].faults.arm(Trouble.DROP_AFTER_WRITE)
        await upstream.command(FRONT, {"action": "unlock"})
        event = await upstream.completed((await upstream.reply(FRONT)).body["action_id"])

        assert (event["status"], event["error_code"]) == ("failed", "OUTCOME_UNKNOWN")
        assert host.movements == []
        await upstream.first("events/action_attempt.unlock_door.failed/+")
        assert upstream.on("events/lock.unlocked/+") == []


async def test_each_locks_events_come_in_the_order_of_its_commands(broker: Mosquitto, tmp_path, upstream: Upstream):
    config = configuration(broker.port, FRONT, BACK, lock="[locks.virtual]\nmotor_time = 0")
    async with Daemon(tmp_path, config, upstream):
        for number in range(4):
            for lock_id in (FRONT, BACK):
                action = "lock" if number % 2 else "unlock"
                await upstream.command(lock_id, {"action": action, "custom_id": str(number)}, wait=False)
        for lock_id in (FRONT, BACK):
            await upstream.first(f"events/action_attempt.lock_door.succeeded/{lock_id}", 2)
            completed = upstream.on(f"events/lock.action_completed/{lock_id}")
            assert [event.body["custom_id"] for event in completed] == ["0", "1", "2", "3"]
            attempts = [event.user["custom_id"] for event in upstream.on(f"events/+/{lock_id}")]
            assert attempts == sorted(attempts)


async def test_home_assistant_finds_every_lock(broker: Mosquitto, tmp_path, upstream: Upstream):
    async with Daemon(tmp_path, configuration(broker.port, FRONT, BACK), upstream):
        await upstream.until(lambda: sum("/event/" in each.topic for each in upstream.heard) == 2)
        async with Upstream(broker.port, also=["homeassistant/#"]) as latecomer:
            await latecomer.until(lambda: sum("/event/" in each.topic for each in latecomer.heard) == 2)
            kept = [each for each in latecomer.heard if each.topic.startswith("homeassistant/")]

    assert all(each.retain and each.topic.endswith("/config") for each in kept)
    kinds = [each.topic.split("/")[1] for each in kept]
    expected = {"lock": 2, "binary_sensor": 3, "sensor": 2, "event": 2}
    assert {kind: kinds.count(kind) for kind in set(kinds)} == expected
    lock = next(each.body for each in kept if each.body.get("command_topic") == f"{BASE}/locks/{FRONT}/actions")
    assert lock["state_topic"] == f"{BASE}/locks/{FRONT}/state"
    assert lock["retain"] is False
    assert json.loads(lock["command_template"].replace("{{ value }}", lock["payload_unlock"])) == {"action": "unlock"}
    assert len({each.body["unique_id"] for each in kept}) == len(kept)


async def test_home_assistant_is_told_to_say_an_expiry_where_one_is_required(broker: Mosquitto, tmp_path, upstream):
    strict = configuration(broker.port, FRONT, commands="require_expiry = true\nttl = 25")
    async with Daemon(tmp_path, strict, upstream):
        announced = await upstream.until(
            lambda: [each.body for each in upstream.heard if each.body and "command_template" in each.body]
        )
    assert "timedelta(seconds=25)" in announced[0]["command_template"]
