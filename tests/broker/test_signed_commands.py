"""Signed commands through a real broker: what the examples sign is taken, what the broker could make of it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest

from bridge.keys.signing_keys import SigningKeys
from tests.support import signed
from tests.support.daemon import Daemon, command_line, configuration
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import BASE, Upstream

LOCK, OTHER = "front_door", "back_door"
STRICT = "require_signature = true\n[locks.virtual]\nmotor_time = 0"
EXAMPLES = Path(__file__).parents[2] / "examples" / "signing"
BY = {"shell": [str(EXAMPLES / "sign.sh")], "Python": [sys.executable, str(EXAMPLES / "sign.py")]}


@pytest.fixture
def anyio_backend():
    return "trio"


async def run(*command, **options):
    done = await anyio.to_thread.run_sync(
        partial(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False, **options)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("version", "option"), [("5", "5"), ("3.1.1", "311")])
async def test_what_the_examples_sign_is_taken_and_nothing_else(tmp_path, version, option):
    """A key is made by the command line while the bridge runs; what is signed with it opens the door."""
    file = tmp_path / "panel.pem"
    async with (
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port, version=version) as upstream,
        Daemon(
            tmp_path,
            configuration(
                broker.port,
                LOCK,
                OTHER,
                lock=STRICT,
                bridge='trust_clock = "always"',
                mqtt=f'protocol = "{version}"',
            ),
            upstream,
        ) as daemon,
    ):
        config = str(daemon.file)
        made = await command_line("--config", config, "signing-key", "create", "panel", "--out", str(file))
        key = made.stdout.strip()
        for number, (name, command) in enumerate(BY.items(), 1):
            action = ("unlock", "lock")[number % 2]
            payload = await run(*command, str(file), key, "g1", LOCK, action)
            publish = ["mosquitto_pub", "-V", option, "-p", str(broker.port), "-q", "1", "-s"]
            await run(*publish, "-t", f"{BASE}/locks/{LOCK}/actions", input=payload)
            reply = await upstream.reply(LOCK, custom_id=json.loads(payload)["custom_id"])
            assert reply.body.get("status") == "pending", f"{name}: {reply.body}"
            assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"

            # A broker can send again what it has, and can make something else of it.
            recorded = json.loads(payload)
            await upstream.command(LOCK, recorded)
            again = await upstream.reply(LOCK, 2, custom_id=recorded["custom_id"])
            assert again.body["replayed"] is True
            await upstream.command(OTHER, recorded)
            refused = await upstream.reply(OTHER, custom_id=recorded["custom_id"])
            assert refused.body["error_code"] == "SIGNATURE_INVALID"
            forged = {name: value for name, value in recorded.items() if name != "signature"} | {"custom_id": "forged"}
            await upstream.command(LOCK, forged)
            refused = await upstream.reply(LOCK, number, custom_id="forged")
            assert refused.body["error_code"] == "SIGNATURE_REQUIRED"
        told = {event.body["error_code"] for event in upstream.on("events/bridge.command_refused")}
        assert told == {"SIGNATURE_INVALID", "SIGNATURE_REQUIRED"}
        assert len(upstream.on(f"events/lock.action_completed/{LOCK}")) == 2
        assert upstream.on(f"events/lock.action_completed/{OTHER}") == []


async def test_a_client_without_ed25519_signs_with_a_secret_that_it_shares(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    made = SigningKeys(state).make("sensor", "hmac-sha256", [LOCK])
    async with (
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port) as upstream,
        Daemon(
            tmp_path, configuration(broker.port, LOCK, lock=STRICT, bridge='trust_clock = "always"'), upstream
        ) as daemon,
    ):
        await upstream.command(LOCK, signed.command(made, LOCK))
        reply = await upstream.reply(LOCK, custom_id=signed.CUSTOM_ID)
        assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"
        SigningKeys(state).revoke(made.kept.id)
        await upstream.command(LOCK, signed.command(made, LOCK, custom_id="later"))
        refused = await upstream.reply(LOCK, custom_id="later")
        assert refused.body["error_code"] == "SIGNATURE_INVALID"
        assert made.secret.strip() not in daemon.log
