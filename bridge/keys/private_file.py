"""Files that are their owner's alone and are never seen half written."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

LONGEST = 1024 * 1024
"""Bytes of a file that are read at most."""


class Exposed(PermissionError):
    """Others than its owner can read the file or write it.

    Attributes:
        mode: the file's permissions, as in `chmod`.
    """

    def __init__(self, mode: int) -> None:
        """Refuse a file of these permissions."""
        super().__init__(f"others can read it (mode {mode:04o})")
        self.mode = mode


def read(path: Path) -> bytes:
    """Return what is in a private file.

    Raises:
        Exposed: it is not private.
        OSError: it is no file, or cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(file, "rb") as stream:  # noqa: PTH123 - the file is open already, and must be the one that is checked
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a file")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Exposed(stat.S_IMODE(status.st_mode))
        return stream.read(LONGEST)


def replace(folder: int, name: str, content: bytes) -> None:
    """Write a private file in one step, durably, owned as its folder is if this is root.

    Args:
        folder: open, so that nobody can swap its path.
        name: of the file in it.
        content: of the file.

    Raises:
        OSError: it cannot be written. What was there before still is.
    """
    draft = f".{secrets.token_hex(8)}.tmp"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        with open(file, "wb") as stream:  # noqa: PTH123 - opened relative to the folder
            os.fchmod(file, 0o600)
            if os.geteuid() == 0:
                owner = os.fstat(folder)
                os.fchown(file, owner.st_uid, owner.st_gid)
            stream.write(content)
            stream.flush()
            os.fsync(file)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(draft, dir_fd=folder)
        raise
    os.fsync(folder)
