"""Which locks there are, as far as the command line can know: what is completed, and what was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bridge.cli.boundary import Exit, Stop
from bridge.cli.client import Bridge, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def complete(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of the locks that begin so, with their names, from the bridge or else from its configuration."""
    file = cast("Path | None", context.find_root().params.get("config"))
    try:
        known = _running(file) or _configured(file)
    except Exception:  # noqa: BLE001 - a shell that waits for a completion is told nothing of what is wrong
        return []
    return [(lock_id, name) for lock_id, name in known if lock_id.startswith(incomplete)]


LockId = Annotated[
    str, typer.Argument(help="The lock's id, such as front_door.", metavar="ID", autocompletion=complete)
]


def unknown(bridge: Bridge, lock_id: str) -> Stop:
    """Return what to say of an id that no lock has."""
    ids: list[str] = [lock["lock_id"] for lock in bridge.get("bridge", "locks")["locks"]]
    return Stop(f'there is no lock "{lock_id}"{nearest(lock_id, ids)}', Exit.FAILED)


def is_unknown(rejected: Rejected) -> bool:
    """Tell whether the bridge said that it has no such lock."""
    return rejected.kind in ("LOCK_NOT_FOUND", "device_not_found")


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Return a question for the nearest name, or the list of those that there are."""
    names = sorted(right)
    if found := difflib.get_close_matches(wrong, names, n=1):
        return f'; did you mean "{found[0]}"?'
    return f"; there are: {', '.join(names)}" if names else "; none is configured (lock-bridge pair adds one)"


def _running(file: Path | None) -> list[tuple[str, str]]:
    bridge = Bridge(file)
    try:
        locks: list[dict[str, Any]] = bridge.get("bridge", "locks")["locks"]
    except Stop:
        return []
    return [(lock["lock_id"], lock["name"]) for lock in locks]


def _configured(file: Path | None) -> list[tuple[str, str]]:
    from bridge.config import load

    return [(lock.id, lock.name) for lock in load(file).locks]
