"""One SQLite file whose commits are on disk when they return.

Rules:
1. WAL with synchronous=FULL, set on every connection: a commit that returned survives a power cut.
2. Callers that write at the same time share one commit; each gets its own result or error.
3. A file that fails its check is set aside, never repaired and never deleted.
4. The file belongs to one process at a time.

SQLite's calls block, so they run one at a time through `Run`, a worker thread by default.
"""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread

from bridge.errors import StorageUnavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Run(Protocol):
    """Calls a blocking function where it may block."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return what `work` returns."""
        ...


async def in_thread(work: Callable[[], T], /) -> T:
    """Call it in a worker thread, so that a slow disk never stops the loop."""
    return await anyio.to_thread.run_sync(work)


async def inline(work: Callable[[], T], /) -> T:
    """Call it in place: for tests under virtual time, which cannot wait for threads."""
    return work()


@dataclass(slots=True)
class _Ticket(Generic[T]):
    """One caller's share of a commit."""

    work: Work[T]
    done: bool = False
    result: T | None = None
    error: Exception | None = None

    def settle(self) -> T:
        if not self.done:  # whoever was to commit it for all could not even begin
            raise StorageUnavailable("The journal was not written.")
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value] # set when done without an error


class Store:
    """An open file."""

    def __init__(self, connection: sqlite3.Connection, run: Run, set_aside: Path | None) -> None:
        self._connection = connection
        self._run = run
        self._turn = anyio.Lock()
        self._tickets: list[_Ticket[Any]] = []
        self.set_aside = set_aside
        """Where the latest damaged file was put, when this one was begun."""
        self.writable = True
        """Whether the last write reached the disk."""

    @classmethod
    async def open(cls, path: Path, now: datetime, run: Run) -> Store:
        """Open or make the file, setting a damaged one aside and bringing an older one up to date.

        Raises:
            StorageUnavailable: it cannot be used; the message says what to do.
        """

        def work() -> tuple[sqlite3.Connection, Path | None]:
            try:
                return _open_sound(path, now), _latest_aside(path)
            except (sqlite3.Error, OSError) as error:
                raise StorageUnavailable(_advice(path, error)) from error

        connection, set_aside = await run(work)
        return cls(connection, run, set_aside)

    async def close(self) -> None:
        """Close the file."""
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await self._run(self._connection.close)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction that is on disk on return.

        Raises:
            StorageUnavailable: nothing was written.
            Exception: as `work` raised it, such as IllegalStep; nothing of `work` was written.
        """
        ticket = _Ticket(work)
        self._tickets.append(ticket)
        # A commit under way cannot be taken back, so its caller learns of the result even when cancelled.
        with anyio.CancelScope(shield=True):
            async with self._turn:
                if not ticket.done:  # whoever gets the turn commits for all who wait
                    tickets, self._tickets = self._tickets, []
                    await self._run(lambda: _commit(self._connection, tickets))
        self.writable = not isinstance(ticket.error, StorageUnavailable)
        return ticket.settle()

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads.

        Raises:
            StorageUnavailable: it could not be read.
        """

        def guarded() -> T:
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                raise StorageUnavailable(f"The journal cannot be read: {error}.") from error

        async with self._turn:
            return await self._run(guarded)


def _commit(db: sqlite3.Connection, tickets: Sequence[_Ticket[Any]]) -> None:
    """Run all tickets in one transaction; one that raises is undone alone, a failing disk undoes them all."""
    try:
        db.execute("BEGIN IMMEDIATE")
        for ticket in tickets:
            _run_ticket(db, ticket)
        db.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):  # after most failures SQLite has rolled back by itself
            db.execute("ROLLBACK")
        for ticket in tickets:
            ticket.error = StorageUnavailable(f"The journal cannot be written: {error}.")
    for ticket in tickets:
        ticket.done = True


def _run_ticket(db: sqlite3.Connection, ticket: _Ticket[Any]) -> None:
    db.execute("SAVEPOINT ticket")
    try:
        ticket.result = ticket.work(db)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - `settle` raises it where it belongs
        ticket.error = error
        db.execute("ROLLBACK TO ticket")
    db.execute("RELEASE ticket")


def _open_sound(path: Path, now: datetime) -> sqlite3.Connection:
    """Open the file if it passes its check, else set it aside and begin anew."""
    try:
        _check_whole(path)
        return _open(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError | sqlite3.NotSupportedError):
            raise  # the disk or another process is at fault, not the file's content
    put_aside(path, now)
    return _open(path)


def put_aside(path: Path, now: datetime) -> Path:
    """Give the file another name, so that the next start begins anew and tells it; return that name.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = _unused(path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%SZ}"))
    for suffix in ("", "-wal", "-shm"):  # the file first: without its log it would be an older state
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _latest_aside(path: Path) -> Path | None:
    """Return where a damaged file was last put: perhaps at an earlier start, which then failed for want of space."""
    parts = path.parent.glob(f"{path.name}.corrupt-*")
    latest = max(parts, key=lambda part: (part.stat().st_ctime_ns, part.name), default=None)
    return latest and latest.with_name(latest.name.removesuffix("-wal").removesuffix("-shm"))


def _unused(path: Path) -> Path:
    """Return a name that no file has: a clock that starts at the same time at every boot gives the same name twice."""
    names = itertools.chain([path], (path.with_name(f"{path.name}-{number}") for number in itertools.count(2)))
    return next(name for name in names if not name.exists())


def _check_whole(path: Path) -> None:
    """Check that a write-ahead log has its file: SQLite would take an empty file as new and overwrite the log."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size and not (path.exists() and path.stat().st_size):
        raise sqlite3.DatabaseError("there is a write-ahead log, and the file that it belongs to is empty")


def _make(path: Path) -> None:
    """Make the file so that a power cut cannot take its name away."""
    path.touch(mode=0o600, exist_ok=False)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        _make(path)
    db = _connect(path)
    try:
        _configure(db)
        _check(db)
        _migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    db.row_factory = sqlite3.Row
    return db


def _configure(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    mode: str = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    db.execute("PRAGMA synchronous = FULL")
    _check_mode(mode)


def _check_mode(mode: str) -> None:
    if mode != "wal":
        raise sqlite3.NotSupportedError(f"its file system cannot hold a write-ahead log (journal mode {mode})")


def _check(db: sqlite3.Connection) -> None:
    findings = [row[0] for row in db.execute("PRAGMA quick_check")]
    if findings != ["ok"]:
        raise sqlite3.DatabaseError(f"quick_check: {findings[0]}")


def _migrate(db: sqlite3.Connection) -> None:
    """Apply the numbered scripts that the file has not seen, each in one transaction."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    scripts = migrations()
    newest = scripts[-1][0]
    if version > newest:
        raise sqlite3.NotSupportedError(
            f"it was written by a newer version (schema {version}, this one knows {newest})"
        )
    for number, script in scripts:
        if number > version:
            db.executescript(f"BEGIN IMMEDIATE;\n{script.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")


def migrations() -> list[tuple[int, Traversable]]:
    """Return the scripts that bring a file up to date, each with the schema that it makes, in order."""
    return sorted(
        (int(found[0]), entry)
        for entry in resources.files("bridge.journal").joinpath("migrations").iterdir()
        if (found := re.match(r"\d+", entry.name))
    )


def _advice(path: Path, error: Exception) -> str:
    if "locked" in str(error):
        remedy = "Another lock-bridge is running with this state folder; stop it, or give this one its own state_dir."
    elif isinstance(error, sqlite3.NotSupportedError):
        remedy = "Install that version again or use another disk, or move the file away to begin anew."
    else:
        remedy = f"Check that {path.parent} exists, is writable by this user and has space left."
    return f"The journal {path} cannot be used: {error}. {remedy}"
