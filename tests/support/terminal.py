"""A command at a terminal, as a person runs it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.support.daemon import BINARY, environment

if TYPE_CHECKING:
    from types import TracebackType

ENDING = 30.0
"""Seconds that the command has for what is waited for."""

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`lock-bridge` at a terminal of 100 columns.

    Args:
        arguments: of the command.
        more: further variables of its environment.
    """

    def __init__(self, *arguments: str, **more: str) -> None:
        self.raw = ""
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [BINARY, *arguments],
            env=environment({"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **more}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def shown(self) -> str:
        """What was shown so far, without colours and the movements of the cursor."""
        return _CONTROL.sub("", self.raw).replace("\r\n", "\n")

    @property
    def coloured(self) -> bool:
        """Whether anything had a colour or a style."""
        return bool(_STYLE.search(self.raw))

    def until(self, text: str) -> None:
        """Read until it has shown this."""
        deadline = time.monotonic() + ENDING
        while text not in self.shown:
            assert self._read(deadline), f"{text!r} is not in {self.shown!r}"

    def type(self, text: str) -> None:
        """Type at the keyboard."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        deadline = time.monotonic() + ENDING
        while self._read(deadline):
            pass
        return self._process.wait(ENDING)

    def _read(self, deadline: float) -> bool:
        """Read what is there; tell whether more may come."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            part = os.read(self._master, 65536)
        except OSError:  # the last process has closed it
            return False
        self.raw += part.decode(errors="replace")
        return bool(part)
