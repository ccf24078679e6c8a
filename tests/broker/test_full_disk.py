"""A disk without space: nothing is taken that cannot be recorded, and what was taken comes to its end afterwards."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager

import pytest

from drivers.base import LockState
from tests.support.daemon import Daemon, command_line, configuration
from tests.support.eventually import eventually
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

LOCK = "front_door"


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture
def small_disk(tmp_path):
    """The state folder on a disk of its own, of one megabyte."""
    folder = tmp_path / "state"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def filled(folder):
    """Leave no space on the disk for the length of the context."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            assert os.statvfs(folder).f_bfree == 0
    yield
    ballast.unlink()


async def test_a_full_disk_refuses_commands_until_there_is_space_again(broker: Mosquitto, tmp_path, small_disk):
    async with (
        hosting(tmp_path, LOCK) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream) as daemon,
    ):
        with filled(small_disk):
            for number in range(3):
                await upstream.command(LOCK, {"action": "unlock", "custom_id": str(number)})
                reply = await upstream.reply(LOCK, custom_id=str(number))
                assert reply.body["error_code"] == "STORAGE_UNAVAILABLE"
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "0"})
        reply = await upstream.reply(LOCK, 2, custom_id="0")
        assert "replayed" not in reply.body
        assert (await upstream.completed(reply.body["action_id"]))["changed"] is True
        assert daemon.alive
        assert len(host.movements) == 1
        assert len(upstream.on("events/lock.action_completed/+")) == 1


async def test_p5_an_outcome_waits_for_space_and_is_told_once(broker: Mosquitto, tmp_path, small_disk):
    async with (
        hosting(tmp_path, LOCK, motor_time=0.5) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream),
    ):
        for action in ("unlock", "lock"):
            await upstream.command(LOCK, {"action": action})
        await upstream.first(f"locks/{LOCK}/state", lock_state="unlocking")
        second = (await upstream.reply(LOCK, action="lock")).body["action_id"]
        with filled(small_disk):
            await eventually(lambda: host.locks[LOCK].state is LockState.UNLOCKED)
            await upstream.command(LOCK, {"action": "unlock", "custom_id": "late"})
            assert (await upstream.reply(LOCK, custom_id="late")).body["error_code"] == "STORAGE_UNAVAILABLE"
            assert upstream.on("events/lock.action_completed/+") == []

        assert (await upstream.completed(second))["status"] == "success"
        await upstream.first("events/action_attempt.lock_door.succeeded/+")
        told = [event.body["status"] for event in upstream.on("events/lock.action_completed/+")]
        assert told == ["success", "success"]
        assert [movement.action for movement in host.movements] == ["unlock", "lock"]


async def test_on_a_full_disk_it_does_not_start_and_says_why(broker: Mosquitto, tmp_path, small_disk):
    (tmp_path / "config.toml").write_text(configuration(broker.port, LOCK))
    with filled(small_disk):
        ended = await command_line("--config", str(tmp_path / "config.toml"), "run")
    assert ended.returncode == 1
    assert "space left" in ended.stderr
    assert "Traceback" not in ended.stderr
