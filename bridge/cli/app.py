"""The commands and what they have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge import __version__
from bridge.cli import api_key, signing_key
from bridge.cli.act import lock, unlatch, unlock
from bridge.cli.check_config import check_config
from bridge.cli.credentials import credentials
from bridge.cli.demo import demo
from bridge.cli.doctor import doctor
from bridge.cli.known import attempts, events, locks
from bridge.cli.pair import pair
from bridge.cli.run import run
from bridge.cli.sandbox import sandbox
from bridge.cli.scan import scan
from bridge.cli.support_bundle import support_bundle
from bridge.cli.unpair import unpair

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


_DOORS = "The doors"
app.command(rich_help_panel=_DOORS)(lock)
app.command(rich_help_panel=_DOORS)(unlock)
app.command(rich_help_panel=_DOORS)(unlatch)
app.command(rich_help_panel=_DOORS)(locks)
app.command(rich_help_panel=_DOORS)(attempts)
app.command(rich_help_panel=_DOORS)(events)

_SETTING_UP = "Setting up"
app.command("check-config", rich_help_panel=_SETTING_UP)(check_config)
app.command(rich_help_panel=_SETTING_UP)(scan)
app.command(rich_help_panel=_SETTING_UP)(pair)
app.command(rich_help_panel=_SETTING_UP)(unpair)
app.add_typer(api_key.app, name="api-key", rich_help_panel=_SETTING_UP)
app.add_typer(signing_key.app, name="signing-key", rich_help_panel=_SETTING_UP)
app.add_typer(credentials, name="credentials", rich_help_panel=_SETTING_UP)

_THE_BRIDGE = "The bridge"
app.command(rich_help_panel=_THE_BRIDGE)(run)
app.command(rich_help_panel=_THE_BRIDGE)(doctor)
app.command("support-bundle", rich_help_panel=_THE_BRIDGE)(support_bundle)
app.command(rich_help_panel=_THE_BRIDGE)(demo)
app.command(rich_help_panel=_THE_BRIDGE)(sandbox)
