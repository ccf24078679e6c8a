"""`lock-bridge doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.boundary import Exit, Stop, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bridge.config import Config
    from bridge.doctor.examination import Report
    from bridge.doctor.finding import Finding


def doctor(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at everything that the bridge needs; tell what is wrong, and what to do about it.

    Works whether or not the bridge runs, and changes nothing. With sudo it sees more. Exits with 1 if anything has
    failed.
    """
    import anyio

    from bridge.cli.tools import quiet_logs

    quiet_logs()
    seen = anyio.run(examined, context.obj)
    if as_json:
        show_json(seen.report.body())
    else:
        _print(seen.report)
    if seen.unusable or not seen.report.healthy:
        raise typer.Exit(seen.unusable or Exit.FAILED)


@dataclass(slots=True)
class Examined:
    """What an examination was made of, and what came of it."""

    config: Config | None
    unusable: Exit | None
    """How a command ends whose configuration cannot be used; None if it can."""
    report: Report
    said: Mapping[str, Any] | None
    """What the running bridge tells of itself; None if none runs that may be asked."""


async def examined(file: Path | None) -> Examined:
    """Look at everything."""
    from bridge.doctor.examination import examine
    from bridge.doctor.machine import Machine

    said: Mapping[str, Any] | None = None

    def ask() -> Mapping[str, Any] | None:
        nonlocal said
        said = _ask(file) if unusable is None else None
        if said is not None and config is not None and said.get("bridge_id") != config.bridge.id:
            said = None  # another bridge of this machine
        return said

    config, found, unusable = _configuration(file)
    report = await examine(config, Machine(), ask, found)
    return Examined(config, unusable, report, said)


def _configuration(file: Path | None) -> tuple[Config | None, list[Finding], Exit | None]:
    from bridge.config import DEFAULT_FILE, load
    from bridge.config.mistakes import ConfigError
    from bridge.doctor import configuration
    from bridge.doctor.finding import failure

    shown = file or DEFAULT_FILE
    try:
        return load(file), [], None
    except ConfigError as error:
        return None, configuration.judge(shown, error.mistakes, []), Exit.WRONG
    except PermissionError:
        denied = failure("configuration", f"this user may not read {shown}", "run the doctor with sudo")
        return None, [denied], Exit.DENIED


def _ask(file: Path | None) -> Mapping[str, Any] | None:
    from bridge.cli.client import Bridge, Denied, NotRunning
    from bridge.doctor.examination import Unaskable

    try:
        said: dict[str, Any] = Bridge(file).get("bridge", "diagnostics")
    except NotRunning:
        return None
    except Denied:
        raise Unaskable("this user may not ask the bridge how it is") from None
    except Stop as error:
        raise Unaskable(str(error)) from None
    return said


_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}
_WIDTH = 100


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bridge.doctor.finding import Status

    console = Console(highlight=False, soft_wrap=False)
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in report.findings:
        said = Text(each.message)
        if each.remedy:
            said.append(f"\n→ {each.remedy}", style="italic")
        table.add_row(Text(each.status.value, style=_COLOURS[each.status.value]), Text(each.check), said)
    console.print(table)
    number = {status: sum(each.status is status for each in report.findings) for status in Status}
    told = [
        f"{count} {status.value}{'' if count == 1 or status is Status.OK else 's'}" for status, count in number.items()
    ]
    console.print(f"\n{', '.join(reversed(told))}.")
