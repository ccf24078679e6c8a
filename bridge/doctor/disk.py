"""Where the journal lies: a promise kept in memory, or on a full disk, is none."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from bridge.doctor.machine import Machine

LITTLE = 200 * 2**20
"""Bytes of free space below which it is time to make room."""
NONE_LEFT = 20 * 2**20
"""Bytes of free space with which the journal may not live through the day."""
_FEW_FILES = 100

_GOOD = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "reiserfs", "xfs", "zfs"})
_FORGETFUL = frozenset({"tmpfs", "ramfs"})
_DISTANT = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "virtiofs"})
_OPEN_TO_ALL = frozenset({"vfat", "exfat", "msdos"})
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system that a folder lies on."""

    kind: str
    options: frozenset[str]
    source: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the place of the state folder."""

    folder: Path
    free: int
    """Bytes."""
    free_files: int | None
    """None where the file system sets no limit."""
    mount: Mount | None
    card: bool = False
    """Whether it is an SD card."""


def look(machine: Machine, folder: Path) -> Facts:
    """Gather the facts; of a folder that is not there yet, those of its first parent that is."""
    place = folder
    while not place.exists():
        place = place.parent
    room = os.statvfs(place)
    mount = mount_of(machine.text("/proc/self/mountinfo") or "", place.resolve())
    return Facts(
        folder=folder,
        free=room.f_bavail * room.f_frsize,
        free_files=room.f_favail if room.f_files else None,
        mount=mount,
        card=mount is not None and _is_card(machine, mount.source),
    )


def _is_card(machine: Machine, source: str) -> bool:
    disk = re.fullmatch(r"/dev/(mmcblk\d+)(p\d+)?", source)
    return disk is not None and machine.text(f"/sys/block/{disk[1]}/device/type") == "SD"


def mount_of(mountinfo: str, place: Path) -> Mount | None:
    """Return the mount that a place lies on, from what the kernel tells in `/proc/self/mountinfo` (proc(5))."""
    best: tuple[int, Mount] | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, more = before.split(), after.split()
        if len(fields) < 6 or len(more) < 3:  # noqa: PLR2004 - the fields that every line has
            continue
        point = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        if place.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            options = frozenset([*fields[5].split(","), *more[2].split(",")])
            best = (len(point.parts), Mount(more[0], options, more[1]))
    return None if best is None else best[1]


def judge(facts: Facts) -> list[Finding]:
    """Tell whether the journal can live there."""
    return [_space(facts), _kind(facts)]


def _space(facts: Facts) -> Finding:
    told = f"{facts.free // 2**20} MiB are free for {facts.folder}"
    if facts.free < NONE_LEFT or (facts.free_files is not None and facts.free_files < _FEW_FILES):
        return failure(
            "disk.space",
            f"the disk of {facts.folder} is full: {facts.free // 2**20} MiB and {facts.free_files} files are left; "
            "commands are refused once the journal cannot be written (STORAGE_UNAVAILABLE)",
            "make room: journalctl --vacuum-size=100M, apt-get clean, and look for what fills it (du -xh / | sort -h)",
        )
    if facts.free < LITTLE:
        return warning("disk.space", told, "make room: journalctl --vacuum-size=100M, apt-get clean")
    return ok("disk.space", told)


def _kind(facts: Facts) -> Finding:  # noqa: PLR0911 - one return a verdict
    mount = facts.mount
    check, elsewhere = (
        "disk.durability",
        "put [bridge] state_dir on a local disk with ext4, or another Linux file system",
    )
    if mount is None:
        return warning(check, "the kernel does not tell what kind of disk the state folder is on", elsewhere)
    if "ro" in mount.options:
        return failure(
            check,
            f"{facts.folder} is on a disk that is mounted read-only, as the kernel does with one that fails",
            "look why (dmesg), replace the card if it is worn out, and mount it for writing",
        )
    if mount.kind in _FORGETFUL:
        return failure(
            check, f"{facts.folder} is kept in memory ({mount.kind}): each start forgets commands and keys", elsewhere
        )
    if mount.kind == "overlay":
        return warning(
            check,
            f"{facts.folder} is on an overlay: where its upper layer is in memory, as with that of raspi-config, "
            "or a container's own, what is written there does not survive",
            f"{elsewhere}; for a container, a volume",
        )
    if mount.kind in _DISTANT:
        return failure(
            check, f"{facts.folder} is on {mount.kind}, on which neither locks nor flushes can be relied on", elsewhere
        )
    if mount.kind in _OPEN_TO_ALL:
        return failure(
            check, f"{facts.folder} is on {mount.kind}, which cannot keep the keys from other users", elsewhere
        )
    if mount.options & {"nobarrier", "barrier=0"}:
        return warning(
            check,
            f"{facts.folder} is mounted without barriers: a power cut may take back what was flushed",
            "mount it without nobarrier and barrier=0",
        )
    if mount.kind not in _GOOD:
        return warning(
            check, f"{facts.folder} is on {mount.kind}: whether a flush reaches the disk there is not known", elsewhere
        )
    if facts.card:
        return ok(
            check,
            f"{facts.folder} is on an SD card with {mount.kind}; cards wear out: keep an export of the keys elsewhere "
            "(lock-bridge credentials export)",
        )
    return ok(check, f"{facts.folder} is on {mount.kind} and keeps what is flushed")
