"""`lock-bridge run`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, cast

import typer


def run(
    context: typer.Context,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run the bridge in the foreground; logs go to standard error."""
    _spare_rich()
    import faulthandler

    import anyio
    import structlog

    from bridge.app import serve
    from bridge.config import load, preflight
    from bridge.service import logs

    faulthandler.enable()  # where the watchdog found it stuck: names of functions, no values
    config = load(context.obj)
    preflight.make_state_dir(config)
    logs.configure(verbose=verbose)
    log = structlog.get_logger()
    for warning in preflight.warnings(config):
        log.warning("unsafe configuration", setting=warning.key, reason=warning.message)
    anyio.run(serve, config)


def _spare_rich() -> None:
    """Import structlog without rich, which it would load for tracebacks that a daemon does not draw: 6 MiB."""
    if "rich" not in sys.modules:
        modules = cast("dict[str, object]", sys.modules)
        modules["rich"] = None  # importing it fails
        import_module("structlog")
        del modules["rich"]
