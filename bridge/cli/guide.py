"""Step by step along a work that a person takes part in: each step is a line, and a terminal shows that it goes on."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import typer

from bridge.cli.boundary import Exit, tell

if TYPE_CHECKING:
    from collections.abc import Generator

    from bridge.cli.tools import Hear, Word


@contextmanager
def guide(stopped: str) -> Generator[Hear]:
    """Give what tells the steps.

    Args:
        stopped: what to say to whoever stops it with Ctrl-C, as long as no new key is kept.
    """
    steps: set[str] = set()
    try:
        with _on_a_terminal() if sys.stderr.isatty() else nullcontext(_tell) as show:

            def hear(word: Word) -> None:
                steps.add(word["step"])
                show(word)

            yield hear
    except KeyboardInterrupt:
        tell(f"\n{_STOPPED_LATE if 'kept' in steps else stopped}")
        raise typer.Exit(Exit.FAILED) from None


@contextmanager
def _on_a_terminal() -> Generator[Hear]:
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with console.status("") as status:

        def hear(word: Word) -> None:
            console.print(f"> {word['message']}", markup=False)
            status.update(_DOING.get(word["step"], ""))

        yield hear


_DOING = {
    "looking": "Listening",
    "sighted": "Waiting until it is ready to pair",
    "found": "Pairing",
    "proving": "Reading its state",
    "undoing": "Asking the lock to forget the key",
    "kept": "Asking the lock to forget the earlier key",
}

_STOPPED_LATE = (
    "Stopped. The new key is kept and in use. If the vendor's app shows the bridge twice in the lock's list of users, "
    "remove the older one."
)


def _tell(word: Word) -> None:
    tell(str(word["message"]))
