"""Who else can read the keys to the doors."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECK = "files"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder with secrets."""

    path: Path
    mode: int | None
    """Permission bits; None if it may not be looked at."""
    owner: int | None = None
    ours: bool = True
    """Whether it is in the state folder, so that it must be its owner's."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the secrets' files."""

    owner: int | None
    """The state folder's owner; None if there is no such folder yet."""
    entries: tuple[Entry, ...]


def look(state_dir: Path, others: Iterable[Path]) -> Facts:
    """Gather the facts about the state folder and other files that hold secrets."""
    try:
        owner = state_dir.stat().st_uid
    except OSError:
        owner = None
    found = [*_below(state_dir), *(_entry(path, ours=False) for path in others if os.access(path, os.F_OK))]
    return Facts(owner, tuple(found))


def _below(state_dir: Path) -> Iterator[Entry]:
    if not os.access(state_dir, os.F_OK):
        return
    yield _entry(state_dir)
    folder = state_dir / "credentials"
    for each in (state_dir, folder):
        if os.access(each, os.F_OK) and not os.access(each, os.R_OK | os.X_OK):
            yield Entry(each, None)
    if os.access(folder, os.F_OK):
        yield _entry(folder)
    for path in sorted([*state_dir.glob("*.db"), *state_dir.glob("*.json"), *folder.glob("*.json")]):
        yield _entry(path)


def _entry(path: Path, *, ours: bool = True) -> Entry:
    try:
        status = path.lstat()
    except OSError:
        return Entry(path, None, ours=ours)
    return Entry(path, stat.S_IMODE(status.st_mode), status.st_uid, ours)


def judge(facts: Facts) -> list[Finding]:
    """Tell which files others can read, or the bridge cannot."""
    found = [each for entry in facts.entries for each in _judge(entry, facts.owner)]
    return found or [
        ok(CHECK, f"nobody but their owner can read the {len(facts.entries)} files and folders with secrets")
    ]


def _judge(entry: Entry, owner: int | None) -> Iterator[Finding]:
    if entry.mode is None:
        yield warning(CHECK, f"{entry.path} may not be looked at by this user", "run the doctor with sudo")
        return
    if entry.mode & (0o077 if entry.ours else 0o007):
        safe = f"{entry.mode & 0o700:o}" if entry.ours else "o="
        yield failure(
            CHECK,
            f"others can read or change {entry.path} (mode {entry.mode:04o})",
            f"chmod {safe} {entry.path}; if others use this machine, pair the lock again or change the secret",
        )
    if entry.ours and owner is not None and entry.owner != owner:
        yield failure(
            CHECK,
            f"{entry.path} does not belong to the owner of the state folder, so the bridge cannot use it",
            f"chown {owner} {entry.path}",
        )
