"""Measures the service's footprint on a machine under systemd and prints a table: `python -m tests.bench.service`.

Runs as root. The installed bridge under its own unit and sandbox, a real mosquitto and bluetoothd; one Nuki lock and
fifty advertisers on the air, outside. The state folder is a file system of its own, so that what its disk writes is the
bridge's doing: data, SQLite's log, and the file system's own journal. Nothing is asserted: figures depend on the
machine, and in a user-mode kernel each system call costs more than elsewhere: processor time is an upper bound.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from tests.bench.__main__ import row
from tests.support.doorstep import LOCK
from tests.support.gateway import Gateway, gateway
from tests.support.mqtt_client import BASE
from tests.support.on_air import beacons
from tests.support.wheels import download

UNIT = "lock-bridge.service"
GROUP = f"/sys/fs/cgroup/system.slice/{UNIT}"
ADVERTISERS = 50
STARTS = 5
IN_FLIGHT = 10
"""Commands that are sent at once."""
POLL = 15
"""Seconds between two looks at the lock."""
SECTOR = 512
DAY = 86400
STATE = "/var/lib/lock-bridge"
OWN_DISK = f"""
systemctl stop lock-bridge
truncate -s 512M /var/state.img
mkfs.ext4 -q /var/state.img
mkdir /run/before
cp -a {STATE}/. /run/before/
mount -o loop,noatime /var/state.img {STATE}
cp -a /run/before/. {STATE}/
chown --reference=/run/before {STATE}
chmod --reference=/run/before {STATE}
basename $(findmnt -no SOURCE {STATE})
"""


class Counters(NamedTuple):
    """What a disk and a service have done."""

    written: int
    """Bytes."""
    flushes: int
    processor: float
    """Seconds."""

    @classmethod
    async def of(cls, door: Gateway, disk: str) -> Counters:
        """Read them, once everything written is on its way to the disk."""
        await door.machine.run("sync")
        fields = (await door.machine.run(f"cat /sys/block/{disk}/stat")).split()
        used = int(await door.machine.property(UNIT, "CPUUsageNSec")) / 1e9
        return cls(int(fields[6]) * SECTOR, int(fields[15]), used)

    def since(self, before: Counters) -> Counters:
        """Return what was done since."""
        return Counters(self.written - before.written, self.flushes - before.flushes, self.processor - before.processor)


async def start_time(door: Gateway) -> float:
    """Restart the service; return how many seconds systemd says it took to READY."""
    await door.machine.run(f"systemctl restart {UNIT}", 60)
    began, ready = [
        int(await door.machine.property(UNIT, f"{what}TimestampMonotonic")) for what in ("InactiveExit", "ActiveEnter")
    ]
    return (ready - began) / 1e6


async def starts(door: Gateway) -> None:
    """Measure the time to READY."""
    times = [await start_time(door) for _ in range(STARTS)]
    row(
        "to READY",
        f"median {statistics.median(times):.2f} s, most {max(times):.2f} s",
        f"{STARTS} starts, systemd's times",
    )


async def memory(door: Gateway) -> None:
    """Measure the memory of the idle service."""
    stat = dict(line.split() for line in (await door.machine.run(f"cat {GROUP}/memory.stat")).splitlines())
    current = int(await door.machine.property(UNIT, "MemoryCurrent"))
    peak = int(await door.machine.run(f"cat {GROUP}/memory.peak"))
    status = await door.machine.run(f"cat /proc/$(systemctl show --value --property=MainPID {UNIT})/status")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    row("resident, idle", f"{resident / 1024:.1f} MiB", "VmRSS, 1 Nuki lock")
    row("memory of the service, idle", f"{current / 2**20:.1f} MiB", "MemoryCurrent, with its part of the file cache")
    row("of it its own", f"{int(stat['anon']) / 2**20:.1f} MiB", "memory.stat: anon")
    row("at most since its start", f"{peak / 2**20:.1f} MiB", "memory.peak")


async def idle(door: Gateway, disk: str, seconds: float) -> None:
    """Measure processor time and writes of a service that has nothing to do."""
    before = await Counters.of(door, disk)
    await anyio.sleep(seconds)
    done = (await Counters.of(door, disk)).since(before)
    setting = f"{ADVERTISERS} advertisers, over {seconds:.0f} s"
    row("processor, idle", f"{100 * done.processor / seconds:.2f} % of a core", f"CPUUsageNSec, {setting}")
    row(
        "written to the disk at rest",
        f"{done.written} bytes, {done.flushes} flushes",
        f"{done.written * DAY / seconds / 1e6:.1f} MB a day, over {seconds:.0f} s",
    )


async def looks(door: Gateway, disk: str, seconds: float) -> None:
    """Measure the writes for looks at a lock where nobody has operated it."""
    file = "/etc/lock-bridge/config.toml"
    await door.machine.run(f"echo 'poll = {POLL}' >>{file} && systemctl restart {UNIT}", 60)
    await door.at_rest()
    before, connections = await Counters.of(door, disk), await connected(door)
    await anyio.sleep(seconds)
    done = (await Counters.of(door, disk)).since(before)
    number = await connected(door) - connections
    await door.machine.run(f"sed -i '/^poll/d' {file} && systemctl restart {UNIT}", 60)
    await door.at_rest()
    row("written for looks at the lock", f"{done.written} bytes, {done.flushes} flushes", f"{number} looks")


async def connected(door: Gateway) -> int:
    """Return how often the bridge has connected to the lock."""
    return sum("radio.connected" in entry["MESSAGE"] for entry in await door.log(f"--unit={UNIT}"))


async def commands(door: Gateway, disk: str, number: int) -> None:
    """Measure the writes for commands over MQTT, each of which moves the bolt."""
    before = await Counters.of(door, disk)
    moved = len(door.moved)
    for first in range(0, number, IN_FLIGHT):
        door.told.clear()
        sent = range(first, min(first + IN_FLIGHT, number))
        bodies = [json.dumps({"action": ("unlock", "lock")[each % 2], "custom_id": f"bench-{each}"}) for each in sent]
        publish = f"mosquitto_pub -V 5 -q 1 -D PUBLISH message-expiry-interval 60 -t {BASE}/locks/{LOCK}/actions -l"
        await door.machine.run(f"printf '%s\\n' {shlex.join(bodies)} | {publish}")
        for each in sent:
            assert (await door.outcome(f"bench-{each}", 120))["status"] == "success"
    done = (await Counters.of(door, disk)).since(before)
    per = 1000 / number
    row(
        "written for 1,000 commands",
        f"{done.written * per / 1e6:.1f} MB, {done.flushes * per:.0f} flushes",
        f"{number} commands, {len(door.moved) - moved} movements",
    )
    row("processor for 1,000 commands", f"{done.processor * per:.0f} s", "CPUUsageNSec")
    held = await door.machine.run(f"du -sb {STATE} | cut -f1")
    row("the state folder holds", f"{int(held) / 1e6:.1f} MB", f"after {number} commands")


async def measure(folder: Path, seconds: float, number: int) -> None:
    """Install the bridge on a machine of its own, and measure it."""
    wheels = folder / "wheels"
    wheels.mkdir()
    async with gateway(folder, wheels, motor_time=0.0, linger=10) as door, beacons(door.ether, ADVERTISERS):
        await anyio.to_thread.run_sync(partial(download, wheels))
        await door.boot()
        await door.install()
        await door.furnish()
        disk = (await door.machine.run(f"set -e; {OWN_DISK}")).strip()
        await door.start()
        await door.at_rest()
        await starts(door)
        await door.at_rest()
        await anyio.sleep(15)  # past the link's lingering
        await memory(door)
        await idle(door, disk, seconds)
        await looks(door, disk, seconds)
        await commands(door, disk, number)
        await memory(door)


async def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60, help="for which the idle service is watched")
    parser.add_argument("--commands", type=int, default=1000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, a user-mode kernel with one\n")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as name:
        await measure(Path(name).absolute(), options.seconds, options.commands)


if __name__ == "__main__":
    anyio.run(main)
