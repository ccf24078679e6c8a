"""Opening the file: who else uses it is refused, an older one is brought up to date, a damaged one is kept."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bridge.errors import StorageUnavailable
from bridge.journal import store as store_module
from bridge.journal.store import Store, inline
from tests.support.clock import NOON
from tests.support.stores import names, opened, pragma, put

NOBODY = 65534


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


class TestOpening:
    async def test_a_file_that_another_process_uses_is_refused_with_the_remedy(self, path):
        async with opened(path) as store:
            await store.write(put("x"))
        script = (
            "import sqlite3, sys\n"
            "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "db.execute('PRAGMA locking_mode = EXCLUSIVE')\n"
            "db.execute('UPDATE fact SET value = 1')\n"
            "print('held', flush=True)\n"
            "sys.stdin.read()\n"
        )
        with subprocess.Popen(  # noqa: ASYNC220 - one line is read from it, at once
            [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(StorageUnavailable, match="Another lock-bridge is running with this state folder"):
                await Store.open(path, NOON, inline)
            other.stdin.close()
        assert [file.name for file in path.parent.glob("*corrupt*")] == []
        async with opened(path) as store:
            assert await store.read(names) == {"x"}

    async def test_a_second_bridge_in_the_same_folder_is_refused(self, path):
        async with opened(path):
            with pytest.raises(StorageUnavailable, match="locked"):
                await Store.open(path, NOON, inline)

    async def test_a_folder_that_is_missing_is_told(self, tmp_path):
        with pytest.raises(StorageUnavailable, match=r"Check that .*/nowhere exists"):
            await Store.open(tmp_path / "nowhere" / "journal.db", NOON, inline)

    async def test_a_folder_in_its_place_is_told(self, path):
        path.mkdir()
        with pytest.raises(StorageUnavailable, match="unable to open database file"):
            await Store.open(path, NOON, inline)

    async def test_a_folder_that_cannot_be_written_is_told(self, folder):
        with sealed(folder), pytest.raises(StorageUnavailable, match="is writable by this user"):
            await Store.open(folder / "journal.db", NOON, inline)
        assert list(folder.iterdir()) == []

    async def test_a_file_that_cannot_be_written_is_told_and_left_alone(self, folder):
        (folder / "journal.db").write_bytes(b"")
        (folder / "journal.db").chmod(0o444)
        with sealed(folder), pytest.raises(StorageUnavailable, match="is writable by this user"):
            await Store.open(folder / "journal.db", NOON, inline)
        assert [file.name for file in folder.iterdir()] == ["journal.db"]


@pytest.fixture
def folder():
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextlib.contextmanager
def sealed(folder):
    """The folder may be looked into and not written to; root may write everywhere, so it is somebody else here."""
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """The folder of migrations, to be filled by the test."""
    folder = tmp_path / "package"
    (folder / "migrations").mkdir(parents=True)
    monkeypatch.setattr(store_module.resources, "files", lambda _package: folder)
    return folder / "migrations"


class TestMigrations:
    async def test_a_new_file_has_the_newest_schema(self, path):
        async with opened(path) as store:
            assert await store.read(pragma("user_version")) == 2
            tables = await store.read(
                lambda db: {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            )
            assert {"attempt", "event", "fact"} <= tables

    async def test_scripts_are_applied_in_their_order_and_each_once(self, path, scripts):
        (scripts / "README").write_text("not a script")
        (scripts / "0001_first.sql").write_text("CREATE TABLE fact (name, value);")
        async with opened(path) as store:
            await store.write(put("x"))
        (scripts / "0010_third.sql").write_text("UPDATE fact SET name = name || '-third';")
        (scripts / "0002_second.sql").write_text("UPDATE fact SET name = name || '-second';")
        for _ in ("brought up to date", "opened again"):
            async with opened(path) as store:
                assert await store.read(names) == {"x-second-third"}
                assert await store.read(pragma("user_version")) == 10

    async def test_a_script_that_fails_is_undone_as_a_whole(self, path, scripts):
        (scripts / "0001_first.sql").write_text("CREATE TABLE fact (name, value);")
        async with opened(path) as store:
            await store.write(put("x"))
        broken = scripts / "0002_second.sql"
        broken.write_text("DELETE FROM fact;\nINSERT INTO absent VALUES (1);")
        with pytest.raises(StorageUnavailable, match="no such table: absent"):
            await Store.open(path, NOON, inline)
        broken.unlink()
        async with opened(path) as store:
            assert await store.read(names) == {"x"}
            assert await store.read(pragma("user_version")) == 1

    async def test_a_newer_file_is_refused_with_the_remedy_and_left_alone(self, path):
        async with opened(path) as store:
            store._connection.execute("PRAGMA user_version = 99")
        before = path.read_bytes()
        with pytest.raises(StorageUnavailable, match=r"schema 99, this one knows 2.*Install that version again"):
            await Store.open(path, NOON, inline)
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


def overwrite(start, size):
    def damage(path):
        with path.open("r+b") as file:
            file.seek(start)
            file.write(b"\xff" * size)

    return damage


def cut(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 + 100)


def refuse(_db):
    raise sqlite3.OperationalError("database or disk is full")


DAMAGES = {
    "header": overwrite(0, 100),
    "first page": overwrite(16, 4000),
    "page": overwrite(5 * 4096, 4096),
    "cut": cut,
}


class TestDamage:
    @pytest.fixture
    async def filled(self, path):
        async with opened(path) as store:
            await store.write(lambda db: [put(f"{number:0500}")(db) for number in range(200)])
        return path

    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
    async def test_a_damaged_file_is_set_aside_as_it_is_and_a_new_one_begun(self, filled, damage):
        damage(filled)
        before = filled.read_bytes()
        async with opened(filled) as store:
            assert store.set_aside == filled.with_name("journal.db.corrupt-20260131T120000Z")
            assert store.set_aside.read_bytes() == before
            assert await store.read(names) == set()
            await store.write(put("x"))
        async with opened(filled) as again:
            assert again.set_aside == store.set_aside
            assert await again.read(names) == {"x"}

    async def test_a_start_that_fails_after_it_leaves_the_damage_to_be_known_by_the_next(self, filled, monkeypatch):
        DAMAGES["header"](filled)
        with monkeypatch.context() as failing:
            failing.setattr(store_module, "_migrate", refuse)
            with pytest.raises(StorageUnavailable, match="space left"):
                await Store.open(filled, NOON, inline)
        async with opened(filled) as store:
            assert store.set_aside == filled.with_name("journal.db.corrupt-20260131T120000Z")
            assert await store.read(names) == set()

    async def test_what_was_not_checkpointed_is_set_aside_with_it(self, filled, tmp_path):
        copy = tmp_path / "copy.db"
        async with opened(filled) as store:
            await store.write(put("written at last"))
            for suffix in ("", "-wal"):
                part = filled.with_name(filled.name + suffix).read_bytes()
                copy.with_name(copy.name + suffix).write_bytes(part)
        assert b"written at last" not in copy.read_bytes()
        DAMAGES["page"](copy)
        async with opened(copy) as store:
            aside = store.set_aside
            assert await store.read(names) == set()
        assert b"written at last" in b"".join(file.read_bytes() for file in tmp_path.glob(f"{aside.name}*"))

    async def test_what_lies_beside_a_damaged_file_does_not_get_into_the_new_one(self, path):
        path.write_bytes(b"garbage " * 1000)
        path.with_name("journal.db-shm").write_bytes(b"old index")
        async with opened(path) as store:
            beside = store.set_aside.with_name(store.set_aside.name + "-shm")
            assert beside.read_bytes() == b"old index"
            assert not path.with_name("journal.db-shm").exists()

    async def test_a_second_damaged_file_does_not_replace_the_first(self, filled):
        asides = []
        for content in (b"first " * 1000, b"second " * 1000, b"third " * 1000):
            filled.write_bytes(content)
            async with opened(filled) as store:
                asides.append((store.set_aside, content))
        assert len({aside for aside, _ in asides}) == 3
        for aside, content in asides:
            assert aside.read_bytes() == content

    @pytest.mark.parametrize("emptied", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["missing", "empty"])
    async def test_a_log_whose_file_is_gone_is_kept(self, path, emptied):
        async with opened(path) as store:
            await store.write(put("x"))
            log = path.with_name("journal.db-wal").read_bytes()
        emptied(path)
        path.with_name("journal.db-wal").write_bytes(log)
        async with opened(path) as store:
            assert await store.read(names) == set()
            assert store.set_aside is not None
            assert store.set_aside.with_name(f"{store.set_aside.name}-wal").read_bytes() == log
