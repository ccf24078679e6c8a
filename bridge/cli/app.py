"""The commands and what they have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge import __version__
from bridge.cli.check_config import check_config
from bridge.cli.demo import demo
from bridge.cli.pair import pair
from bridge.cli.run import run
from bridge.cli.scan import scan

app = typer.Typer(
    name="lock-bridge",
    help="Bluetooth locks on MQTT: each command moves the bolt at most once, and what happened is told as it was.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(f"lock-bridge {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The configuration file; /etc/lock-bridge/config.toml by default.",
            envvar="LOCK_BRIDGE_CONFIG",
            metavar="FILE",
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Keep what every command may want to know."""
    context.obj = config


app.command()(run)
app.command("check-config")(check_config)
app.command()(scan)
app.command()(pair)
app.command()(demo)
