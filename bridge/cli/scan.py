"""`lock-bridge scan`."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from bridge.cli.boundary import Exit, Stop, show_json, tell
from bridge.cli.client import Bridge
from bridge.cli.show import Cell, line, safe, table
from bridge.cli.values import mac

if TYPE_CHECKING:
    from types import TracebackType

    from rich.live import Live

    from bridge.cli.tools import Hear, Word
    from bridge.config import Config

_HEADER = ("VENDOR", "MODEL", "ADDRESS", "SIGNAL", "PAIRING", "CONFIGURED AS")
_WIDTHS = (10, 24, 17, 8, 19, 0)
_PAIRING = {
    True: Cell("ready to pair", "green"),
    False: Cell("not in pairing mode"),
    None: Cell("?"),
}


def scan(
    context: typer.Context,
    *,
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=0.1, max=3600)] = 15,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="The Bluetooth address of the adapter to use, where no bridge runs.", metavar="ADDRESS", callback=mac
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the locks as JSON, at the end.")] = False,
) -> None:
    """List the locks in range as they are heard: vendor, model, address, signal, and whether they can be paired.

    A running bridge listens on behalf of the command, since the radio is its own.

    Try:

      $ lock-bridge scan
      $ lock-bridge scan --seconds 60 --json
    """
    from bridge.cli.tools import quiet_logs, through

    quiet_logs()
    bridge = Bridge(context.obj)
    found: dict[str, dict[str, Any]] = {}
    with _Quiet(found) if as_json else _Board(found) if sys.stdout.isatty() else _Rows(found) as shown:
        try:
            if bridge.running:
                if adapter is not None:
                    raise Stop(
                        "the running bridge uses the adapter of its configuration; leave --adapter out", Exit.WRONG
                    )
                through(bridge, "scan", {"seconds": seconds}, shown.hear, pause=seconds)
            else:
                _here(context, seconds, adapter, shown.hear)
        except KeyboardInterrupt:
            pass  # enough was seen
    if as_json:
        show_json(list(found.values()))
    elif not found:
        tell(
            f"No lock was heard in {seconds:g} s. Go nearer, see that its Bluetooth is on and that it has power, "
            f"and look for longer with --seconds."
        )


def _here(context: typer.Context, seconds: float, adapter: str | None, hear: Hear) -> None:
    import anyio

    from bridge.cli.tools import config_or_default

    anyio.run(_listen, config_or_default(context.obj, adapter), seconds, hear)


async def _listen(config: Config, seconds: float, hear: Hear) -> None:
    """Listen to the air with a radio of our own."""
    import anyio

    from bridge.cli.tools import radio_for, running
    from bridge.sightings import all_drivers, sightings

    drivers, missing = all_drivers()
    for reason in missing:
        hear({"step": "missing", "message": reason})
    configured = {lock.address: lock.id for lock in config.locks}
    radio = radio_for(config)
    async with radio.advertisements() as advertisements, running(radio):
        with anyio.move_on_after(seconds):
            async for lock in sightings(advertisements, drivers, configured):
                hear({"step": "sighted", "lock": lock.told()})


class _Quiet(AbstractContextManager["_Quiet"]):
    """Gathers what is found.

    Args:
        found: takes it, by address.
    """

    def __init__(self, found: dict[str, dict[str, Any]]) -> None:
        self._found = found

    def hear(self, word: Word) -> None:
        """Take what is told."""
        if word["step"] == "missing":
            tell(f"not looked for: {word['message']}")
            return
        lock = word["lock"]
        before = self._found.get(lock["address"])
        self._found[lock["address"]] = lock
        self.note(before, lock)

    def note(self, before: dict[str, Any] | None, lock: dict[str, Any]) -> None:
        """Show what was heard of a lock, and before that."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End."""


class _Rows(_Quiet):
    """A line for each lock when it is first heard, and when its pairing mode changes: for what is no terminal."""

    def __enter__(self) -> Self:
        """Begin."""
        typer.echo(line(_HEADER, _WIDTHS))
        return self

    def note(self, before: dict[str, Any] | None, lock: dict[str, Any]) -> None:
        """Print its line."""
        if before is None or before["pairable"] != lock["pairable"]:
            typer.echo(line(_row(lock), _WIDTHS))


class _Board(_Quiet):
    """A table that changes as locks are heard: for a terminal."""

    _live: Live

    def __enter__(self) -> Self:
        """Begin."""
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(highlight=False), auto_refresh=False)
        self._live.__enter__()
        self._draw()
        return self

    def note(self, before: dict[str, Any] | None, lock: dict[str, Any]) -> None:
        """Draw the table anew."""
        del before, lock
        self._draw()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the last table on the terminal."""
        self._live.__exit__(kind, error, traceback)

    def _draw(self) -> None:
        from rich.text import Text

        locks = sorted(self._found.values(), key=lambda lock: -(lock["rssi"] or -1000))
        lines = "\n".join(table(_HEADER, [_row(lock) for lock in locks]))
        self._live.update(Text.from_ansi(lines), refresh=True)


def _row(lock: dict[str, Any]) -> list[str | Cell]:
    signal = "?" if lock["rssi"] is None else f"{lock['rssi']} dBm"
    as_id = lock["lock_id"] or "-"
    return [lock["driver"], safe(lock["model"]), lock["address"], signal, _PAIRING[lock["pairable"]], as_id]
