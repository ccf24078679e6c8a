"""Where the command line begins and ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from bridge.cli.app import app
from bridge.cli.boundary import Exit, advise, fail, leaves, stopped
from bridge.service import core_dumps


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line.

    Args:
        arguments: without the program's name; by default those of the process.

    Raises:
        SystemExit: always, with one of `Exit`.
    """
    try:
        core_dumps.forbid()  # before any secret is read: it is not the daemon alone that handles keys
        app(arguments, prog_name="lock-bridge")
    except Exception as error:
        if any(isinstance(leaf, BrokenPipeError) for leaf in leaves(error)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; exit without a word
            sys.exit(Exit.FAILED)
        stop = stopped(error)
        if stop is None:
            raise
        fail(str(stop))
        advise(stop.advice)
        sys.exit(stop.code)
    sys.exit(Exit.DONE)
