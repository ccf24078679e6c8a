"""`lock-bridge api-key`: keys for the HTTP interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bridge.cli.boundary import Exit, Stop, show_json, tell, warn
from bridge.cli.locks import complete, nearest
from bridge.cli.show import moment, safe, table
from bridge.cli.values import label

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.api_keys import ApiKey, ApiKeys
    from bridge.config import Config

app = typer.Typer(
    no_args_is_help=True,
    help="""Make, list and revoke keys for the HTTP interface.

    A key is shown once, when it is made. Whoever holds it may ask (scope read) or also move the bolt (scope operate).
    """,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Who will hold it, such as a program.", metavar="[NAME]", callback=label)
    ] = "api key",
    *,
    scope: Annotated[
        Literal["read", "operate"], typer.Option(help="To ask only, or to move the bolt, too.")
    ] = "operate",
    locks: Annotated[
        list[str] | None,
        typer.Option("--lock", help="For this lock only; may be repeated.", metavar="ID", autocompletion=complete),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once.

    Try:

      $ lock-bridge api-key create "home automation"
      $ lock-bridge api-key create panel --scope read --lock front_door --json | jq -r .key
    """
    from bridge.config import preflight

    config = _config(context.obj)
    configured = [lock.id for lock in config.locks]
    for lock_id in locks or ():
        if lock_id not in configured:
            raise Stop(f'there is no lock "{lock_id}"{nearest(lock_id, configured)}', Exit.WRONG)
    preflight.make_state_dir(config)
    made = _keys(config).make(name, scope, locks or None)
    if as_json:
        show_json({"id": made.kept.id, "key": made.secret})
        return
    tell("Here is the key; it is not shown again:")
    typer.echo(made.secret)
    tell(f"It is sent as `Authorization: Bearer KEY`; `lock-bridge api-key revoke {made.kept.id}` ends it.")
    if config.http.listen is None:
        warn("the HTTP interface is not on the network; set `listen` below [http] in the configuration")


@app.command("list")
def list_keys(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the keys: who holds them and what for. The keys themselves are not kept.

    Try:

      $ lock-bridge api-key list
    """
    kept = _keys(_config(context.obj)).list()
    if as_json:
        show_json([_told(key) for key in kept])
    elif kept:
        rows = [
            [
                key.id,
                safe(key.name),
                key.scope,
                "all" if key.locks is None else ", ".join(sorted(key.locks)),
                moment(key.created_at.isoformat()),
            ]
            for key in kept
        ]
        for line in table(("ID", "NAME", "SCOPE", "LOCKS", "MADE"), rows):
            typer.echo(line)
    else:
        tell("There are no keys; `lock-bridge api-key create` makes one.")


def _complete(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    try:
        kept = _keys(_config(context.find_root().params.get("config"))).list()
    except Exception:  # noqa: BLE001 - a shell that waits for a completion is told nothing of what is wrong
        return []
    return [(key.id, key.name) for key in kept if key.id.startswith(incomplete)]


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[
        str, typer.Argument(help="The key's id, as `list` shows it.", metavar="ID", autocompletion=_complete)
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """End a key, at once, in a running bridge too.

    Try:

      $ lock-bridge api-key revoke 1f0c9a3e
    """
    keys = _keys(_config(context.obj))
    if not keys.revoke(key_id):
        raise Stop(f'there is no key "{safe(key_id)}"{nearest(key_id, [key.id for key in keys.list()])}')
    if as_json:
        show_json({"id": key_id, "revoked": True})
    else:
        typer.echo(f"The key {key_id} is revoked.")


def _config(file: Path | None) -> Config:
    from bridge.config import load

    return load(file)


def _keys(config: Config) -> ApiKeys:
    from bridge.api_keys import ApiKeys

    return ApiKeys(config.bridge.state_dir)


def _told(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "locks": None if key.locks is None else sorted(key.locks),
        "created_at": key.created_at.isoformat(),
    }
