"""A look at the journal from outside, while no bridge runs."""

import subprocess
import sys

import pytest

from bridge.bell import Bell
from bridge.journal import inline, inspection, open_journal
from bridge.journal.inspection import inspect
from tests.support.clock import FakeClock
from tests.support.samples import make_command


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


async def fill(path, number=3):
    journal = await open_journal(path, FakeClock(), Bell(), inline)
    for _ in range(number):
        await journal.accept(make_command(), 1030.0)
    await journal.close()


def files(path):
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


def test_where_there_is_none_nothing_is_made(path):
    seen = inspect(path)
    assert (seen.exists, seen.damage, files(path)) == (False, None, {})


def test_an_empty_one_is_as_good_as_none(path):
    path.touch()
    assert not inspect(path).exists


async def test_a_whole_one_tells_what_is_still_to_do_and_is_left_as_it_was(path):
    await fill(path)
    before = files(path)
    seen = inspect(path, attempts=2)
    assert (seen.exists, seen.damage, seen.open_attempts, seen.unsent_events) == (True, None, 3, 0)
    assert [attempt.seq for attempt in seen.attempts] == [3, 2]
    assert files(path) == before


async def test_what_a_killed_bridge_left_in_its_log_is_seen(path):
    script = (
        "import anyio, os, sys\n"
        "from pathlib import Path\n"
        "from bridge.bell import Bell\n"
        "from bridge.journal import inline, open_journal\n"
        "from tests.support.clock import FakeClock\n"
        "from tests.support.samples import make_command\n"
        "async def main():\n"
        "    journal = await open_journal(Path(sys.argv[1]), FakeClock(), Bell(), inline)\n"
        "    await journal.accept(make_command(), 1030.0)\n"
        "    os._exit(9)\n"
        "anyio.run(main)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)  # noqa: ASYNC221 - nothing else goes on
    before = files(path)
    assert "journal.db-wal" in before
    assert inspect(path).open_attempts == 1
    assert files(path) == before


async def test_one_that_a_bridge_has_open_is_not_looked_into(path):
    await fill(path)
    holder = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA locking_mode = EXCLUSIVE')\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - one line is read from it, at once
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        seen = inspect(path, attempts=10)
        other.stdin.close()
    assert (seen.in_use, seen.damage, list(seen.attempts)) == (True, None, [])


@pytest.mark.parametrize("content", [b"nonsense" * 1000, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_damaged_one_is_said_to_be(path, content):
    path.write_bytes(content)
    assert inspect(path, attempts=5).damage


async def test_those_that_were_set_aside_are_named(path):
    (path.parent / "journal.db.corrupt-20260101T000000Z").touch()
    assert inspect(path).set_aside == ["journal.db.corrupt-20260101T000000Z"]


async def test_one_that_is_too_large_is_not_copied(path, monkeypatch):
    await fill(path)
    monkeypatch.setattr(inspection, "LARGEST", 10)
    assert "too large" in inspect(path).damage
