"""`lock-bridge support-bundle`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.boundary import Exit, Stop, show_json, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.doctor.bundle import Bundle


def support_bundle(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to: a .tar.gz or a .zip.", metavar="FILE")],
    *,
    log: Annotated[
        list[Path] | None,
        typer.Option(help="A file with the bridge's log, where systemd has none. May be given again.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is in it as JSON.")] = False,
) -> None:
    """Gather what a bug report needs in FILE: versions, configuration, the doctor's findings, logs, attempts' times.

    No key, password, PIN or access code is in it; look into it all the same before you give it away.
    """
    import anyio

    from bridge.cli.files import write_private
    from bridge.cli.tools import quiet_logs

    quiet_logs()
    if os.path.lexists(file):
        raise Stop(f"{file} is there already; name another file, or remove that one", Exit.WRONG)
    bundle = anyio.run(_gathered, context.obj, log or [])
    write_private(file, bundle.packed(file.name))
    if as_json:
        show_json({"file": str(file), "files": sorted(bundle.texts), "left_out": bundle.left_out})
        return
    tell(f"{file} has {', '.join(sorted(bundle.texts))}.")
    for name, why in bundle.left_out.items():
        tell(f"Not in it: {name}: {why}.")
    tell("Look into it before you give it away: names of locks and of this machine are in it, secrets are not.")


async def _gathered(file: Path | None, logs: Sequence[Path]) -> Bundle:
    from bridge.cli import doctor
    from bridge.config import DEFAULT_FILE
    from bridge.doctor.bundle import gather
    from bridge.doctor.machine import Machine

    for each in logs:
        if not each.is_file():
            raise Stop(f"there is no log file {each}", Exit.WRONG)
    seen = await doctor.examined(file)
    return await gather(seen.config, file or DEFAULT_FILE, Machine(), report=seen.report, said=seen.said, logs=logs)
