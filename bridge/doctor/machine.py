"""This machine as far as it can be looked at: its files below a root, and what its tools print.

Whatever cannot be read is None: the checks say so, and no check fails for want of permission.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio.to_thread

PATIENCE = 5.0
"""Seconds in which a tool must have printed what it has to say."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a tool printed, and how it ended."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, whose files may lie below another root than `/`."""

    root: Path = Path("/")

    def path(self, name: str) -> Path:
        """Return where a file is that is known by its absolute name."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """Return what a small file says; None if there is none that can be read."""
        try:
            return self.path(name).read_text("utf-8", "replace").rstrip("\0\n")
        except OSError:
            return None

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, in order; none if it cannot be read."""
        try:
            return sorted(each.name for each in self.path(folder).iterdir())
        except OSError:
            return []

    def link(self, name: str) -> str | None:
        """Return the last part of what a symbolic link leads to."""
        try:
            return self.path(name).readlink().name
        except OSError:
            return None

    async def prints(self, *command: str, within: float | None = None) -> Printed | None:
        """Run a tool to its end; None if there is no such tool, or it takes longer than `within` or its patience."""
        program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
        if program is None:
            return None
        return await anyio.to_thread.run_sync(_run, [program, *command[1:]], within or PATIENCE)


def _run(command: list[str], within: float) -> Printed | None:
    environ = {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        ended = subprocess.run(  # noqa: S603 - the doctor's own commands
            command, check=False, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environ, timeout=within
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Printed(ended.returncode, ended.stdout.decode("utf-8", "replace"))
