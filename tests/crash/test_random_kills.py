"""SIGKILL at any moment under load loses nothing and repeats nothing.

`LOCK_BRIDGE_KILLS=200` makes the run longer.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import anyio
import pytest

from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import LockHost, hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Heard, Upstream
from tests.support.oracle import by_attempt, is_true, same
from tests.support.seed import SEED

KILLS = int(os.environ.get("LOCK_BRIDGE_KILLS", "25"))
LOCKS = ("north", "east", "south", "west")
PACE = 0.2
"""Seconds between two commands for one lock."""
EXPIRY = 15
"""Seconds for which a command is good."""
ROUNDING = 1.5
"""Seconds that the broker's whole seconds, and the way to it, may add."""


@pytest.fixture
def anyio_backend():
    return "trio"


@dataclass
class Sent:
    """A command and what was said of it."""

    lock_id: str
    action: str
    at: float
    replies: list[Any] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)

    @property
    def accepted_as(self) -> set[str]:
        return {reply["action_id"] for reply in self.replies if "action_id" in reply}


class Load:
    """Sends commands to every lock without waiting for what becomes of them."""

    def __init__(self, upstream: Upstream, dice: random.Random) -> None:
        self._upstream = upstream
        self._dice = dice
        self.sent: dict[str, Sent] = {}

    async def run(self) -> None:
        while True:
            for lock_id in LOCKS:
                await self._send(lock_id)
                await anyio.sleep(PACE / len(LOCKS))

    async def _send(self, lock_id: str) -> None:
        custom_id = f"{lock_id}-{len(self.sent)}"
        action = ("unlock", "lock")[len(self.sent) // len(LOCKS) % 2]
        self.sent[custom_id] = Sent(lock_id, action, anyio.current_time())
        body = {"action": action, "custom_id": custom_id}
        for _ in range(1 + (self._dice.random() < 0.2)):  # some senders send again what they are not sure of
            await self._upstream.command(lock_id, body, wait=False, MessageExpiryInterval=EXPIRY)


async def kill_again_and_again(daemon: Daemon, dice: random.Random) -> None:
    """Kill the daemon under way, now and then before it is ready, and start it again."""
    for _ in range(KILLS):
        if dice.random() < 0.2:
            await anyio.sleep(dice.uniform(0.1, 0.6))
        else:
            await daemon.told("READY=1")
            await anyio.sleep(dice.uniform(0.0, 1.2))
        assert daemon.alive, daemon.log
        daemon.kill()
        daemon.launch()
    await daemon.told("READY=1")


async def drain(upstream: Upstream) -> None:
    """Return once every lock has ended what it was asked."""
    for lock_id in LOCKS:
        custom_id = await fence(upstream, lock_id)
        await upstream.until(partial(ended, upstream, lock_id, custom_id), patience=90)


async def fence(upstream: Upstream, lock_id: str) -> str:
    """Have a last command accepted, as soon as there is room for it; return its `custom_id`."""
    for number in count(1):
        custom_id = f"fence-{lock_id}-{number}"
        await upstream.command(lock_id, {"action": "lock", "custom_id": custom_id}, MessageExpiryInterval=60)
        reply = (await upstream.reply(lock_id, custom_id=custom_id)).body
        if "action_id" in reply:
            break
        assert reply["error_code"] == "DEVICE_BUSY"
        await anyio.sleep(0.5)
    return custom_id


def ended(upstream: Upstream, lock_id: str, custom_id: str) -> list[Heard]:
    """Return the event that tells that an attempt has ended."""
    events = upstream.on(f"events/+/{lock_id}")
    return [each for each in events if "/action_attempt." in each.topic and each.user["custom_id"] == custom_id]


@pytest.mark.timeout(120 + 6 * KILLS)
async def test_p1_p2_p5_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path, figures):
    dice = random.Random(SEED)
    async with (
        Mosquitto(tmp_path) as broker,
        hosting(tmp_path, *LOCKS, motor_time=0.15) as host,
        Upstream(broker.port) as upstream,
        Daemon(
            tmp_path, configuration(broker.port, *LOCKS, air=host.air, commands="rate_limit = 0"), upstream
        ) as daemon,
    ):
        daemon.kill()
        daemon.launch()
        load = Load(upstream, dice)
        async with anyio.create_task_group() as group:
            group.start_soon(load.run)
            await kill_again_and_again(daemon, dice)
            group.cancel_scope.cancel()
        await drain(upstream)
        assert await daemon.stop() == 0
        figures |= {"seed": SEED, "kills survived": KILLS}
        judge(load.sent, upstream, host, figures)


def judge(sent: dict[str, Sent], upstream: Upstream, host: LockHost, figures: dict[str, object]) -> None:
    """Check the promises against what the locks' motors did."""
    for reply in upstream.on("locks/+/actions/reply"):
        if (custom_id := reply.body.get("custom_id")) in sent:
            sent[custom_id].replies.append(reply.body)
    completed = by_attempt(upstream.on("events/lock.action_completed/+"))
    attempts = by_attempt([each for each in upstream.on("events/#") if "/action_attempt." in each.topic])
    for told in completed.values():
        if command := sent.get(told[0].body["custom_id"]):
            command.outcomes.append(told[0].body)
    moved = Counter(movement.tag.decode() for movement in host.movements)
    figures |= figures_of(sent, completed, moved)

    trouble = [
        *(f"{custom_id}: {told}" for custom_id, command in sent.items() for told in broken(command, host)),
        *(f"{each}: P2: moved the bolt {times} times" for each, times in moved.items() if times > 1),
        *(f"{each}: P5: more than one outcome" for each, told in completed.items() if not same(told)),
        *(f"{each}: P5: not one event of each kind" for each in completed if not same(attempts.get(each, []))),
        *(f"{told[0].body}: P6: false" for told in completed.values() if not is_true(told[0].body, moved)),
    ]
    assert not trouble, f"seed {SEED}:\n" + "\n".join(trouble)
    successes = sum(told[0].body["status"] == "success" for told in completed.values())
    assert successes > len(completed) / 5, f"seed {SEED}: who promises little breaks no promise"


def broken(command: Sent, host: LockHost) -> list[str]:
    """Return what was promised and not kept of one command."""
    trouble: list[str] = []
    if not command.replies and not command.outcomes:
        trouble.append("P1: neither answered nor carried out")
    if command.accepted_as and not command.outcomes:
        trouble.append("P1: acknowledged, and no outcome told")
    attempts = command.accepted_as | {outcome["action_id"] for outcome in command.outcomes}
    if len(attempts) > 1:
        trouble.append(f"P2: became {len(attempts)} attempts")
    movements = [movement for action_id in attempts for movement in host.movements_for(action_id)]
    if any(movement.at > command.at + EXPIRY + ROUNDING for movement in movements):
        trouble.append("P3: moved the bolt after its deadline")
    return trouble


def figures_of(sent: dict[str, Sent], completed: dict[str, list[Heard]], moved: Counter[str]) -> dict[str, int]:
    replies = [reply for command in sent.values() for reply in command.replies]
    return {
        "commands": len(sent),
        **Counter(f"refused {reply['error_code']}" for reply in replies if "error_code" in reply),
        "attempts": len(completed),
        **Counter(f"ended {told[0].body.get('error_code', 'in success')}" for told in completed.values()),
        "movements": sum(moved.values()),
        "duplicates moved": sum(times - 1 for times in moved.values()),
        "outcomes lost": sum(bool(command.accepted_as and not command.outcomes) for command in sent.values()),
        "outcomes told again": sum(len(told) - 1 for told in completed.values()),
    }
