"""`lock-bridge pair`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.boundary import show_json, tell
from bridge.cli.client import Bridge
from bridge.cli.guide import guide
from bridge.cli.values import label, mac, topic_name

if TYPE_CHECKING:
    from bridge.cli.tools import Hear, Word
    from bridge.config import Config

PAUSE = 240.0
"""Seconds between two steps of pairing at most: the search, or a conversation with the lock that is tried again."""

_STOPPED = (
    "Stopped, and nothing is kept here. If the vendor's app shows the bridge in the lock's list of users, remove it."
)


def _drivers(incomplete: str) -> list[str]:
    from bridge import catalog

    return [name for name in catalog.installed() if name.startswith(incomplete)]


def pair(
    context: typer.Context,
    driver: Annotated[
        str, typer.Argument(help="The lock's vendor, such as nuki.", metavar="DRIVER", autocompletion=_drivers)
    ],
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
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="A file of the key, where its vendor makes it: NAME = VALUE lines (TOML); else it is asked for.",
            metavar="FILE",
        ),
    ] = None,
    as_bridge: Annotated[
        bool,
        typer.Option("--as-bridge", help="Pair as the vendor's bridge device. Evicts one that the lock already has."),
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Add the lock to the configuration file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was paired as JSON.")] = False,
) -> None:
    """Pair a lock: make it trust this bridge, prove it by reading its state, keep its key, show what to configure.

    Some vendors make the key themselves: you bring it, and it is proved and kept in the same way.

    Works with and without a running bridge; one that runs uses the lock at once. The key is never shown, and `unpair`
    takes it back. Without a terminal nothing is asked.

    Try:

      $ lock-bridge pair nuki --id front_door --name "Front door" --write
      $ lock-bridge pair nuki 54:D2:72:12:34:56 --id back_door --pin-file /root/pin
      $ lock-bridge pair yale 54:D2:72:12:34:57 --id gate --key-file /root/key.toml
    """
    from bridge import catalog
    from bridge.cli import blocks, given, tools
    from bridge.config import DEFAULT_FILE

    tools.quiet_logs()
    vendor = catalog.load(driver)
    running = Bridge(context.obj)
    bridge = running if running.running else None
    config = _config(context) if write else None  # who may use the bridge may perhaps not read it
    asked = {"driver": driver, "address": address, "lock_id": lock_id, "as_bridge": as_bridge}
    asked |= given.secrets(vendor, pin_file, key_file)
    with guide(_STOPPED) as hear:
        paired = tools.through(bridge, "pair", asked, hear, pause=PAUSE) if bridge else _here(context, asked, hear)
    tell(paired["message"])
    lock_id = str(paired["lock_id"])
    block = None if paired["configured"] else blocks.block(lock_id, name or lock_id, driver, paired["address"])
    if as_json:
        known = {key: paired[key] for key in ("lock_id", "driver", "address", "configured", "state")}
        show_json(known | {"block": block})
    elif block is not None:
        typer.echo(block, nl=False)
    if block is None:
        tell(f'The configuration has it as "{lock_id}" already.')
    elif config is not None:
        file = config.source.file or DEFAULT_FILE
        blocks.append(file, block, lock_id)
        tell(f"Added to {file}.")
    _conclude(bridge, lock_id, configured=write or block is None)


def _conclude(bridge: Bridge | None, lock_id: str, *, configured: bool) -> None:
    """Have a running bridge take the lock up, and say what is left to do."""
    if not configured:
        tell("Put this into the configuration, and (re)start the bridge: systemctl restart lock-bridge")
    elif bridge is None:
        tell("The bridge uses it from its next start: systemctl start lock-bridge")
    elif lock_id in bridge.post("bridge", "take-up", body={})["after_restart"]:
        tell("The running bridge uses it from its next start: systemctl restart lock-bridge")
    else:
        tell(f"The running bridge uses it from now on. Try: lock-bridge lock {lock_id}")


def _config(context: typer.Context) -> Config:
    from bridge.config import load

    return load(context.obj)


def _here(context: typer.Context, asked: dict[str, Any], hear: Hear) -> Word:
    """Pair with a radio of our own."""
    import anyio

    from bridge import catalog, pairing
    from bridge.cli import tools
    from bridge.config import preflight

    config = _config(context)
    lock = pairing.subject(config.locks, catalog.load(asked["driver"]), asked["address"], asked["lock_id"])
    preflight.make_state_dir(config)
    key = pairing.brought(lock, asked["key"])
    request = pairing.request(config, asked["pin"] and int(asked["pin"]), as_bridge=asked["as_bridge"])

    async def pair() -> pairing.Paired:
        async with tools.pairing_with(config) as work:
            return await work.pair(lock, request, lambda step: hear(step.told()), key)

    return anyio.run(pair).step().told()
