"""Measures on a real BlueZ and prints a table: `tests/bluez/lab/run .venv/bin/python -m tests.bench.bluez`.

A virtual Nuki lock on the air of a virtual adapter, the daemon as a process of its own, a real mosquitto. Beside the
bridge a bare bleak script operates the same lock, in turns with it: both over cold links, both with a scan running and
the lock heard. Each begins at any moment between two advertisements, for which a connection waits. Nothing is asserted:
figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread

from tests.bench.__main__ import row
from tests.bluez.lab.air import Ether, Moment
from tests.support.doorstep import ADDRESS, LOCK, doorstep
from tests.support.eventually import eventually
from tests.support.on_air import INTERVAL, beacons
from tests.support.virtual_adapter import virtual_adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.doorstep import Doorstep
    from tests.support.virtual_adapter import Adapter

ADVERTISERS = 50
TURNS = 3
"""How often bridge and script take turns."""
ACTIONS = ("unlock", "lock")
MOTOR = 1.0
"""Seconds that the bolt takes over a cold link, as a quick lock's does; over a warm one it takes none."""
OUTCOME = "events/lock.action_completed/+"


@asynccontextmanager
async def standing(
    adapter: Adapter, folder: Path, *, linger: float, motor_time: float = 0.0
) -> AsyncIterator[Doorstep]:
    """A lock and a daemon that knows its state."""
    folder.mkdir()
    async with doorstep(adapter, folder, motor_time=motor_time, linger=linger) as door, door.daemon:
        await door.upstream.first("locks/+/state", lock_state="locked")
        yield door


class Times(NamedTuple):
    """Seconds from a beginning to where something came to."""

    connection: float
    """The request for it was on the air."""
    motor: float
    """It turned."""
    outcome: float
    """It was known, or told."""
    processor: float
    """For so long the process ran meanwhile."""


PLACES = {"connection": "asked for on the air", "motor": "to the motor", "outcome": "to the outcome"}


def timed(door: Doorstep, asked: list[float], began: float, outcome: float, processor: float) -> Times:
    """Return the times of an operation."""
    return Times((asked or [began])[-1] - began, door.twin.lock.movements[-1].at - began, outcome, processor)


async def any_moment() -> None:
    """Let a second pass, and a part of the time between two advertisements."""
    await anyio.sleep(1 + random.random() * INTERVAL / 1000)


def asking(door: Doorstep) -> list[float]:
    """Return the list in which the time of the next request for a connection will be."""
    asked: list[float] = []
    door.ether.at(Moment.CONNECT, ADDRESS, lambda: asked.append(anyio.current_time()))
    return asked


async def once(door: Doorstep, action: str, custom_id: str) -> Times:
    """Send a command; return how long everything took from its PUBLISH."""
    asked = asking(door)
    ran, began = processor_time(door.daemon.pid), anyio.current_time()
    await door.upstream.command(LOCK, {"action": action, "custom_id": custom_id}, wait=False)
    event = await door.upstream.first(OUTCOME, custom_id=custom_id)
    ran = processor_time(door.daemon.pid) - ran
    assert event.body["status"] == "success", event.body
    door.ether.heal(ADDRESS)
    return timed(door, asked, began, event.at - began, ran)


async def by_bridge(adapter: Adapter, folder: Path, rounds: int) -> list[Times]:
    """Operate the lock over cold links by the bridge."""
    times = []
    async with standing(adapter, folder, linger=0, motor_time=MOTOR) as door:
        for number in range(rounds):
            await eventually(lambda: not door.connected)
            await any_moment()
            times.append(await once(door, ACTIONS[number % 2], str(number)))
        assert await door.daemon.stop() == 0
    return times


async def by_script(adapter: Adapter, folder: Path, rounds: int) -> list[Times]:
    """Operate the lock over cold links by the bare script."""
    folder.mkdir()
    times = []
    async with doorstep(adapter, folder, motor_time=MOTOR) as door:
        key = folder / "state" / "credentials" / f"{LOCK}.json"
        script = subprocess.Popen(  # noqa: ASYNC220 - its input and output are lines
            [sys.executable, "-m", "tests.bench.bare", ADDRESS, str(key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        with script:
            assert script.stdin is not None
            assert script.stdout is not None
            assert await anyio.to_thread.run_sync(script.stdout.readline) == "ready\n"
            for number in range(rounds):
                await any_moment()
                asked = asking(door)
                script.stdin.write(f"{ACTIONS[number % 2]}\n")
                found = json.loads(await anyio.to_thread.run_sync(script.stdout.readline))
                times.append(timed(door, asked, found["began"], found["seconds"], found["processor"]))
            script.stdin.close()
            await anyio.to_thread.run_sync(script.wait)  # the adapter is of this process, and has to go on
    return times


async def cold(adapter: Adapter, folder: Path, rounds: int) -> None:
    """Compare the bridge with the script."""
    bridge: list[Times] = []
    script: list[Times] = []
    for turn in range(TURNS):
        script += await by_script(adapter, folder / f"script-{turn}", rounds)
        bridge += await by_bridge(adapter, folder / f"bridge-{turn}", rounds)
    for place, what in PLACES.items():
        bare, ours = median(script, place), median(bridge, place)
        row(
            f"cold link, {what}: bleak alone",
            f"p50 {bare:.0f} ms, {spread(script, place)}",
            f"{len(script)} connections",
        )
        row(
            f"cold link, {what}: the bridge",
            f"p50 {ours:.0f} ms ({100 * (ours / bare - 1):+.0f} %), {spread(bridge, place)}",
            f"{len(bridge)} commands over MQTT",
        )
    for who, times in (("bleak alone", script), ("the bridge", bridge)):
        mean = 1000 * statistics.mean(each.processor for each in times)
        row(f"cold link, processor time: {who}", f"{mean:.0f} ms each", f"{len(times)} operations")


async def warm(adapter: Adapter, folder: Path, rounds: int) -> None:
    """Operate a lock whose link is open."""
    async with standing(adapter, folder / "warm", linger=300) as door:
        times = [await once(door, ACTIONS[number % 2], str(number)) for number in range(rounds)]
    for place in ("motor", "outcome"):
        figure = f"p50 {median(times, place):.0f} ms, {spread(times, place)}"
        row(f"warm link, {PLACES[place]}", figure, f"{len(times)} commands over MQTT")


async def idle(adapter: Adapter, folder: Path, seconds: float) -> None:
    """Measure the processor time of a daemon that has nothing to do."""
    async with beacons(adapter.ether, ADVERTISERS), standing(adapter, folder / "idle", linger=0) as door:
        await eventually(lambda: not door.connected)
        await anyio.sleep(10)
        watched: dict[str, Callable[[], float]] = {
            "the bridge": lambda: processor_time(door.daemon.pid),
            "bluetoothd": lambda: sum(processor_time(pid) for pid in processes("bluetoothd")),
            "dbus-daemon": lambda: sum(processor_time(pid) for pid in processes("dbus-daemon")),
        }
        before = {name: read() for name, read in watched.items()}
        await anyio.sleep(seconds)
        for name, read in watched.items():
            used = 100 * (read() - before[name]) / seconds
            row(f"CPU, idle: {name}", f"{used:.2f} % of a core", f"{ADVERTISERS} advertisers, one a second each")


def median(times: list[Times], place: str) -> float:
    """Return the median in milliseconds."""
    return statistics.median(getattr(each, place) for each in times) * 1000


def spread(times: list[Times], place: str) -> str:
    """Return the middle half, in milliseconds."""
    low, _, high = statistics.quantiles((getattr(each, place) * 1000 for each in times), n=4)
    return f"middle half {low:.0f} to {high:.0f}"


def processes(name: str) -> list[int]:
    """Return the ids of the processes of a name."""
    found = (path for path in Path("/proc").iterdir() if path.name.isdigit())
    return [int(path.name) for path in found if (path / "comm").read_text().strip() == name]


def processor_time(pid: int) -> float:
    """Return how many seconds a process has run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15, help="operations in each turn")
    parser.add_argument("--seconds", type=float, default=30, help="for which an idle bridge is watched")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as name:
        folder = Path(name).absolute()
        async with virtual_adapter(Ether()) as adapter:
            await cold(adapter, folder, options.rounds)
            await warm(adapter, folder, 4 * options.rounds)
            await idle(adapter, folder, options.seconds)


if __name__ == "__main__":
    anyio.run(main)
