"""A look at the journal's file from outside, while no bridge runs. The file itself is not opened by SQLite.

SQLite would leave files beside it, and as root such that the bridge could not open them later: so a copy is opened.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.journal import rows
from bridge.model import Attempt

LARGEST = 512 * 2**20
"""Bytes of a journal that is still copied."""

_LOCKED = 0x4000_0000
"""Where SQLite's locks on a file begin (its file format, "lock-byte page")."""
_LOCK_BYTES = 512
_FLOCK = struct.Struct("@hhqqi4x")
"""struct flock of 64-bit Linux: type, whence, start, length, process (fcntl(2))."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of a journal."""

    path: Path
    exists: bool
    size: int = 0
    """Bytes, with its write-ahead log."""
    in_use: bool = False
    """Whether a bridge has it open, so that it was not looked into."""
    damage: str | None = None
    """Why it cannot be used, or what of it is damaged."""
    open_attempts: int = 0
    unsent_events: int = 0
    attempts: Sequence[Attempt] = ()
    """The latest, the latest first."""
    set_aside: Sequence[str] = field(default=())
    """Names of damaged ones that were put beside it."""


def inspect(path: Path, attempts: int = 0) -> Inspection:
    """Look at a journal.

    Args:
        path: its file.
        attempts: how many of the latest are wanted.

    Raises:
        OSError: it may not be read, or there is no room for a copy.
    """
    aside = sorted(part.name for part in path.parent.glob(f"{path.name}.corrupt-*"))
    parts = [part for part in (path, path.with_name(f"{path.name}-wal")) if part.exists()]
    size = sum(part.stat().st_size for part in parts)
    if not size:  # an empty file is as good as none
        return Inspection(path, exists=False, set_aside=aside)
    if in_use(path):
        return Inspection(path, exists=True, size=size, in_use=True, set_aside=aside)
    if size > LARGEST:
        return Inspection(path, exists=True, size=size, damage=f"it is too large to look into ({size // 2**20} MiB)")
    with TemporaryDirectory(prefix="lock-bridge-") as folder:
        for part in parts:
            shutil.copyfile(part, Path(folder) / part.name)
        try:
            return _look(Path(folder) / path.name, path, size, attempts, aside)
        except (
            sqlite3.Error,
            ValueError,
            IndexError,
        ) as error:  # ValueError and IndexError: rows that are none of ours
            return Inspection(path, exists=True, size=size, damage=str(error), set_aside=aside)


def _look(copy: Path, path: Path, size: int, attempts: int, aside: Sequence[str]) -> Inspection:
    db = sqlite3.connect(copy, isolation_level=None)
    try:
        db.row_factory = sqlite3.Row
        findings = [row[0] for row in db.execute("PRAGMA quick_check")]
        if findings != ["ok"]:
            return Inspection(path, exists=True, size=size, damage=str(findings[0]), set_aside=aside)
        still_open = "SELECT count(*) FROM attempt WHERE state IN ('accepted', 'committed')"
        latest = db.execute("SELECT * FROM attempt ORDER BY seq DESC LIMIT ?", (attempts,))
        return Inspection(
            path,
            exists=True,
            size=size,
            open_attempts=db.execute(still_open).fetchone()[0],
            unsent_events=db.execute("SELECT count(*) FROM event WHERE sent = 0").fetchone()[0],
            attempts=[rows.attempt(row) for row in latest],
            set_aside=aside,
        )
    finally:
        db.close()


def in_use(path: Path) -> bool:
    """Tell whether another process holds one of SQLite's locks on the file."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _LOCKED, _LOCK_BYTES, 0)
        answer = fcntl.fcntl(file, fcntl.F_GETLK, asked)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    finally:
        os.close(file)
