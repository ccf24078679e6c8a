"""Unlock after unlock over cold links, with something going wrong on most of them: each has one true outcome.

`LOCK_BRIDGE_LONG=1` makes 200 of them, `LOCK_BRIDGE_UNLOCKS` as many as it says, `LOCK_BRIDGE_SEED` the same again.
"""

from __future__ import annotations

import os
import random
import statistics
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from drivers.virtual.faults import Trouble
from drivers.virtual.operation import Completion
from tests.bluez.lab.air import Moment
from tests.support.doorstep import ADDRESS, LOCK, Doorstep, doorstep
from tests.support.eventually import eventually
from tests.support.oracle import by_attempt, is_true, same
from tests.support.seed import SEED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Mishap = Callable[[Doorstep, random.Random], Awaitable[None]]

UNLOCKS = int(os.environ.get("LOCK_BRIDGE_UNLOCKS") or (200 if os.environ.get("LOCK_BRIDGE_LONG") else 15))
AT_THE_END = 3
"""Unlocks without a mishap that close the run."""
PATIENCE = 100.0
"""Seconds in which an outcome must be told: the command's deadline, and the search for the truth after it."""

PASSING = [
    *((Moment.CONNECT, 1), (Moment.DISCOVERY, 1), (Moment.DISCOVERY, 4), (Moment.SUBSCRIBE, 1)),
    *((Moment.WRITE, nth) for nth in (1, 2, 3)),  # the state is asked for, the nonce, and the action is sent
    *((Moment.WRITTEN, nth) for nth in (1, 2, 3)),
    *((Moment.NOTICE, nth) for nth in (1, 5, 9, 13, 17)),
]
TROUBLES = (
    Trouble.DROP_BEFORE_WRITE,
    Trouble.DROP_AFTER_WRITE,
    Trouble.DROP_AFTER_ACCEPTED,
    Trouble.MUTE_AFTER_ACCEPTED,
    Trouble.LOSE_INDICATION,
    Trouble.DUPLICATE_INDICATION,
    Trouble.NONCE_REFUSED,
    Trouble.BUSY,
    Trouble.JAM,
    Trouble.JAM_FREES_ITSELF,
    Trouble.FALSE_SUCCESS,
    Trouble.STALL,
)


async def passing(door: Doorstep, dice: random.Random, do: Callable[[], None]) -> None:
    """Do something just as something else passes on the air."""
    moment, nth = dice.choice(PASSING)
    done = anyio.Event()

    def now() -> None:
        do()
        done.set()

    door.ether.at(moment, ADDRESS, now, nth=nth)
    await done.wait()


async def a_while(dice: random.Random) -> None:
    """Let a time pass that a link survives, or one that it does not."""
    await anyio.sleep(dice.choice([0.1, 0.3, 1.0, 3.0]))


async def nothing(_door: Doorstep, _dice: random.Random) -> None:
    """Let all go well."""


async def absent(door: Doorstep, dice: random.Random) -> None:
    """Out of range from the start."""
    door.ether.leave(ADDRESS)
    await anyio.sleep(dice.uniform(0.5, 4))
    door.ether.come_back(ADDRESS)


async def away(door: Doorstep, dice: random.Random) -> None:
    """Out of range in the middle of it."""
    await passing(door, dice, partial(door.ether.leave, ADDRESS))
    await a_while(dice)
    door.ether.come_back(ADDRESS)


async def mute(door: Doorstep, dice: random.Random) -> None:
    """No answers any more in the middle of it."""
    await passing(door, dice, partial(door.ether.mute, ADDRESS))
    await a_while(dice)
    door.ether.speak(ADDRESS)


async def phone(door: Doorstep, dice: random.Random) -> None:
    """Held by a phone at the start."""
    door.peripheral.held = True
    await anyio.sleep(dice.uniform(0.5, 4))
    door.peripheral.held = False


async def trouble(door: Doorstep, dice: random.Random) -> None:
    """One of the lock's own."""
    door.twin.lock.faults.arm(dice.choice(TROUBLES))


async def powered_off(door: Doorstep, dice: random.Random) -> None:
    """Someone powers the adapter off in the middle of it, and on again."""
    await passing(door, dice, lambda: None)
    await door.adapter.power(on=False)
    await a_while(dice)
    await door.adapter.power(on=True)


async def pulled_out(door: Doorstep, dice: random.Random) -> None:
    """The adapter falls out in the middle of it, and is put back."""
    await passing(door, dice, lambda: None)
    with anyio.CancelScope(shield=True):
        await door.adapter.unplug()
        await a_while(dice)
        await door.adapter.plug()


async def killed(door: Doorstep, dice: random.Random) -> None:
    """The daemon dies in the middle of it, and is started again."""
    await passing(door, dice, door.daemon.kill)
    await door.daemon.start()


MISHAPS: dict[Mishap, int] = {
    nothing: 3,
    absent: 2,
    away: 8,
    mute: 4,
    phone: 2,
    trouble: 6,
    powered_off: 1,
    pulled_out: 1,
    killed: 2,
}
"""What goes wrong, and how often."""


@pytest.fixture
async def door(adapter, tmp_path):
    async with doorstep(adapter, tmp_path, motor_time=0.2) as door:
        yield door


@pytest.mark.timeout(120 + 30 * UNLOCKS)
async def test_unlock_after_unlock_has_one_true_outcome_and_the_radio_stays_healthy(door, figures):
    dice = random.Random(SEED)
    ended: list[tuple[str, str]] = []
    took: list[float] = []
    blocked: set[str] = set()
    figures |= {"seed": SEED}
    async with door.daemon:
        await door.at_rest()
        for number in range(UNLOCKS + AT_THE_END):
            mishap = dice.choices([*MISHAPS], [*MISHAPS.values()])[0] if number < UNLOCKS else nothing
            began = anyio.current_time()
            told = await unlocked(door, dice, mishap, f"unlock-{number}")
            ended.append((mishap.__name__, told.get("error_code", "success")))
            if mishap is nothing:
                took.append(anyio.current_time() - began)
            blocked |= {each.tag.decode() for each in door.twin.lock.log if each.completion is Completion.BLOCKED}
            await put_right(door)
        assert await door.daemon.stop() == 0
    figures |= counted(ended, took, door)
    judge(door, blocked)
    failed = [number for number, end in enumerate(ended) if end[0] == "nothing" and end[1] != "success"]
    assert not failed, f"seed {SEED}: nothing went wrong with these, and they failed: {failed}"


async def unlocked(door: Doorstep, dice: random.Random, mishap: Mishap, custom_id: str) -> dict[str, object]:
    """Have the lock unlocked while something goes wrong; return the event that tells the outcome."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mishap, door, dice)
        await anyio.lowlevel.checkpoint()
        await door.upstream.command(LOCK, {"action": "unlock", "custom_id": custom_id})
        found = partial(door.upstream.having, "events/lock.action_completed/+", custom_id=custom_id)
        event = (await door.upstream.until(found, PATIENCE))[0].body
        tasks.cancel_scope.cancel()
    return event


async def put_right(door: Doorstep) -> None:
    """Undo what went wrong, and lock the door by hand once the bridge has let go of it."""
    door.peripheral.held = False
    door.ether.heal(ADDRESS)
    door.twin.lock.clear()
    if not door.daemon.alive:
        await door.daemon.start()
    if door.adapter.controller is None:
        await door.adapter.plug()
    await door.adapter.power(on=True)
    await eventually(lambda: not door.connected and not door.twin.lock.busy, patience=60)
    door.lock_by_hand()


def judge(door: Doorstep, blocked: set[str]) -> None:
    """Check every outcome against what the motor did.

    Args:
        door: whose motor it was.
        blocked: the actions that the lock's log calls blocked.
    """

    def told_truly(event: dict[str, object]) -> bool:
        jammed = event.get("error_code") == "LOCK_JAMMED"
        return event["action_id"] in blocked if jammed else is_true(event, moved)

    moved = Counter(door.moved)
    told = by_attempt(door.upstream.on("events/lock.action_completed/+"))
    attempts = by_attempt([each for each in door.upstream.on("events/#") if "/action_attempt." in each.topic])
    wrong = [
        *(f"{tag}: moved the bolt {times} times" for tag, times in moved.items() if times > 1),
        *(f"{each}: more than one outcome" for each, events in told.items() if not same(events)),
        *(f"{each}: not one event of each kind" for each in told if not same(attempts.get(each, []))),
        *(f"{events[0].body}: false" for events in told.values() if not told_truly(events[0].body)),
    ]
    if len(told) != UNLOCKS + AT_THE_END:
        wrong.append(f"{len(told)} outcomes")
    assert not wrong, f"seed {SEED}:\n" + "\n".join(wrong)


def counted(ended: list[tuple[str, str]], took: list[float], door: Doorstep) -> dict[str, object]:
    """Return the figures of a run."""
    return {
        "unlocks": len(ended),
        **{f"{mishap}: {end}": times for (mishap, end), times in sorted(Counter(ended).items())},
        "movements": len(door.moved),
        "moved twice": sum(times - 1 for times in Counter(door.moved).values()),
        "seconds, where nothing went wrong": f"median {statistics.median(took):.2f}, max {max(took):.2f}",
    }
