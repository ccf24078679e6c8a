"""One SQLite file: what is committed stays, writers share a commit, and trouble is told to those whom it concerns."""

import contextlib
import signal
import sqlite3
import stat
import sys
import threading

import anyio
import pytest

from bridge.errors import IllegalStep, StorageUnavailable
from bridge.journal.store import in_thread, inline
from tests.support.stores import names, opened, pragma, put


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


class Gate:
    """A way of running that holds everything up until it is opened, and that may break once."""

    def __init__(self, breaks_at=None):
        self.open = anyio.Event()
        self._calls = 0
        self._breaks_at = breaks_at

    async def __call__(self, work, /):
        self._calls += 1
        broken = self._calls == self._breaks_at
        await self.open.wait()
        if broken:
            raise RuntimeError("can't start new thread")
        return work()


@contextlib.asynccontextmanager
async def waiting_writers(path, *works, gate=None):
    """Writers that wait for one turn while the store is busy; gives the store and what each of them came to."""
    gate = gate or Gate()
    async with opened(path) as store:
        store._run = gate
        ends = {}

        async def writer(place, work):
            try:
                ends[place] = await store.write(work)
            except Exception as error:  # noqa: BLE001 - this is what the test looks at
                ends[place] = error

        async with anyio.create_task_group() as group:
            group.start_soon(store.read, names)
            await anyio.wait_all_tasks_blocked()
            for place, work in enumerate(works):
                group.start_soon(writer, place, work)
                await anyio.wait_all_tasks_blocked()
            gate.open.set()
        yield store, [ends[place] for place in range(len(works))]


class TestDurability:
    @pytest.mark.parametrize(("setting", "value"), [("journal_mode", "wal"), ("synchronous", 2)])
    async def test_a_commit_that_returned_survives_a_power_cut(self, path, setting, value):
        for _ in ("made", "opened again"):
            async with opened(path) as store:
                assert await store.read(pragma(setting)) == value

    async def test_the_file_belongs_to_its_user_alone(self, path):
        async with opened(path) as store:
            await store.write(put("x"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600}

    async def test_what_was_written_is_there_after_the_file_is_opened_again(self, path):
        async with opened(path) as store:
            await store.write(put("x"))
        async with opened(path) as store:
            assert await store.read(names) == {"x"}
            assert store.set_aside is None

    async def test_what_was_written_survives_the_process_being_killed(self, path):
        script = (
            "import os, signal, sys, pathlib, anyio\n"
            "from bridge.journal.store import Store, inline\n"
            "from tests.support.clock import NOON\n"
            "async def main():\n"
            "    store = await Store.open(pathlib.Path(sys.argv[1]), NOON, inline)\n"
            "    await store.write(lambda db: db.execute(\"INSERT INTO fact VALUES ('x', 'x')\"))\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "anyio.run(main)\n"
        )
        ended = await anyio.run_process([sys.executable, "-c", script, str(path)], check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        async with opened(path) as store:
            assert await store.read(names) == {"x"}


class TestSharedCommits:
    async def test_writers_that_wait_share_one_commit(self, path):
        statements = []

        def traced(db):
            db.set_trace_callback(statements.append)

        async with waiting_writers(path, traced, *[put(str(number)) for number in range(9)]) as (store, ends):
            assert await store.read(names) == {str(number) for number in range(9)}
        assert ends == [None, *range(1, 10)]
        assert [statement for statement in statements if statement in {"BEGIN IMMEDIATE", "COMMIT"}] == ["COMMIT"]

    async def test_writers_in_threads_each_get_their_own_result(self, path):
        results = {}
        async with opened(path, in_thread) as store:

            async def writer(name):
                results[name] = await store.write(lambda db: (put(name)(db), name)[1])

            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(writer, str(number))
            assert await store.read(names) == set(results)
        assert all(name == result for name, result in results.items())

    @pytest.mark.parametrize("error", [IllegalStep("no"), ValueError("no")])
    async def test_one_that_raises_is_undone_alone(self, path, error):
        def work(db):
            put("half")(db)
            raise error

        async with waiting_writers(path, put("before"), work, put("after")) as (store, ends):
            assert await store.read(names) == {"before", "after"}
            assert store.writable
        assert ends == [1, error, 2]

    async def test_a_failing_disk_undoes_them_all(self, path):
        def work(db):
            raise sqlite3.OperationalError("disk I/O error")

        async with waiting_writers(path, put("before"), work, put("after")) as (store, ends):
            assert await store.read(names) == set()
            assert not store.writable
            assert [type(end) for end in ends] == [StorageUnavailable] * 3
            assert "disk I/O error" in str(ends[0])
            await store.write(put("later"))
            assert store.writable
            assert await store.read(names) == {"later"}

    async def test_a_commit_that_fails_undoes_them_all(self, path):
        def orphan(db):
            db.execute("INSERT INTO child VALUES (7)")

        async with opened(path) as store:
            store._connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
            store._connection.execute("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
            store._connection.execute("PRAGMA foreign_keys = ON")
            with pytest.raises(StorageUnavailable, match="FOREIGN KEY"):
                await store.write(orphan)
            await store.write(put("x"))
            assert await store.read(lambda db: db.execute("SELECT count(*) FROM child").fetchone()[0]) == 0

    async def test_nobody_is_told_of_success_when_the_one_who_commits_cannot_begin(self, path):
        gate = Gate(breaks_at=2)  # the first call is the read that all wait for
        async with waiting_writers(path, put("first"), put("second"), gate=gate) as (store, ends):
            assert [type(end) for end in ends] == [RuntimeError, StorageUnavailable]
            assert await store.read(names) == set()
            await store.write(put("later"))
            assert await store.read(names) == {"later"}

    async def test_a_cancelled_writer_learns_that_its_work_is_on_disk(self, path):
        gate = Gate()
        async with opened(path) as store:
            store._run = gate
            results = []

            async def writer():
                results.append(await store.write(put("x")))

            async with anyio.create_task_group() as group:
                group.start_soon(writer)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
                gate.open.set()
            assert results == [1]
            assert await store.read(names) == {"x"}


class TestTrouble:
    async def test_a_full_disk_is_told_and_survived(self, path):
        async with opened(path) as store:
            pages = await store.read(pragma("page_count"))
            await store.read(pragma(f"max_page_count = {pages}"))
            with pytest.raises(StorageUnavailable, match="full"):
                await store.write(lambda db: db.execute("INSERT INTO fact VALUES ('x', ?)", ("x" * 100_000,)))
            assert not store.writable
            await store.read(pragma(f"max_page_count = {pages + 1000}"))
            await store.write(put("y"))
            assert store.writable
            assert await store.read(names) == {"y"}

    async def test_a_read_that_fails_is_told(self, path):
        async with opened(path) as store:
            with pytest.raises(StorageUnavailable, match="no such table"):
                await store.read(lambda db: db.execute("SELECT * FROM absent"))

    async def test_a_closed_file_is_neither_read_nor_written(self, path):
        async with opened(path) as store:
            pass
        with pytest.raises(StorageUnavailable, match="closed"):
            await store.read(names)
        with pytest.raises(StorageUnavailable, match="closed"):
            await store.write(put("x"))
        assert not store.writable

    @pytest.mark.parametrize(("run", "here"), [(inline, True), (in_thread, False)])
    async def test_blocking_work_is_done_where_it_was_asked_for(self, path, run, here):
        async with opened(path, run) as store:
            assert (await store.write(lambda _: threading.get_ident()) == threading.get_ident()) is here
