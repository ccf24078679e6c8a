"""What other users and programs of the machine can see of the bridge's processes: no secret is in it."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest
import typer.main

from bridge.cli.app import app
from bridge.keys.signing_keys import SigningKeys
from tests.support import signed
from tests.support.daemon import Daemon, command_line, configuration
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mqtt_client import Upstream
from tests.support.receiver import HttpReceiver

PASSWORD = "correct-horse-battery"
WEBHOOK = "whsec_dGhpcyBpcyB3aGF0IGl0IGlzIHNpZ25lZCB3aXRo"
LOCK = "front_door"
STRICT = "require_signature = true\n[locks.virtual]\nmotor_time = 0"
SECRETIVE = {"pin", "password", "passphrase", "secret", "private", "token"}
"""Words in the names of options and arguments that could carry a secret."""


@pytest.fixture
def anyio_backend():
    return "trio"


def seen_of(pid):
    """Return what /proc tells of a process and those that it started, threads included."""
    found = {}
    for folder in [Path(f"/proc/{pid}"), *Path("/proc").glob("[0-9]*")]:
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            if folder.name == str(pid) or status[1] == str(pid):
                names = [
                    "cmdline",
                    "environ",
                    "comm",
                    *(f"task/{task.name}/comm" for task in (folder / "task").iterdir()),
                ]
                found |= {f"{folder}/{name}": (folder / name).read_bytes() for name in names}
        except FileNotFoundError:  # it has ended
            continue
    return found


async def test_no_secret_is_in_the_process_list_the_environment_or_the_log(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    made = SigningKeys(state).make("sensor", "hmac-sha256")
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "webhook_secret").write_text(WEBHOOK)
    mqtt = 'username = "g1"\npassword_file = "password"'
    async with (
        HttpReceiver.listening() as receiver,
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port) as upstream,
        Daemon(
            tmp_path,
            configuration(
                broker.port,
                LOCK,
                lock=STRICT,
                bridge='trust_clock = "always"',
                mqtt=mqtt,
                http=f'listen = "127.0.0.1:{free_port()}"',
                webhooks=f'url = "{receiver.url}"\nsecret_file = "webhook_secret"',
            ),
            upstream,
        ) as daemon,
    ):
        config = ("--config", str(daemon.file))
        api_key = json.loads((await command_line(*config, "api-key", "create", "--json")).stdout)["key"]
        await upstream.command(LOCK, signed.command(made, LOCK))
        reply = await upstream.reply(LOCK, custom_id=signed.CUSTOM_ID)
        await upstream.completed(reply.body["action_id"])
        await upstream.command(LOCK, signed.command(made, LOCK, bridge_id="g2", custom_id="forged"))
        await upstream.reply(LOCK, custom_id="forged")
        await eventually(lambda: receiver.posts)
        pid, seen = daemon.pid, seen_of(daemon.pid)
        log = daemon.log.encode()
    assert b"lock-bridge" in seen[f"/proc/{pid}/cmdline"]
    assert b"PATH=" in seen[f"/proc/{pid}/environ"]
    assert b"command refused" in log
    secrets = [PASSWORD, WEBHOOK.removeprefix("whsec_"), made.secret.strip(), api_key.rpartition("_")[2]]
    for place, content in {**seen, "log": log}.items():
        assert not [secret for secret in secrets if secret.encode() in content], place


async def test_the_bundle_for_a_bug_report_tells_of_signing_and_holds_no_key(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(configuration(1, LOCK, lock=STRICT))
    (tmp_path / "state").mkdir(mode=0o700)
    made = SigningKeys(tmp_path / "state").make("sensor", "hmac-sha256")
    bundle = tmp_path / "bundle.tar.gz"
    ended = await command_line("--config", str(file), "support-bundle", str(bundle), RUNTIME_DIRECTORY=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    with tarfile.open(bundle) as archive:
        told = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    assert any(b"require_signature" in content for content in told.values())
    for name, content in told.items():
        assert made.secret.strip().encode() not in content, name


def test_no_command_takes_a_secret_as_an_argument():
    """What is asked for is a file or is typed; a keypad's code is for virtual locks alone."""
    taken, files = [], set()
    waiting = [("lock-bridge", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        waiting += [(f"{name} {each}", below) for each, below in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            says = {word for option in (parameter.name, *parameter.opts) for word in re.split(r"\W|_", option)}
            if says & SECRETIVE and "file" in says:
                files.add(parameter.name)
            elif says & SECRETIVE:
                taken.append((name, parameter.name))
    assert files >= {"pin_file", "passphrase_file"}
    assert taken == []
