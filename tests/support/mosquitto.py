"""A real mosquitto on a free loopback port, in a directory of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Self

import anyio

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

BINARY = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """One broker; `start` and `kill` may be called again and again, on the same port and with the same store.

    Args:
        directory: where it gets one of its own for its configuration, log and store.
        config: further lines of its configuration; `{directory}` and `{port}` are filled in.
        listener: the listener's lines, by default TCP on `port`.
        durable: whether it has a store, which it writes when told to `save`.
    """

    def __init__(
        self, directory: Path, config: str = "", *, listener: str = "listener {port} 127.0.0.1", durable: bool = False
    ) -> None:
        self.port = free_port()
        self.directory = directory / f"mosquitto-{self.port}"
        self.directory.mkdir()
        self.log = self.directory / "mosquitto.log"
        self.store = self.directory / "mosquitto.db"
        persistence = "persistence true\n" if durable else ""
        text = f"user root\nlog_type all\n{listener}\npersistence_location {{directory}}/\n{persistence}{config}\n"
        if "allow_anonymous" not in config:
            text += "allow_anonymous true\n"
        self._config = self.directory / "mosquitto.conf"
        self._config.write_text(text.format(directory=self.directory, port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    async def start(self) -> None:
        """Start it and return when it listens."""
        before = self._spawn()
        assert self._process is not None
        with anyio.fail_after(10):
            while b" running" not in self.log.read_bytes()[before:]:
                assert self._process.poll() is None, self.log.read_text()
                await anyio.sleep(0.01)

    def _spawn(self) -> int:
        assert BINARY is not None, "mosquitto is not installed"
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen([BINARY, "-c", str(self._config)], stdout=log, stderr=log)
            return before

    def save(self) -> None:
        """Tell it to write its store; it does so in its own time."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
