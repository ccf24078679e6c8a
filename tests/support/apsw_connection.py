"""SQLite through apsw with the face of `sqlite3`, as far as the journal uses it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path

_FILE_AT_FAULT = (apsw.CorruptError, apsw.NotADBError)


@dataclass(frozen=True, slots=True)
class Row:
    """A row whose columns have names."""

    names: Sequence[str]
    values: Sequence[Any]

    def __getitem__(self, key: int | str) -> Any:
        return self.values[self.names.index(key) if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)


class Cursor:
    """What a statement came to."""

    def __init__(self, rows: list[Row], rowcount: int, lastrowid: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def fetchone(self) -> Row | None:
        return next(self._rows, None)


class Connection:
    """A connection through a virtual file system.

    Args:
        path: the database.
        vfs: the file system's name.
        synchronous: what is set where `FULL` is asked for.
    """

    def __init__(self, path: Path, vfs: str, synchronous: str = "FULL") -> None:
        self._synchronous = synchronous
        with _errors():
            self._db = apsw.Connection(str(path), vfs=vfs)

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        if sql == "PRAGMA synchronous = FULL":
            sql = f"PRAGMA synchronous = {self._synchronous}"
        with _errors():
            cursor = self._db.cursor()
            cursor.row_trace = _row
            rows = list(cursor.execute(sql, parameters))
            return Cursor(rows, self._db.changes(), self._db.last_insert_rowid())

    def executemany(self, sql: str, parameters: Iterable[Any]) -> None:
        for each in parameters:
            self.execute(sql, each)

    def executescript(self, sql: str) -> None:
        self.execute(sql)

    def close(self) -> None:
        with suppress(apsw.IOError):  # sqlite3 says nothing of a last checkpoint that failed
            self._db.close(True)


def _row(cursor: apsw.Cursor, values: tuple[Any, ...]) -> Row:
    return Row([column[0] for column in cursor.get_description()], values)


@contextmanager
def _errors() -> Generator[None]:
    try:
        yield
    except apsw.Error as error:
        kind = sqlite3.DatabaseError if isinstance(error, _FILE_AT_FAULT) else sqlite3.OperationalError
        raise kind(str(error) or type(error).__name__) from error
