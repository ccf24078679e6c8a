"""Measures the budgets and prints a table: `python -m tests.bench [--quick] [--attempts N]`.

A real mosquitto, the journal on disk below the current folder, virtual Nuki locks whose motors take no time. The
application that sends the commands is a process of its own. Nothing is asserted: figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path

import anyio
import structlog

from bridge.app import running
from bridge.config import Config, load
from tests.bench.footprint import footprint
from tests.support.mosquitto import Mosquitto

CONFIG = """
[bridge]
id = "bench"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[commands]
rate_limit = 0
queue_limit = 100
[http]
socket = "api.sock"
[bluetooth]
radio = "virtual"
[homeassistant]
discovery = false
"""
LOCK = """
[[locks]]
id = "lock_{number}"
driver = "nuki"
linger = 300
[locks.virtual]
motor_time = 0.0
"""


def configuration(folder: Path, port: int, locks: int) -> Config:
    """Write and read the configuration of a bridge with so many virtual locks."""
    folder.mkdir()
    (folder / "state").mkdir()
    file = folder / "config.toml"
    file.write_text(CONFIG.format(port=port) + "".join(LOCK.format(number=number) for number in range(locks)))
    return load(file, environ={})


async def client(port: int, locks: int, total: int, in_flight: int) -> dict[str, object]:
    """Run the application's side."""
    command = [sys.executable, "-m", "tests.bench.client", "--port", str(port), "--base", "lockbridge/bench"]
    command += ["--locks", str(locks), "--total", str(total), "--in-flight", str(in_flight)]
    done = await anyio.run_process(command, stderr=None)
    found: dict[str, object] = json.loads(done.stdout)
    return found


async def latency(folder: Path, port: int, total: int) -> None:
    """From the broker's PUBLISH to the actuating write, over an open link, one command at a time."""
    async with running(configuration(folder / "latency", port, 1)) as bridge:
        movements = bridge.twins["lock_0"].movements
        await client(port, 1, 50, 1)  # the link is open and everything is imported
        movements.clear()
        found = await client(port, 1, total, 1)
        times = sorted((movement.at - sent) * 1000 for movement, sent in zip(movements, found["sent"], strict=True))
    cut = statistics.quantiles(times, n=100)
    row("PUBLISH to actuating write, open link", f"p50 {cut[49]:.2f} ms, p99 {cut[98]:.2f} ms", f"{total} commands")


async def throughput(folder: Path, port: int, total: int, locks: int = 100, in_flight: int = 2) -> None:
    """Attempts a second over many locks, and the memory along the way."""
    async with running(configuration(folder / "throughput", port, locks)) as bridge:
        resident: list[float] = []
        async with anyio.create_task_group() as group:
            group.start_soon(_watch_memory, bridge.twins, resident)
            found = await client(port, locks, total, in_flight)
            group.cancel_scope.cancel()
    rate = total / float(str(found["seconds"]))
    row(
        f"{locks} locks, {in_flight} in flight each",
        f"{rate:.0f} attempts/s",
        f"{total} attempts, {len(found['failures'])} failed",  # type: ignore[arg-type] # a list
    )
    tenth = len(resident) // 10
    if tenth:
        early, late = resident[tenth], resident[-1]
        row("resident over that run", f"{early:.0f} MiB at 10 %, {late:.0f} MiB at the end", "daemon and virtual locks")


async def _watch_memory(twins: object, resident: list[float]) -> None:
    while True:
        for twin in twins.values():
            twin.movements.clear()
        resident.append(_resident(os.getpid()))
        await anyio.sleep(0.5)


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def row(what: str, figure: str, setting: str) -> None:
    """Print a row of the table."""
    print(f"| {what:<42} | {figure:<46} | {setting:<40} |", flush=True)


async def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--attempts", type=int, default=20_000, help="for the throughput figure")
    options = parser.parse_args()
    part = 10 if options.quick else 1
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as name:
        folder = Path(name).absolute()
        print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores\n")
        async with Mosquitto(folder, "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true") as broker:
            await latency(folder, broker.port, 2000 // part)
            await throughput(folder, broker.port, options.attempts // part)
            await footprint(folder, broker.port, row, seconds=20 / part)


if __name__ == "__main__":
    anyio.run(main)
