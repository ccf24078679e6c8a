"""The daemon as a process of its own, started, stopped and killed as a service manager and a power cut do."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.support.mqtt_client import Upstream

BINARY = Path(sys.executable).with_name("lock-bridge")
FOOD = "WATCHDOG=1"
ENDING = 30.0
"""Seconds that the daemon has for ending."""


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Return this process' environment without what would configure a bridge."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("LOCK_BRIDGE", "NOTIFY_"))}
    return ours | (more or {})


def configuration(
    port: int, *locks: str, air: Path | None = None, driver: str = "nuki", lock: str = "", **tables: str
) -> str:
    """Return a configuration with virtual locks; further tables' lines by the table's name.

    Args:
        port: the broker's.
        locks: their ids.
        air: the socket at which another process hosts them.
        driver: of each of them.
        lock: lines for each of them.
        tables: lines of `[bridge]`, `[mqtt]`, `[commands]`, ...
    """
    lines = {
        "bridge": ['id = "g1"', 'state_dir = "state"'],
        "mqtt": [f'url = "mqtt://127.0.0.1:{port}"'],
        "http": ['socket = "api.sock"'],
        "bluetooth": ['radio = "virtual"', *([f'virtual_air = "{air}"'] if air else [])],
    }
    for table, more in tables.items():
        lines.setdefault(table, []).append(more)
    text = [f"[{table}]\n" + "\n".join(content) for table, content in lines.items()]
    text += [f'[[locks]]\nid = "{lock_id}"\ndriver = "{driver}"\n{lock}' for lock_id in locks]
    return "\n".join(text) + "\n"


class Daemon:
    """One bridge; `start`, `kill` and `stop` may be called again and again, over the same state folder.

    Args:
        directory: where its configuration, log and state folder are.
        config: its configuration.
        upstream: hears when it takes commands.
        program: what is run, with the daemon's arguments.
    """

    def __init__(
        self, directory: Path, config: str, upstream: Upstream, program: Sequence[str | Path] = (BINARY,)
    ) -> None:
        self._upstream = upstream
        self._program = program
        self.file = directory / "config.toml"
        self.file.write_text(config)
        self.state_dir = directory / "state"
        self._log = directory / "daemon.log"
        self._log_before = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._notify: socket.socket | None = None
        self._heard: list[str] = []

    async def __aenter__(self) -> Self:
        try:
            await self.serve()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            sys.stderr.write(self.log)

    @property
    def log(self) -> str:
        """What it has written to standard error since its latest start."""
        return self._log.read_bytes()[self._log_before :].decode() if self._log.exists() else ""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process' id."""
        assert self._process is not None
        return self._process.pid

    @property
    def resident(self) -> float:
        """The process' resident memory in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def launch(self, **more: str) -> None:
        """Start it and do not wait.

        Args:
            more: further variables of its environment.
        """
        address = f"lock-bridge-test-{secrets.token_hex(8)}"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notify.bind(f"\0{address}")
        self._heard = []
        with self._log.open("ab") as log:
            self._log_before = log.tell()
            self._process = subprocess.Popen(
                [*self._program, "--config", str(self.file), "run"],
                env=environment({"NOTIFY_SOCKET": f"@{address}", **more}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def start(self, **more: str) -> None:
        """Start it and return when it is ready.

        Args:
            more: further variables of its environment.
        """
        self.launch(**more)
        await self.told("READY=1")

    async def told(self, state: str, times: int = 1) -> None:
        """Return once the service manager has been told of a state so many times since the start."""
        with anyio.fail_after(ENDING):
            while self.notes.count(state) < times:
                assert self.alive, self.log
                await self._listen(0.1)

    async def starved(self, seconds: float) -> None:
        """Return once its watchdog has not been fed for so long, as the service manager finds out."""
        with anyio.fail_after(ENDING):
            fed, until = self.notes.count(FOOD), anyio.current_time() + seconds
            while (left := until - anyio.current_time()) > 0:
                await self._listen(left)
                if self.notes.count(FOOD) > fed:
                    fed, until = self.notes.count(FOOD), anyio.current_time() + seconds

    async def serve(self, **more: str) -> None:
        """Start it and return when it takes commands.

        Args:
            more: further variables of its environment.
        """
        before = len(self._upstream.having("status", online=True))
        await self.start(**more)
        await self._upstream.first("status", before + 1, online=True)

    @property
    def notes(self) -> list[str]:
        """What the service manager has been told since the start."""
        assert self._notify is not None
        with suppress(BlockingIOError):
            while True:
                self._heard += self._notify.recv(4096).decode().splitlines()
        return self._heard

    async def _listen(self, seconds: float) -> None:
        """Wait for the next note, for a while."""
        assert self._notify is not None
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(self._notify)

    async def logged(self, text: str) -> None:
        """Return once it has written something to its log."""
        with anyio.fail_after(ENDING):
            while text not in self.log:
                assert self.alive, self.log
                await anyio.sleep(0.02)

    def kill(self) -> None:
        """Kill it, as a power cut would, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._forget()

    def terminate(self) -> None:
        """Ask it to end, as the service manager does."""
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end and return its exit code; that of a killed one is the signal's, negated."""
        assert self._process is not None
        code = await anyio.to_thread.run_sync(partial(self._process.wait, ENDING))
        self._process = None
        self._forget()
        return code

    async def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.terminate()
        return await self.ended()

    def _forget(self) -> None:
        if self._notify is not None:
            self._notify.close()
            self._notify = None


async def command_line(*arguments: str, through: Sequence[str] = (), **more: str) -> subprocess.CompletedProcess[str]:
    """Run `lock-bridge` to its end.

    Args:
        arguments: of the command.
        through: a command that runs it.
        more: further variables of its environment.
    """
    return await anyio.to_thread.run_sync(
        partial(
            subprocess.run,
            [*through, BINARY, *arguments],
            env=environment(more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ENDING,
            check=False,
        )
    )
