"""`lock-bridge pair`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.boundary import Exit, Stop, tell
from bridge.cli.values import label, mac, topic_name

if TYPE_CHECKING:
    from drivers.base import Snapshot


def pair(
    context: typer.Context,
    driver: Annotated[str, typer.Argument(help="The lock's vendor, such as nuki.", metavar="DRIVER")],
    address: Annotated[
        str | None,
        typer.Argument(help="Its Bluetooth address; else the first that is ready.", metavar="[ADDRESS]", callback=mac),
    ] = None,
    *,
    lock_id: Annotated[
        str | None, typer.Option("--id", help="Its id in topics, such as front_door.", callback=topic_name)
    ] = None,
    name: Annotated[str | None, typer.Option(help="What people call it.", callback=label)] = None,
    pin_file: Annotated[
        Path | None,
        typer.Option(help="A file that holds the lock's security PIN; else it is asked for.", metavar="FILE"),
    ] = None,
    as_bridge: Annotated[
        bool,
        typer.Option("--as-bridge", help="Pair as the vendor's bridge device. Evicts one that the lock already has."),
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Add the lock to the configuration file.")] = False,
) -> None:
    """Pair a lock: make it trust this bridge, keep its key, read its state, and show what to configure."""
    import anyio

    from bridge import catalog
    from bridge.cli import blocks, pairing, tools
    from bridge.config import DEFAULT_FILE, load, preflight
    from bridge.credentials import Credentials

    tools.quiet_logs()
    config = load(context.obj)
    lock = pairing.subject(config, catalog.load(driver), address, lock_id)
    preflight.make_state_dir(config)
    asked = pairing.request(config, _pin(pin_file), as_bridge=as_bridge)
    paired = anyio.run(pairing.pair, config, lock, asked, Credentials(config.bridge.state_dir))
    if paired.snapshot:
        tell(_state(paired.snapshot))
    if paired.configured:
        tell(f'The configuration has it as "{paired.lock_id}" already.')
    else:
        text = blocks.block(paired.lock_id, name or paired.lock_id, driver, paired.address)
        typer.echo(text, nl=False)
        if write:
            file = config.source.file or DEFAULT_FILE
            blocks.append(file, text, paired.lock_id)
            tell(f"Added to {file}.")
    if paired.trouble:
        raise Stop(f"the lock is paired, but its state could not be read: {paired.trouble}")


def _pin(file: Path | None) -> int | None:
    """Return the security PIN from the file or, on a terminal, from the person; None if there is none."""
    if file:
        try:
            text = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise Stop(f"the PIN file {file} cannot be read", Exit.WRONG) from None
    elif sys.stdin.isatty():
        text = typer.prompt("Security PIN of the lock (Enter if it has none)", "", hide_input=True, show_default=False)
    else:
        return None
    if text and not (text.isascii() and text.isdecimal()):
        raise Stop("the PIN must be digits only", Exit.WRONG)
    return int(text) if text else None


def _state(snapshot: Snapshot) -> str:
    """Say what the lock said over its new key."""
    told = f"The lock answers: it is {snapshot.lock_state}"
    if snapshot.battery_level is not None:
        told += f", battery {snapshot.battery_level} %"
    elif snapshot.battery_critical:
        told += ", its battery is low"
    return f"{told}."
