"""A hundred locks and ten thousand commands at once: each is answered, in order, and the bridge stays its size.

Only MQTT's flow control paces them. `LOCK_BRIDGE_LONG=1` goes on for ten minutes, `LOCK_BRIDGE_SOAK=3` for three.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.burst import Burst, Sent, stretches
from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import LockHost, hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.seed import SEED

LONG = bool(os.environ.get("LOCK_BRIDGE_LONG"))
SOAK = float(os.environ.get("LOCK_BRIDGE_SOAK", "10" if LONG else "0.2"))
"""Minutes."""
COMMANDS = 10_000 if LONG else 1000
"""In one burst, where they are carried out."""
MORE_COMMANDS = 10_000
"""In one burst, where most are refused."""
LOCKS = tuple(f"lock_{number}" for number in range(100))
LINGER = "linger = 300\n"
QUEUE_LIMIT, RATE_LIMIT = 4, 3
RATE_WINDOW = 60.0
UNBOUNDED = "max_queued_messages 0"
"""For the broker, which else drops what the bridge has not taken yet."""
FIRST_GROWTH = 24.0
"""MiB that the first burst may add: buffers and caches that are filled once."""
GROWTH = 8.0
"""MiB that all the bursts after it may add."""
RESIDENT = ("resident MiB at the beginning", "resident MiB after the first burst", "resident MiB at the end")


@pytest.fixture
def anyio_backend():
    return "asyncio"  # whose clock is the monotonic one, so movements and messages have comparable times


@dataclass
class Scene:
    """A bridge with a hundred locks."""

    host: LockHost
    upstream: Upstream
    daemon: Daemon
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))

    async def burst(self, lock_ids, *codes: str) -> tuple[list[Sent], Counter[str]]:
        """Send a command to each of the locks; return them and their figures once all is over and as it should be."""
        self.upstream.heard.clear()
        burst = Burst(self.upstream, self.host)
        await burst.send(lock_ids, self.dice)
        await burst.settled()
        figures, trouble = burst.judge(codes, QUEUE_LIMIT)
        assert not trouble, f"seed {SEED}: {figures}\n" + "\n".join(trouble[:50])
        return [*burst.sent.values()], figures


@asynccontextmanager
async def staged(tmp_path, rate_limit: int):
    commands = f"rate_limit = {rate_limit}\nqueue_limit = {QUEUE_LIMIT}"
    async with (
        Mosquitto(tmp_path, UNBOUNDED) as broker,
        hosting(tmp_path, *LOCKS) as host,
        Upstream(broker.port) as upstream,
        Daemon(
            tmp_path, configuration(broker.port, *LOCKS, air=host.air, lock=LINGER, commands=commands), upstream
        ) as daemon,
    ):
        yield Scene(host, upstream, daemon)
        assert await daemon.stop() == 0


@pytest.mark.timeout(1200 + 60 * SOAK)
async def test_p2_p5_burst_after_burst_is_carried_out_once_and_in_order_in_flat_memory(tmp_path, figures):
    async with staged(tmp_path, rate_limit=0) as scene:
        await scene.burst(LOCKS)  # now each of them is connected
        began, total = time.monotonic(), Counter()
        resident = [scene.daemon.resident]
        while len(resident) < 3 or time.monotonic() - began < 60 * SOAK:
            _, found = await scene.burst(stretches(LOCKS, COMMANDS, scene.dice), "DEVICE_BUSY")
            total.update(found)
            resident.append(scene.daemon.resident)
            minutes = (time.monotonic() - began) / 60
            figures |= {"seed": SEED, "soak minutes": round(minutes, 1), "locks": len(LOCKS), **total}
            figures |= dict(zip(RESIDENT, (round(each, 1) for each in (*resident[:2], resident[-1])), strict=True))
    assert total["refused DEVICE_BUSY"]
    assert resident[1] < resident[0] + FIRST_GROWTH
    assert resident[-1] < resident[1] + GROWTH


@pytest.mark.timeout(1200)
async def test_no_burst_gets_past_the_limits(tmp_path, figures):
    async with staged(tmp_path, RATE_LIMIT) as scene:
        began = time.monotonic()
        commands, found = await scene.burst(stretches(LOCKS, MORE_COMMANDS, scene.dice), "DEVICE_BUSY", "RATE_LIMITED")
        windows = 1 + (time.monotonic() - began) // RATE_WINDOW
        figures |= {"seed": SEED, "locks": len(LOCKS), **found}
    taken: Counter[tuple[str, str]] = Counter()
    for command in commands:
        what = command.lock_id, command.action
        assert command.code != "RATE_LIMITED" or taken[what] >= RATE_LIMIT
        taken[what] += command.action_id is not None
    assert found["refused DEVICE_BUSY"]
    assert found["refused RATE_LIMITED"]
    assert max(taken.values()) <= windows * RATE_LIMIT
