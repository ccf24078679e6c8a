"""Start time, resident memory and idle CPU of the daemon as a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from bridge.ble.airsocket import AirServer
from bridge.keys.credentials import Credentials
from drivers.nuki import NukiDriver
from drivers.virtual.peripheral import VirtualSettings

ADVERTISERS = 50
CONFIG = """
[bridge]
id = "bench"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[http]
socket = "api.sock"
[bluetooth]
radio = "virtual"
virtual_air = "air.sock"
[[locks]]
id = "lock_0"
driver = "nuki"
address = "02:00:00:00:00:00"
"""


async def footprint(folder: Path, port: int, row: Callable[[str, str, str], None], seconds: float) -> None:
    """Measure a daemon with one lock while fifty advertise around it."""
    home = folder / "footprint"
    (home / "state").mkdir(parents=True)
    (home / "config.toml").write_text(CONFIG.format(port=port))
    driver = NukiDriver()
    twins = {}
    for number in range(ADVERTISERS):
        address = f"02:00:00:00:00:{number:02X}"
        twins[address], credential = driver.twin(address, f"lock_{number}", VirtualSettings())
        if number == 0:
            Credentials(home / "state").store("lock_0", driver, credential)
    async with anyio.create_task_group() as group:
        await group.start(AirServer(twins, str(home / "air.sock")).run)
        await _measure(home, row, seconds)
        group.cancel_scope.cancel()


async def _measure(home: Path, row: Callable[[str, str, str], None], seconds: float) -> None:
    starts: list[float] = []
    for _ in range(4):
        process, ready = await _start(home)
        starts.append(ready)
        process.terminate()
        await anyio.to_thread.run_sync(process.wait)
    row(
        "start to READY",
        f"median {sorted(starts[1:])[1]:.2f} s, first {starts[0]:.2f} s",
        "a process of its own, 1 lock",
    )
    process, _ = await _start(home)
    await anyio.sleep(15)  # past the first read and its lingering link
    before = _cpu(process.pid)
    await anyio.sleep(seconds)
    used = _cpu(process.pid) - before
    memory = next(
        line.split()[1] for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line[:6] == "VmRSS:"
    )
    row("resident, idle", f"{int(memory) / 1024:.1f} MiB", "1 Nuki lock")
    row("CPU, idle", f"{100 * used / seconds:.2f} % of a core", f"{ADVERTISERS} advertisers, over {seconds:.0f} s")
    process.terminate()
    await anyio.to_thread.run_sync(process.wait)


async def _start(home: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Start the daemon; return it and how many seconds it took to READY."""
    path = home / "notify.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(path))
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: ASYNC220 - it is to be measured from its very start
            [str(Path(sys.executable).with_name("lock-bridge")), "--config", str(home / "config.toml"), "run"],
            env={**os.environ, "NOTIFY_SOCKET": str(path)},
            stderr=subprocess.DEVNULL,
        )
        while b"READY=1" not in await anyio.to_thread.run_sync(notified.recv, 1024):
            pass
        return process, time.monotonic() - began


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
