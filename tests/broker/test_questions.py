"""Questions over a real broker, to a daemon of its own."""

from __future__ import annotations

import json
import shutil
import subprocess

import anyio
import pytest

from tests.support.daemon import Daemon, configuration
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import BASE, Upstream

FRONT, BACK = "lock_491829", "back-tür.2"
QUICK = "[locks.virtual]\nmotor_time = 0.2"
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def anyio_backend():
    return "trio"


async def ask(upstream: Upstream, method: str, **body):
    """Ask, and return the answer on the method's reply topic."""
    topic = f"rpc/{method}/reply"
    number = len(upstream.on(topic)) + 1
    await upstream.publish(f"{BASE}/rpc/{method}", json.dumps(body).encode())
    return (await upstream.first(topic, number)).body


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_came_of_a_command_can_be_asked_for_until_long_after(broker: Mosquitto, tmp_path, version):
    config = configuration(broker.port, FRONT, BACK, lock=QUICK, mqtt=f'protocol = "{version}"')
    async with Upstream(broker.port, version=version) as upstream, Daemon(tmp_path, config, upstream) as daemon:
        await upstream.first(f"locks/{FRONT}/state", lock_state="locked")
        await upstream.command(FRONT, {"action": "unlock"})
        completed = await upstream.first(f"events/lock.action_completed/{FRONT}")
        moved = await upstream.first(f"events/lock.unlocked/{FRONT}")
        known = completed.body["action_attempt_id"]
        attempt = {
            "action_attempt_id": known,
            "action_type": "UNLOCK_DOOR",
            "status": "success",
            "result": {"was_confirmed_by_device": True},
            "error": None,
        }
        assert await ask(upstream, "action_attempts/get", action_attempt_id=known) == {
            "action_attempt": attempt,
            "ok": True,
        }

        device_id = moved.body["device_id"]
        for name in ({"device_id": FRONT}, {"device_id": device_id}, {"name": FRONT}):
            found = await ask(upstream, "locks/get", **name)
            assert found["lock"] == found["device"]
            assert found["device"]["device_id"] == device_id
            assert found["device"]["properties"]["locked"] is False
        listed = await ask(upstream, "locks/list")
        assert [lock["custom_metadata"]["lock_id"] for lock in listed["locks"]] == [FRONT, BACK]
        assert listed["locks"] == listed["devices"]

        assert await daemon.stop() == 0
        await daemon.serve()
        assert (await ask(upstream, "action_attempts/list", device_id=device_id)) == {
            "action_attempts": [attempt],
            "pagination": {"next_page_cursor": None, "has_next_page": False, "next_page_url": None},
            "ok": True,
        }
        events = (await ask(upstream, "events/list", since=LONG_AGO, device_id=FRONT))["events"]
        assert [event["event_type"] for event in events] == ["action_attempt.unlock_door.succeeded", "lock.unlocked"]
        assert events[1] == moved.body


async def test_a_question_is_refused_with_its_reason(broker: Mosquitto, tmp_path):
    config = configuration(broker.port, FRONT)
    async with Upstream(broker.port) as upstream, Daemon(tmp_path, config, upstream):
        error = (await ask(upstream, "locks/get", device_id="cellar"))["error"]
        assert error["type"] == "device_not_found"
        error = (await ask(upstream, "action_attempts/list", limit=0))["error"]
        assert (error["type"], set(error["validation_errors"])) == ("invalid_input", {"_errors", "limit"})
        await upstream.publish(f"{BASE}/rpc/locks/list", b"{}", retain=True)
        assert (await upstream.first("rpc/locks/list/reply")).body["error"]["type"] == "retained_command"
        await upstream.publish(f"{BASE}/rpc/locks/list", b"", retain=True)


async def test_mosquitto_rr_gets_its_answer(broker: Mosquitto, tmp_path):
    config = configuration(broker.port, FRONT)
    async with Upstream(broker.port) as upstream, Daemon(tmp_path, config, upstream):
        where = ["-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-q", "1", "-W", "10"]
        topics = ["-t", f"{BASE}/rpc/locks/get", "-e", "lockbridge/answers/me/g1"]
        command = [shutil.which("mosquitto_rr"), *where, *topics, "-m", json.dumps({"device_id": FRONT})]
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, check=True, timeout=20, capture_output=True)
        )
        assert json.loads(done.stdout)["device"]["display_name"] == FRONT


async def test_no_answer_is_longer_than_64_kib_and_commands_pass_a_flood_of_questions(broker: Mosquitto, tmp_path):
    locks = [f"door_{number:02}" for number in range(60)]
    config = configuration(broker.port, *locks, lock=QUICK, homeassistant="discovery = false")
    async with Upstream(broker.port) as upstream, Daemon(tmp_path, config, upstream):
        found, cursor = [], {}
        while True:
            page = await ask(upstream, "locks/list", **cursor)
            found += [lock["display_name"] for lock in page["locks"]]
            if "pagination" not in page:
                break
            cursor = {"page_cursor": page["pagination"]["next_page_cursor"]}
        assert found == locks
        answers = upstream.on("rpc/locks/list/reply")
        assert len(answers) > 1
        assert max(len(answer.payload) for answer in answers) <= 65536

        for _ in range(100):
            await upstream.publish(f"{BASE}/rpc/locks/list", b"{}", wait=False)
        await upstream.command(locks[0], {"action": "unlock"})
        reply = await upstream.reply(locks[0])
        assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"
        told = await upstream.until(
            lambda: every if len(every := upstream.on("rpc/locks/list/reply")) == len(answers) + 100 else None
        )
        assert {answer.body.get("error", {}).get("type") for answer in told} <= {None, "rate_limited"}
