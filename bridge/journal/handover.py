"""The journal at a change of versions: kept before a newer one migrates it, and put back where that one is given up.

Rules:
1. A copy is put back only if nothing was recorded since it was made. An older record would forget commands, and a
   command that is forgotten could move the bolt a second time.
2. A record that cannot be read by the version that comes is set aside like a damaged one, if that is asked for: the
   bridge then refuses what may have been done before, and tells that it has begun anew.
3. No bridge runs meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.errors import StorageUnavailable
from bridge.journal.inspection import in_use
from bridge.journal.store import migrations, put_aside

_RECORDED = {"attempt": frozenset[str](), "event": frozenset({"sent", "posted"})}
"""The tables by which a record is judged, and what of them may differ: an event that is told again does no harm."""


def known() -> int:
    """Return the newest schema that this version reads."""
    return migrations()[-1][0]


def keep(path: Path) -> Path | None:
    """Keep a copy of a journal that this version will migrate; return where, or None if it will not.

    Raises:
        StorageUnavailable: a bridge has it open, or it cannot be copied.
    """
    with _copied(path) as (copy, schema):
        if not 0 < schema < known():
            return None
        for former in _copies(path).values():
            former.unlink()
        kept = path.with_name(f"{path.name}.schema-{schema}")
        _install(copy, kept)
        return kept


def put_back(path: Path, readable: int) -> bool:
    """Put the copy of a journal back, if it is of a newer schema than `readable`; return whether that was so.

    Raises:
        StorageUnavailable: there is no copy, or something was recorded since, so that the journal was left as it is.
    """
    with _copied(path) as (copy, schema):
        if schema <= readable:
            return False
        fitting = [(number, kept) for number, kept in _copies(path).items() if number <= readable]
        if not fitting:
            raise StorageUnavailable(f"The journal has schema {schema}; of schema {readable} there is no copy.")
        kept = max(fitting)[1]
        if news := _recorded_since(copy, kept):
            told = " and ".join(f"{count} {table}{'s' * (count != 1)}" for table, count in news.items())
            raise StorageUnavailable(f"The journal has schema {schema}, and since then it has recorded {told}.")
        with closing(sqlite3.connect(path)) as db:  # a log that is left over would be taken for the copy's
            db.execute("PRAGMA journal_mode = DELETE")
        _install(kept, path)
        return True


def begin_anew(path: Path, readable: int) -> Path | None:
    """Set the journal aside, if it is of a newer schema than `readable`; return where, or None if it is not.

    Raises:
        StorageUnavailable: a bridge has it open, or it cannot be renamed.
    """
    with _copied(path) as (_, schema):
        return put_aside(path, datetime.now(UTC)) if schema > readable else None


@contextmanager
def _copied(path: Path) -> Generator[tuple[Path, int]]:
    """Lend a copy of the journal as one file, with its schema: 0 where there is none, or a damaged one."""
    try:
        if not (path.exists() and path.stat().st_size):
            yield path, 0
            return
        if in_use(path):
            raise StorageUnavailable(f"The journal {path} is in use; stop the bridge first.")
        with TemporaryDirectory(prefix=".handover-", dir=path.parent) as folder:
            copy = Path(folder) / path.name
            for suffix in ("", "-wal"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    shutil.copyfile(part, copy.with_name(part.name))
            yield copy, _settle(copy)
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageUnavailable(f"The journal {path} cannot be handed over: {error}.") from error


def _settle(copy: Path) -> int:
    """Take the log of a copy into its file, and return its schema."""
    try:
        with closing(sqlite3.connect(copy)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
            schema: int = db.execute("PRAGMA user_version").fetchone()[0]
            return schema
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return 0  # damaged: every version sets it aside by itself


def _copies(path: Path) -> dict[int, Path]:
    begin = f"{path.name}.schema-"
    found = ((kept.name.removeprefix(begin), kept) for kept in path.parent.glob(f"{begin}*"))
    return {int(number): kept for number, kept in found if number.isdecimal()}


def _recorded_since(newer: Path, older: Path) -> dict[str, int]:
    """Count by table the rows of the newer record that the older one does not have, by the columns that it knows."""
    with closing(sqlite3.connect(newer)) as db:
        db.execute("ATTACH ? AS older", (str(older),))
        counts: dict[str, int] = {}
        for table, indifferent in _RECORDED.items():
            columns = [row[1] for row in db.execute(f"PRAGMA older.table_info({table})") if row[1] not in indifferent]
            listed = ", ".join(columns)
            news = f"SELECT {listed} FROM main.{table} EXCEPT SELECT {listed} FROM older.{table}"  # noqa: S608 - our own
            counts[table] = len(db.execute(news).fetchall())
        return {table: count for table, count in counts.items() if count}


def _install(file: Path, place: Path) -> None:
    """Have a file replace another, durably."""
    file.chmod(0o600)
    for name, flags in ((file, os.O_RDONLY), (file.parent, os.O_RDONLY | os.O_DIRECTORY)):
        _flush(name, flags)
    file.replace(place)
    _flush(place.parent, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
