"""`lock-bridge unpair`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.boundary import Exit, Stop, show_json, tell
from bridge.cli.client import Bridge
from bridge.cli.guide import guide
from bridge.cli.locks import LockId, nearest
from bridge.cli.pair import PAUSE

if TYPE_CHECKING:
    from bridge.cli.tools import Hear, Word

_STOPPED = "Stopped; the lock may have forgotten the key or not. Do it again, or see its users in the vendor's app."


def unpair(
    context: typer.Context,
    lock_id: LockId,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Undo `pair`: have the lock forget the bridge's key, where its protocol can, and remove the key here.

    A Nuki forgets a key only for its security PIN, which must have been given when it was paired; otherwise remove
    the bridge in the Nuki app. The key is removed here even if the lock cannot be reached.

    Try:

      $ lock-bridge unpair back_door
    """
    from bridge.cli import tools

    tools.quiet_logs()
    if not yes:
        if not sys.stdin.isatty():
            raise Stop("this takes the bridge's access to the lock away; without a terminal say --yes", Exit.WRONG)
        typer.confirm(f"Take the bridge's access to {lock_id} away?", abort=True, err=True)
    bridge = Bridge(context.obj)
    runs = bridge.running
    with guide(_STOPPED) as hear:
        ended = (
            tools.through(bridge, "unpair", {"lock_id": lock_id}, hear, pause=PAUSE)
            if runs
            else _here(context, lock_id, hear)
        )
    if as_json:
        show_json({"lock_id": lock_id, "revoked": ended["revoked"]})
    else:
        typer.echo(ended["message"])
    tell(f'To use it again, pair it again; else take its block (id = "{lock_id}") out of the configuration.')


def _here(context: typer.Context, lock_id: str, hear: Hear) -> Word:
    """Do it with a radio of our own."""
    import anyio

    from bridge import catalog, pairing
    from bridge.cli import tools
    from bridge.config import load

    config = load(context.obj)
    known = next((lock for lock in config.locks if lock.id == lock_id), None)
    if known is None:
        raise Stop(f'there is no lock "{lock_id}"{nearest(lock_id, [lock.id for lock in config.locks])}')
    lock = pairing.subject(config.locks, catalog.load(known.driver), known.address, known.id)

    async def unpair() -> pairing.Step:
        async with tools.pairing_with(config) as work:
            return await work.unpair(lock, lock_id, lambda step: hear(step.told()))

    return anyio.run(unpair).told()
