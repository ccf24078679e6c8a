"""The journal at a change of versions: what is kept, what is put back, and when neither may be."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import anyio
import pytest

from bridge.bell import Bell
from bridge.errors import StorageUnavailable
from bridge.journal import handover, inline, open_journal
from tests.support.clock import FakeClock
from tests.support.samples import make_command

OLDER = handover.known() - 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


async def record(path, number=1):
    journal = await open_journal(path, FakeClock(), Bell(), inline)
    for _ in range(number):
        await journal.accept(make_command(), 1030.0)
    await journal.close()


def mark(path, schema):
    """Have the file say that it is of this schema."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {schema}")


def schema(path):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def names(path):
    return {part.name for part in path.parent.iterdir()}


@pytest.fixture
def older(path):
    """A journal of an older version."""
    anyio.run(record, path, 3)
    mark(path, OLDER)


@pytest.fixture
def migrated(path, older):
    """A journal of an older version that this one has begun to use, with the copy that was kept of it."""
    kept = handover.keep(path)
    mark(path, handover.known())
    return kept


def test_a_journal_that_will_be_migrated_is_kept_and_left_as_it_is(path, older):
    before = path.read_bytes()
    kept = handover.keep(path)
    assert kept == path.with_name(f"journal.db.schema-{OLDER}")
    assert names(path) == {"journal.db", kept.name}
    assert path.read_bytes() == before
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT count(*) FROM attempt").fetchone() == (3,)


async def test_a_journal_that_stays_as_it_is_needs_no_copy(path):
    await record(path)
    assert handover.keep(path) is None
    assert names(path) == {"journal.db"}


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to be looked at" * 40])
def test_where_there_is_no_sound_journal_there_is_nothing_to_hand_over(path, content):
    if content is not None:
        path.write_bytes(content)
    assert handover.keep(path) is None
    assert handover.put_back(path, OLDER) is False
    assert handover.begin_anew(path, OLDER) is None
    assert names(path) == ({"journal.db"} if content is not None else set())


async def test_only_the_latest_copy_is_kept(path, migrated):
    former = path.with_name("journal.db.schema-0")
    former.touch()
    mark(path, OLDER)
    assert handover.keep(path) == migrated
    assert names(path) == {"journal.db", migrated.name}


async def test_a_copy_is_put_back_where_nothing_was_recorded_since(path, migrated):
    assert handover.put_back(path, OLDER) is True
    assert schema(path) == OLDER
    assert names(path) == {"journal.db"}


async def test_a_journal_that_can_be_read_stays(path, migrated):
    assert handover.put_back(path, handover.known()) is False
    assert handover.begin_anew(path, handover.known()) is None
    assert schema(path) == handover.known()


async def test_a_copy_is_not_put_back_where_a_command_would_be_forgotten(path, migrated):
    await record(path)
    before = path.read_bytes()
    with pytest.raises(StorageUnavailable, match=r"recorded 1 attempt\."):
        handover.put_back(path, OLDER)
    assert path.read_bytes() == before
    assert names(path) == {"journal.db", migrated.name}


@pytest.mark.parametrize(
    "change",
    ["UPDATE attempt SET state = 'committed' WHERE seq = 1", "UPDATE attempt SET deadline = 1 WHERE seq = 3"],
)
async def test_a_copy_is_not_put_back_where_an_attempt_went_on(path, migrated, change):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    with pytest.raises(StorageUnavailable, match="recorded 1 attempt"):
        handover.put_back(path, OLDER)


async def test_what_was_tidied_away_since_does_not_keep_a_copy_from_being_put_back(path, migrated):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM attempt WHERE seq = 1")
    assert handover.put_back(path, OLDER) is True


async def test_without_a_copy_nothing_is_put_back(path, migrated):
    migrated.unlink()
    with pytest.raises(StorageUnavailable, match="there is no copy"):
        handover.put_back(path, OLDER)
    assert schema(path) == handover.known()


async def test_a_journal_is_set_aside_so_that_the_next_start_tells_the_loss(path, migrated):
    aside = handover.begin_anew(path, OLDER)
    assert aside is not None
    assert not path.exists()
    journal = await open_journal(path, FakeClock(), Bell(), inline)
    assert journal.set_aside == aside
    assert journal.fresh
    await journal.close()


def test_what_is_in_the_log_alone_is_handed_over_too(path, older):
    script = (
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA journal_mode = WAL')\n"
        "db.execute(\"INSERT INTO fact VALUES ('late', 'yes')\")\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, path], check=True)
    kept = handover.keep(path)
    assert kept is not None
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT value FROM fact WHERE name = 'late'").fetchone() == ("yes",)


def test_a_journal_that_a_bridge_has_open_is_not_touched(path, older):
    script = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('BEGIN EXCLUSIVE')\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StorageUnavailable, match="stop the bridge first"):
            handover.keep(path)
        holder.stdin.close()


async def test_a_folder_without_room_for_a_copy_is_told(path, monkeypatch):
    await record(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StorageUnavailable, match="No space left on device"):
        handover.keep(path)
    assert names(path) == {"journal.db"}
