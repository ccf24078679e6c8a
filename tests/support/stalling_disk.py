"""A disk that can stall: what is written to it then waits, as with a card that hangs, until it is let go on."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def stalling_disk(folder: Path) -> Generator[StallingDisk]:
    """Have a disk of its own mounted at a folder, which is made."""
    folder.mkdir()
    image = folder.with_name(f"{folder.name}.img")
    with image.open("wb") as file:
        file.truncate(16 * 2**20)
    _run("/usr/sbin/mkfs.ext4", "-q", str(image))
    mounted = subprocess.run(
        ["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True, timeout=20, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        folder.chmod(0o700)
        yield StallingDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


class StallingDisk:
    """The disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    @contextmanager
    def stalled(self) -> Generator[None]:
        """Have all writes wait for the length of the context; whoever writes cannot even be killed meanwhile."""
        _run("/usr/sbin/fsfreeze", "--freeze", self._folder)
        try:
            yield
        finally:
            _run("/usr/sbin/fsfreeze", "--unfreeze", self._folder)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=20, capture_output=True)
