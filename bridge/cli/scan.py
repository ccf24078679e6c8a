"""`lock-bridge scan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.boundary import show_json, tell
from bridge.cli.values import mac

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.ble.radio import Radio
    from drivers.base import Advertisement, Driver

_ROW = "{:<10} {:<24} {:<18} {:>8}  {}"


@dataclass(frozen=True, slots=True)
class Found:
    """A lock in range."""

    driver: str
    model: str
    address: str
    name: str | None
    rssi: int | None
    """dBm."""
    pairable: bool | None
    """None where its advertisement does not tell."""

    def row(self) -> str:
        """Return its line in the table."""
        signal = "?" if self.rssi is None else f"{self.rssi} dBm"
        pairable = {True: "ready to pair", False: "not in pairing mode", None: "?"}[self.pairable]
        return _ROW.format(self.driver, self.model, self.address, signal, pairable)


def scan(
    context: typer.Context,
    *,
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=0.1, max=3600)] = 15,
    adapter: Annotated[
        str | None, typer.Option(help="The Bluetooth address of the adapter to use.", metavar="ADDRESS", callback=mac)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the locks as JSON, at the end.")] = False,
) -> None:
    """List the locks in range as they are heard: vendor, model, address, signal, and whether they can be paired."""
    import anyio

    from bridge.cli.tools import all_drivers, config_or_default, quiet_logs, radio_for

    quiet_logs()
    config = config_or_default(context.obj, adapter)
    drivers = all_drivers()
    if not as_json:
        typer.echo(_ROW.format("VENDOR", "MODEL", "ADDRESS", "SIGNAL", "PAIRING"))
    found = anyio.run(_listen, radio_for(config), drivers, seconds, _ignore if as_json else _print)
    if as_json:
        show_json([{field: getattr(lock, field) for field in Found.__slots__} for lock in found])
    elif not found:
        tell(
            f"No lock was heard in {seconds:g} s. Go nearer, see that its Bluetooth is on and that it has power, "
            f"and look for longer with --seconds."
        )


async def _listen(
    radio: Radio, drivers: Mapping[str, Driver], seconds: float, heard: Callable[[Found], None]
) -> list[Found]:
    """Listen to the air; tell of each lock when it is first heard, and when its pairing mode changes."""
    import anyio

    from bridge.cli.tools import running

    locks: dict[str, Found] = {}
    async with radio.advertisements() as advertisements, running(radio):
        with anyio.move_on_after(seconds):
            async for advertisement in advertisements:
                if lock := _recognise(advertisement, drivers):
                    known = locks.get(lock.address)
                    locks[lock.address] = lock
                    if known is None or known.pairable != lock.pairable:
                        heard(lock)
    return list(locks.values())


def _recognise(advertisement: Advertisement, drivers: Mapping[str, Driver]) -> Found | None:
    for name, driver in drivers.items():
        if sighting := driver.sight(advertisement):
            return Found(
                name,
                sighting.model,
                advertisement.address,
                advertisement.name,
                advertisement.rssi,
                sighting.pairable,
            )
    return None


def _print(lock: Found) -> None:
    typer.echo(lock.row())


def _ignore(_lock: Found) -> None: ...
