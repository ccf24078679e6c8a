"""What the daemon needs at its start: what it refuses to run with, and what it only waits for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import pytest

from tests.support.daemon import Daemon, command_line, configuration
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mqtt_client import Upstream

LOCK = "front_door"
LOGIN = "allow_anonymous false\npassword_file {directory}/passwords"

ORDINARY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Makes file modes count for root, too."""


@pytest.fixture
def anyio_backend():
    return "trio"


@dataclass(frozen=True)
class Later:
    """A daemon whose broker is not there yet."""

    broker: Mosquitto
    upstream: Upstream
    daemon: Daemon


@pytest.fixture
def later(tmp_path):
    broker = Mosquitto(tmp_path)
    upstream = Upstream(broker.port)
    daemon = Daemon(tmp_path, configuration(broker.port, LOCK), upstream)
    yield Later(broker, upstream, daemon)
    daemon.kill()


async def refused(tmp_path, config: str, code: int, through: Sequence[str] = ()) -> str:
    """Run the daemon, which must end at once with a code and without a traceback; return what it says."""
    file = tmp_path / "config.toml"
    file.write_text(config)
    ended = await command_line("--config", str(file), "run", through=through)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("typo", "told"),
    [
        ('adress = "54:D2:72:AB:CD:EF"', "locks[0].adress"),
        ('actions = ["unlok"]', "locks[0].actions"),
        ('linger = "ten"', "locks[0].linger"),
    ],
)
async def test_a_typo_is_named_by_its_key_and_line(tmp_path, typo, told):
    config = configuration(1883, LOCK, lock=typo)
    line = next(number for number, text in enumerate(config.splitlines(), 1) if text == typo)
    said = await refused(tmp_path, config, 2)
    assert f"config.toml:{line}: {told}" in said


async def test_what_is_no_toml_is_named_by_its_line(tmp_path):
    assert "config.toml:1" in await refused(tmp_path, "[bridge\nid = 1\n", 2)


async def test_without_a_file_it_says_where_to_get_one(tmp_path):
    ended = await command_line("--config", str(tmp_path / "none.toml"), "run")
    assert ended.returncode == 2
    assert "config.example.toml" in ended.stderr


async def test_a_state_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path):
    (tmp_path / "state").mkdir(mode=0o500)
    said = await refused(tmp_path, configuration(1883, LOCK), 2, through=ORDINARY)
    assert "bridge.state_dir" in said
    assert "chown" in said


async def test_a_state_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "state").write_text("")
    assert "bridge.state_dir" in await refused(tmp_path, configuration(1883, LOCK), 2)


async def test_a_second_bridge_on_the_same_state_folder_ends_and_the_first_goes_on(broker: Mosquitto, tmp_path):
    config = configuration(broker.port, LOCK)
    async with Upstream(broker.port) as upstream, Daemon(tmp_path, config, upstream) as daemon:
        assert "Another lock-bridge" in await refused(tmp_path, config, 1)
        assert daemon.alive
        await upstream.command(LOCK, {"action": "unlock"})
        reply = await upstream.reply(LOCK)
        assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"
        assert upstream.having("status", online=False) == []


async def test_without_a_broker_it_is_ready_and_serves_as_soon_as_there_is_one(tmp_path, later: Later):
    await later.daemon.start()
    await later.daemon.logged("level=warning")
    async with later.broker, later.upstream as upstream:
        await upstream.first("status", online=True)
        await upstream.command(LOCK, {"action": "unlock"})
        reply = await upstream.reply(LOCK)
        assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"
        assert await later.daemon.stop() == 0


async def test_without_a_broker_it_stops_at_once(tmp_path, later: Later):
    await later.daemon.start()
    with anyio.fail_after(6):
        assert await later.daemon.stop() == 0


async def test_a_broker_that_refuses_the_login_is_asked_again_until_it_takes_it(tmp_path):
    secret = "correct horse battery staple"
    broker = Mosquitto(tmp_path, LOGIN)
    make_passwords(broker, "something else")
    (tmp_path / "password").write_text(f"{secret}\n")
    login = 'username = "bridge"\npassword_file = "password"'
    upstream = Upstream(broker.port, login=("bridge", secret))
    daemon = Daemon(tmp_path, configuration(broker.port, LOCK, mqtt=login), upstream)
    try:
        async with broker:
            await daemon.start()
            await daemon.logged("level=warning")
            checked = await command_line("--config", str(daemon.file), "check-config", "--online")
            assert checked.returncode == 1
            assert "refuses" in checked.stderr
            broker.kill()
            make_passwords(broker, secret)
            await broker.start()
            checked = await command_line("--config", str(daemon.file), "check-config", "--online")
            assert checked.returncode == 0, checked.stderr
            async with upstream:
                await upstream.first("status", online=True)
        assert "Not authorized" in daemon.log
        assert secret not in daemon.log + checked.stdout + checked.stderr
    finally:
        daemon.kill()


def make_passwords(broker: Mosquitto, secret: str) -> None:
    file = broker.directory / "passwords"
    file.write_text(f"bridge:{secret}\n")
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True, capture_output=True)


async def test_check_config_online_fails_where_there_is_no_broker(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(configuration(free_port(), LOCK))
    checked = await command_line("--config", str(file), "check-config", "--online")
    assert checked.returncode == 1
    assert "not reached" in checked.stderr
    assert (await command_line("--config", str(file), "check-config")).returncode == 0


async def test_a_configuration_without_locks_runs(broker: Mosquitto, tmp_path):
    async with Upstream(broker.port) as upstream, Daemon(tmp_path, configuration(broker.port), upstream) as daemon:
        await upstream.command("front_door", {"action": "unlock"})
        assert (await upstream.reply("front_door")).body["error_code"] == "LOCK_NOT_FOUND"
        assert await daemon.stop() == 0


async def test_an_attempt_whose_lock_is_configured_no_more_is_ended(broker: Mosquitto, tmp_path):
    config = configuration(broker.port, LOCK)
    async with Upstream(broker.port) as upstream, Daemon(tmp_path, config, upstream) as daemon:
        await daemon.stop()
        await daemon.serve(LOCK_BRIDGE_CRASH_AT="after_puback")
        await upstream.command(LOCK, {"action": "unlock"})
        assert await daemon.ended() == -9
        daemon.file.write_text(configuration(broker.port))
        await daemon.serve()
        event = await upstream.completed((await upstream.reply(LOCK)).body["action_id"])
        assert (event["status"], event["error_code"]) == ("failed", "LOCK_NOT_FOUND")


async def test_a_damaged_journal_is_set_aside_and_told(broker: Mosquitto, tmp_path):
    config = configuration(broker.port, LOCK)
    async with Upstream(broker.port) as upstream, Daemon(tmp_path, config, upstream) as daemon:
        daemon.kill()
        journal = daemon.state_dir / "journal.db"
        for part in daemon.state_dir.glob("journal.db-*"):
            part.unlink()
        journal.write_bytes(b"no database at all " * 500)
        await daemon.serve()
        event = await upstream.first("events/bridge.journal_reset")
        assert event.body["event_id"]
        await upstream.command(LOCK, {"action": "unlock"})
        reply = await upstream.reply(LOCK)
        assert (await upstream.completed(reply.body["action_id"]))["status"] == "success"
        assert len(list(daemon.state_dir.glob("journal.db.corrupt-*"))) == 1
