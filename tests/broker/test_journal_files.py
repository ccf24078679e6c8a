"""What the daemon finds in the place of its journal at its start.

A damaged one is set aside and told, and what is older than the new one is refused; one that is sound but cannot be used
is refused with a remedy and left alone.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import Daemon, command_line, configuration
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "front_door"
QUICK = "[locks.virtual]\nmotor_time = 0"
WAITS = {"MessageExpiryInterval": 50}
PAGE = 4096


@pytest.fixture
def anyio_backend():
    return "trio"


def overwrite(start: int, size: int):
    def damage(journal: Path) -> None:
        with journal.open("r+b") as file:
            file.seek(start)
            file.write(b"\xff" * size)

    return damage


def truncate(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size // 2 + 100)


def leave_the_log_alone(journal: Path) -> None:
    """Empty the file, as a power cut on a lying disk does, and leave its write-ahead log."""
    journal.with_name("journal.db-wal").write_bytes(journal.read_bytes())
    journal.write_bytes(b"")


DAMAGES = {
    "header": overwrite(0, 100),
    "page": overwrite(3 * PAGE, PAGE),
    "truncated": truncate,
    "empty beside a log": leave_the_log_alone,
}


def tidy(journal: Path) -> None:
    """Bring everything into the one file."""
    with sqlite3.connect(journal) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_p4_after_a_damaged_journal_what_waited_is_refused_and_the_loss_is_told(
    broker: Mosquitto, tmp_path, damage
):
    async with (
        hosting(tmp_path, LOCK) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream) as daemon,
    ):
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "before"})
        await upstream.first("events/lock.unlocked/+")
        assert await daemon.stop() == 0
        journal = daemon.state_dir / "journal.db"
        tidy(journal)
        damage(journal)
        damaged = b"".join(part.read_bytes() for part in sorted(daemon.state_dir.glob("journal.db*")))
        await upstream.command(LOCK, {"action": "lock", "custom_id": "waited"}, **WAITS)
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "before"}, **WAITS)

        await daemon.serve()
        for custom_id in ("waited", "before"):
            number = 1 if custom_id == "waited" else 2
            refused = await upstream.reply(LOCK, number, custom_id=custom_id)
            assert refused.body["error_code"] == "COMMAND_EXPIRED"
        event = (await upstream.first("events/bridge.journal_reset")).body
        assert event["event_id"]
        assert event["message"]
        aside = sorted(daemon.state_dir.glob("journal.db.corrupt-*"))
        assert b"".join(part.read_bytes() for part in aside) == damaged
        assert str(aside[0]) in daemon.log
        assert len(host.movements) == 1

        await upstream.command(LOCK, {"action": "lock", "custom_id": "new"})
        reply = (await upstream.reply(LOCK, custom_id="new")).body
        assert (await upstream.completed(reply["action_id"]))["changed"] is True
        assert len(upstream.on("events/bridge.journal_reset")) == 1


async def refused(daemon: Daemon) -> str:
    """Start it, which must end at once, without a traceback, as failed; return what it says."""
    ended = await command_line("--config", str(daemon.file), "run")
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


async def test_a_journal_of_a_newer_version_is_refused_with_a_remedy_and_left_alone(broker: Mosquitto, tmp_path):
    async with (
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, lock=QUICK), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        journal = daemon.state_dir / "journal.db"
        tidy(journal)
        with sqlite3.connect(journal) as db:
            db.execute("PRAGMA user_version = 99")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        before = journal.read_bytes()
        said = await refused(daemon)
        assert "newer version" in said
        assert "Install that version again" in said
        assert journal.read_bytes() == before
        assert list(daemon.state_dir.glob("*corrupt*")) == []
        assert upstream.on("events/#") == []


@pytest.fixture
def disk(tmp_path):
    """The state folder on a disk of its own, of one megabyte; mounts it again with other options."""
    folder = tmp_path / "state"
    folder.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")

    mount("size=1m,mode=700")
    yield lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", str(folder)], check=True)


async def test_on_a_disk_that_has_become_read_only_it_does_not_start_and_says_so(broker: Mosquitto, tmp_path, disk):
    """What a worn-out SD card does: the kernel mounts it again, for reading only."""
    async with (
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, lock=QUICK), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        disk("ro")
        try:
            ended = await command_line("--config", str(daemon.file), "run")
        finally:
            disk("rw")
        assert ended.returncode == 2
        assert "read-only" in ended.stderr
        assert "chown" not in ended.stderr
        assert "Traceback" not in ended.stderr
        await daemon.serve()
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "c"})
        await upstream.first("events/lock.unlocked/+")


async def test_on_a_disk_that_is_full_from_the_start_nothing_is_taken_and_all_is_well_once_there_is_space(
    broker: Mosquitto, tmp_path, disk
):
    async with (
        hosting(tmp_path, LOCK) as host,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        ballast = daemon.state_dir / "ballast"
        fill(ballast)
        daemon.launch()
        await upstream.first("status", 2, online=True)
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "c"})
        assert (await upstream.reply(LOCK, custom_id="c")).body["error_code"] == "STORAGE_UNAVAILABLE"
        ballast.unlink()
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "c"})
        reply = (await upstream.reply(LOCK, 2, custom_id="c")).body
        assert (await upstream.completed(reply["action_id"]))["changed"] is True
        assert len(host.movements) == 1


async def test_a_damaged_journal_on_a_full_disk_is_told_by_the_start_that_succeeds(broker: Mosquitto, tmp_path, disk):
    async with (
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, lock=QUICK), upstream) as daemon,
    ):
        assert await daemon.stop() == 0
        overwrite(0, 100)(daemon.state_dir / "journal.db")
        ballast = daemon.state_dir / "ballast"
        fill(ballast)
        assert "space left" in await refused(daemon)
        ballast.unlink()
        await daemon.serve()
        await upstream.first("events/bridge.journal_reset")
        (aside,) = daemon.state_dir.glob("journal.db.corrupt-*")
        assert str(aside) in daemon.log
        assert await daemon.stop() == 0
        await daemon.serve()
        await upstream.command(LOCK, {"action": "unlock"})
        await upstream.first("events/lock.unlocked/+")
        assert len(upstream.on("events/bridge.journal_reset")) == 1


def fill(ballast: Path) -> None:
    """Leave no space on the disk."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            assert os.statvfs(ballast.parent).f_bfree == 0
