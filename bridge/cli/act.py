"""`lock-bridge lock`, `unlock` and `unlatch`: one action through the running bridge, and what came of it."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.advice import advice_on
from bridge.cli.boundary import Exit, Stop, show_json, tell
from bridge.cli.client import Bridge, Rejected
from bridge.cli.locks import LockId, is_unknown, unknown

if TYPE_CHECKING:
    from rich.status import Status

_LOOK = 0.2
"""Seconds between looks at the attempt."""

_DONE = {"lock": "locked", "unlock": "unlocked", "unlatch": "unlatched"}
_DOING = {"lock": "Locking", "unlock": "Unlocking", "unlatch": "Unlatching"}

CustomId = Annotated[
    str | None,
    typer.Option("--custom-id", help="Your own id for it: given twice, the bolt moves at most once.", metavar="TEXT"),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return once the bridge has taken it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the attempt as JSON.")]


def lock(
    context: typer.Context,
    lock_id: LockId,
    *,
    custom_id: CustomId = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Lock a door and wait for the outcome.

    Exits with 0 only if the lock itself reported that it is locked.

    Try:

      $ lock-bridge lock front_door
      $ lock-bridge lock front_door --custom-id night-2026-11-21 --json
    """
    _act(context, "lock", lock_id, custom_id, no_wait=no_wait, as_json=as_json)


def unlock(
    context: typer.Context,
    lock_id: LockId,
    *,
    custom_id: CustomId = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Unlock a door and wait for the outcome. The latch stays shut: see `unlatch`.

    Exits with 0 only if the lock itself reported that it is unlocked.

    Try:

      $ lock-bridge unlock front_door
      $ lock-bridge unlock front_door --no-wait
    """
    _act(context, "unlock", lock_id, custom_id, no_wait=no_wait, as_json=as_json)


def unlatch(
    context: typer.Context,
    lock_id: LockId,
    *,
    custom_id: CustomId = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Unlock a door and pull its latch, so that it can be pushed open; wait for the outcome.

    The configuration must allow it for this lock: actions = ["lock", "unlock", "unlatch"].

    Try:

      $ lock-bridge unlatch front_door
    """
    _act(context, "unlatch", lock_id, custom_id, no_wait=no_wait, as_json=as_json)


def _act(
    context: typer.Context, action: str, lock_id: str, custom_id: str | None, *, no_wait: bool, as_json: bool
) -> None:
    bridge = Bridge(context.obj)
    taken = _send(bridge, action, lock_id, custom_id)
    if no_wait:
        if as_json:
            show_json(taken)
        else:
            typer.echo(f"Taken as {taken['action_id']}; `lock-bridge attempts {taken['action_id']}` tells its outcome.")
        return
    attempt = _outcome(bridge, taken)
    if as_json:
        show_json(attempt)
    if attempt["status"] == "success":
        if not as_json:
            typer.echo(_success(attempt))
        return
    code = attempt.get("error_code")
    raise Stop(f"{attempt.get('message') or 'The action failed.'} [{code}]", advice=advice_on(code))


def _send(bridge: Bridge, action: str, lock_id: str, custom_id: str | None) -> dict[str, Any]:
    body = {"action": action} if custom_id is None else {"action": action, "custom_id": custom_id}
    try:
        taken: dict[str, Any] = bridge.post("locks", lock_id, "actions", body=body)
    except Rejected as rejected:
        if is_unknown(rejected):
            raise unknown(bridge, lock_id) from None
        code = f" [{rejected.kind}]" if rejected.kind else ""
        raise Stop(f"{rejected}{code}", advice=advice_on(rejected.kind)) from None
    return taken


def _outcome(bridge: Bridge, taken: dict[str, Any]) -> dict[str, Any]:
    """Wait until the attempt has its outcome; whoever stops waiting stops nothing else."""
    action_id = str(taken["action_id"])
    try:
        with _progress(f"{_DOING[taken['action']]} {taken['lock_id']}") as progress:
            begun = time.monotonic()
            while (attempt := _attempt(bridge, action_id))["status"] == "pending":
                if progress is not None:
                    progress.update(f"{_DOING[taken['action']]} {taken['lock_id']} ({time.monotonic() - begun:.0f} s)")
                time.sleep(_LOOK)
    except KeyboardInterrupt:
        tell(f"\nThe action goes on; `lock-bridge attempts {action_id}` tells its outcome.")
        raise typer.Exit(Exit.FAILED) from None
    except Stop as stop:
        raise Stop(str(stop), stop.code, advice=f"`lock-bridge attempts {action_id}` tells what came of it.") from None
    return attempt


def _attempt(bridge: Bridge, action_id: str) -> dict[str, Any]:
    attempt: dict[str, Any] = bridge.get("bridge", "attempts", action_id)
    return attempt


def _progress(text: str) -> Status | nullcontext[None]:
    """Return what shows on a terminal that something goes on."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


def _success(attempt: dict[str, Any]) -> str:
    already = " already" if attempt.get("changed") is False else ""
    return f"{attempt['lock_id']} is {_DONE[attempt['action']]}{already}, as it reports itself."
