"""A machine under systemd (`tests/bluez/lab/boot`): its power, what it is told to do, its adapter's controller.

What outlives it is outside: the disk, the air, the locks.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from bumble.hci import Address

from tests.bluez.lab.cable import LENGTH
from tests.bluez.lab.controller import HostController
from tests.support.virtual_adapter import ADDRESS

if TYPE_CHECKING:
    from tests.bluez.lab.air import Ether

BOOT = Path(__file__).parents[1] / "bluez/lab/boot"
BOOTING = 60.0
"""Seconds in which the slowest of machines takes commands."""


class CommandFailed(Exception):
    """A command on the machine exited with another code than 0, or took too long."""


class Line:
    """A serial line of the machine's.

    Args:
        hear: takes what comes, as it comes.
    """

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._here, self.there = socket.socketpair()
        asyncio.get_running_loop().add_reader(self._here, self._read)

    def send(self, data: bytes) -> None:
        """Send; nobody hears it once the machine is off."""
        if self._here.fileno() != -1:
            self._here.sendall(data)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._here)
        self._here.close()
        self.there.close()

    def _read(self) -> None:
        self._hear(self._here.recv(65536))


class Cable:
    """Where the HCI packets of the machine's adapter come and go."""

    def __init__(self) -> None:
        self.line = Line(self._hear)
        self.receive: Callable[[bytes], None] | None = None
        """Gets every packet that the kernel sends."""
        self._heard = b""

    def on_packet(self, packet: bytes) -> None:
        """Hand a packet to the kernel."""
        self.line.send(len(packet).to_bytes(LENGTH, "little") + packet)

    def _hear(self, data: bytes) -> None:
        self._heard += data
        while len(self._heard) >= LENGTH:
            end = LENGTH + int.from_bytes(self._heard[:LENGTH], "little")
            if len(self._heard) < end:
                return
            packet, self._heard = self._heard[LENGTH:end], self._heard[end:]
            if self.receive is not None:
                self.receive(packet)


class Machine:
    """One machine; it may be booted, and its power cut, again and again.

    Args:
        disk: the image of its disk, made at the first boot.
        ether: what its adapter hears.
        address: its adapter's.
        overheard: takes the lines that come from the machine's /dev/ttyS2.
    """

    def __init__(
        self, disk: Path, ether: Ether, overheard: Callable[[str], None] = lambda _: None, *, address: str = ADDRESS
    ) -> None:
        self.address = address
        self._disk = disk
        self._ether = ether
        self._overheard = overheard
        self._process: subprocess.Popen[bytes] | None = None
        self._controller: HostController | None = None
        self._lines: list[Line] = []
        self._done: dict[int, dict[str, object]] = {}
        self._ends: defaultdict[int, anyio.Event] = defaultdict(anyio.Event)
        self._asked = 0

    @property
    def alive(self) -> bool:
        """Whether it has power."""
        return self._process is not None and self._process.poll() is None

    async def boot(self) -> None:
        """Switch it on; return once it takes commands."""
        self.cut()
        cable = Cable()
        self._controller = HostController(
            self.address, host_sink=cable, link=self._ether, public_address=Address(self.address, 0)
        )
        cable.receive = self._controller.on_packet
        self._hand = Line(_lines(self._on_done))
        self._lines = [self._hand, cable.line, Line(_lines(self._overheard))]
        self._done.clear()
        self._ends.clear()
        ends = [line.there.fileno() for line in self._lines]
        self._process = subprocess.Popen(  # noqa: ASYNC220 - its lines are served while it boots
            [BOOT, self._disk, *map(str, ends)], pass_fds=ends, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            await self._ended(0, BOOTING)
        except BaseException:
            self.cut()
            raise

    def pull(self) -> None:
        """Pull the plug, at this very moment; `cut` clears away."""
        assert self._process is not None
        self._process.kill()

    def cut(self) -> None:
        """Cut its power, if it has any, and clear away what was plugged into it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        for line in self._lines:
            line.close()
        self._lines = []
        if self._controller is not None:
            self._controller.silence()
            self._ether.remove_controller(self._controller)
            self._controller = None

    async def run(self, command: str, patience: float = 30.0) -> str:
        """Carry out a command of the shell's as root; return what it printed.

        Raises:
            CommandFailed: it failed.
        """
        number = self.begin(command)
        done = await self._ended(number, patience)
        if done["code"] != 0:
            raise CommandFailed(f"{command}\nexited with {done['code']}:\n{done['out']}{done['err']}")
        return str(done["out"])

    def begin(self, command: str) -> int:
        """Have a command carried out, and do not wait for it; return its number."""
        self._asked += 1
        self._hand.send(json.dumps({"id": self._asked, "command": command}).encode() + b"\n")
        return self._asked

    async def write(self, path: str, text: str) -> None:
        """Write a file, its folder included."""
        await self.run(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} >{path}")

    async def property(self, unit: str, name: str) -> str:
        """Return what systemd says of a unit."""
        return (await self.run(f"systemctl show --value --property={name} {unit}")).strip()

    async def until(self, command: str, patience: float = 30.0) -> None:
        """Return once a command succeeds."""
        await self.run(f"until {command}; do sleep 0.1; done >/dev/null", patience)

    async def _ended(self, number: int, patience: float) -> dict[str, object]:
        with anyio.move_on_after(patience):
            await self._ends[number].wait()
            return self._done.pop(number)
        raise CommandFailed(f"command {number} has not ended after {patience} s")

    def _on_done(self, line: str) -> None:
        done = json.loads(line)
        self._done[done["id"]] = done
        self._ends[done["id"]].set()


def _lines(hear: Callable[[str], None]) -> Callable[[bytes], None]:
    """Return what takes data and hands on whole lines of it."""
    heard = b""

    def take(data: bytes) -> None:
        nonlocal heard
        *lines, heard = (heard + data).split(b"\n")
        for line in lines:
            hear(line.decode())

    return take
