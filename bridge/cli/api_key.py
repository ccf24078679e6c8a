"""`lock-bridge api-key`: keys for the HTTP interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bridge.cli.boundary import show_json, tell, warn
from bridge.cli.keys import AsJson, Family, check_locks, configuration
from bridge.cli.locks import complete
from bridge.cli.values import label

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.keys.api_keys import ApiKeys

app = typer.Typer(
    no_args_is_help=True,
    help="""Make, list and revoke keys for the HTTP interface.

    A key is shown once, when it is made. Whoever holds it may ask (scope read) or also move the bolt (scope operate).
    """,
)


def _keys(config: Config) -> ApiKeys:
    from bridge.keys.api_keys import ApiKeys

    return ApiKeys(config.bridge.state_dir)


_FAMILY = Family("api-key", "scope", lambda key: key.scope, _keys)


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

    config = configuration(context.obj)
    check_locks(config, locks or ())
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
    _FAMILY.show(context.obj, as_json=as_json)


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[
        str, typer.Argument(help="The key's id, as `list` shows it.", metavar="ID", autocompletion=_FAMILY.complete)
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """End a key, at once, in a running bridge too.

    Try:

      $ lock-bridge api-key revoke 1f0c9a3e
    """
    _FAMILY.revoke(context.obj, key_id, as_json=as_json)
