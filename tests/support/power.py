"""A disk whose power can be cut: of what was written and not synced any part may be there afterwards.

It is a virtual file system under SQLite. Until a file is synced, each sector of it may be as it was after any of the
writes since, or half of one; its length and the folder's entries lag behind likewise, the entries in their order, as
on a journaling file system.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from tests.support.apsw_connection import Connection

if TYPE_CHECKING:
    import random
    from collections.abc import Generator, Iterable

SECTOR = 512
"""Bytes that a disk writes at once, if the power lasts."""

_names = itertools.count()


class Dark(apsw.IOError):
    """There is no power."""


class File:
    """One file's content, and what may be lost of it."""

    def __init__(self, content: bytes = b"") -> None:
        self.durable = bytearray(content)
        self.content = bytearray(content)
        self._pending: list[tuple[int, bytes | None]] = []
        """Writes by their offset since the last sync; a truncation has no data."""

    @property
    def behind(self) -> bool:
        """Whether there are writes that are not synced."""
        return bool(self._pending)

    def write(self, offset: int, data: bytes | None) -> None:
        """Write data at an offset, or cut the file off there."""
        _apply(self.content, offset, data)
        self._pending.append((offset, data))

    def sync(self) -> None:
        for offset, data in self._pending:
            _apply(self.durable, offset, data)
        self._pending.clear()

    def survivors(self, dice: random.Random) -> bytes:
        """Return what a power cut leaves."""
        count = len(self._pending)
        fates = [lambda: 0, lambda: count, lambda: dice.randint(0, count)]
        fate = fates[dice.choice((0, 1, 2, 2, 2))]
        reached: dict[int, int] = {}
        left = bytearray(self.durable)
        for number, (offset, data) in enumerate(self._pending):
            if data is None:
                if number < reached.setdefault(-1, fate()):
                    del left[offset:]
                continue
            for start, piece in _by_sector(offset, data):
                end = reached.setdefault(start // SECTOR, fate())
                if number < end:
                    _apply(left, start, piece)
                elif number == end and dice.random() < 0.5:
                    _apply(left, start, piece[: dice.randrange(len(piece))])
        if len(left) < len(self.content):
            left.extend(bytes(dice.randint(0, len(self.content) - len(left))))
        return bytes(left)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
    elif data:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data


def _by_sector(offset: int, data: bytes) -> Iterable[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        size = min(SECTOR - (offset + place) % SECTOR, len(data) - place)
        yield offset + place, data[place : place + size]
        place += size


class Disk:
    """A folder's files from now until the power is cut.

    Args:
        folder: what is there at the start, and what is left at the end.
        dice: decides what is left.
        lasts: writes, syncs and changes of names that are carried out before the power goes.
    """

    def __init__(self, folder: Path, dice: random.Random, lasts: int) -> None:
        self._folder = folder
        self._dice = dice
        self.lasts = lasts
        self._durable = {str(path): File(path.read_bytes()) for path in folder.iterdir()}
        self._files = dict(self._durable)
        self._changes: list[tuple[str, File | None]] = []
        """Names that were made or, without a file, taken away since the folder was synced."""

    @property
    def dark(self) -> bool:
        """Whether the power is gone."""
        return self.lasts <= 0

    def behind(self, path: Path) -> bool:
        """Tell whether a file has writes that are not synced."""
        file = self._files.get(str(path))
        return file is not None and file.behind

    def work(self) -> None:
        """Count an operation on the disk.

        Raises:
            Dark: there is no power for it.
        """
        self.lasts -= 1
        self.powered()

    def powered(self) -> None:
        if self.dark:
            raise Dark

    def exists(self, name: str) -> bool:
        self.powered()
        return name in self._files

    def file(self, name: str) -> File:
        """Return a file, making it if there is none."""
        if name not in self._files:
            self.work()
            self._change(name, File())
        return self._files[name]

    def delete(self, name: str) -> None:
        self.work()
        self._change(name, None)

    def sync_names(self) -> None:
        self._durable = dict(self._files)
        self._changes.clear()

    def cut(self) -> None:
        """Cut the power, if it is not gone yet, and leave in the folder what has survived."""
        self.lasts = 0
        names = dict(self._durable)
        for name, file in self._changes[: self._dice.randint(0, len(self._changes))]:
            _set(names, name, file)
        for path in self._folder.iterdir():
            path.unlink()
        for name, file in names.items():
            Path(name).write_bytes(file.survivors(self._dice))

    @contextmanager
    def connections(self, synchronous: str) -> Generator[Any]:
        """Give a way to connect to databases on this disk, for the length of the context.

        Args:
            synchronous: what is set where the journal sets `FULL`.
        """
        system = _System(f"power-{next(_names)}", self)
        try:
            yield lambda path: Connection(path, system.name, synchronous)
        finally:
            system.unregister()

    def _change(self, name: str, file: File | None) -> None:
        _set(self._files, name, file)
        self._changes.append((name, file))


def _set(names: dict[str, File], name: str, file: File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


class _System(apsw.VFS):
    """The virtual file system by which SQLite reaches the disk."""

    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, "")
        self.name = name
        self._disk = disk

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's name
        flags[1] = flags[0]
        if name is None:  # a temporary file, which nobody looks for after a cut
            return _Handle(self._disk, File(), first_sync_names=False)
        created = flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & (
            apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
        )
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _Handle(self._disk, self._disk.file(path), first_sync_names=bool(created))

    def xAccess(self, pathname, flags):  # noqa: N802 - SQLite's name
        return self._disk.exists(pathname)

    def xDelete(self, filename, syncdir):  # noqa: N802 - SQLite's name
        if not self._disk.exists(filename):
            raise apsw.IOError
        self._disk.delete(filename)
        if syncdir:
            self._disk.sync_names()


class _Handle:
    """An open file. As SQLite on Unix does, a log or journal syncs the folder when it is synced first."""

    def __init__(self, disk: Disk, file: File, *, first_sync_names: bool) -> None:
        self._disk = disk
        self._file = file
        self._sync_names = first_sync_names

    def xRead(self, amount, offset):  # noqa: N802 - SQLite's name
        self._disk.powered()
        return bytes(self._file.content[offset : offset + amount])

    def xWrite(self, data, offset):  # noqa: N802 - SQLite's name
        self._disk.work()
        self._file.write(offset, bytes(data))

    def xTruncate(self, newsize):  # noqa: N802 - SQLite's name
        self._disk.work()
        self._file.write(newsize, None)

    def xSync(self, flags):  # noqa: N802 - SQLite's name
        self._disk.work()
        self._file.sync()
        if self._sync_names:
            self._disk.sync_names()
            self._sync_names = False

    def xFileSize(self):  # noqa: N802 - SQLite's name
        self._disk.powered()
        return len(self._file.content)

    def xDeviceCharacteristics(self):  # noqa: N802 - SQLite's name
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # what SQLite takes for granted on Unix

    def xSectorSize(self):  # noqa: N802 - SQLite's name
        return 4096  # likewise

    def xLock(self, level):  # noqa: N802 - SQLite's name
        """One process."""

    def xUnlock(self, level):  # noqa: N802 - SQLite's name
        """One process."""

    def xCheckReservedLock(self):  # noqa: N802 - SQLite's name
        return False

    def xFileControl(self, op, ptr):  # noqa: N802 - SQLite's name
        return False

    def xClose(self):  # noqa: N802 - SQLite's name
        """Nothing is held."""
