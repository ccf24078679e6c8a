"""Whatever happens between them, the bridge tells exactly what the lock's own log holds of others, each entry once.

The oracle is the virtual lock's log. What happens is chosen by hypothesis: people at the door, commands, deaths of the
bridge, links that end at any message and locks that refuse.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import trio.testing
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers.base import Action, LockState
from drivers.nuki.protocol.codes import AuthorizationType
from drivers.virtual.operation import Completion, Operator, Origin
from tests.support.house import FRONT, House, until

CODE = "482913"
LONG = 3 * 3600.0
"""Seconds in which every pause before another try has passed."""


@dataclass(frozen=True)
class Step:
    """What happens, and how many seconds pass after it."""

    what: str
    pause: float = 0.0


people = ["hand", "fob", "code", "wrong code", "phone"]
mishaps = ["command", "death", "refusals", "cut"]
plans = st.lists(
    st.builds(Step, st.sampled_from([*people, *people, *mishaps]), st.sampled_from([0.0, 0.3, 2.0, 11.0, 40.0])),
    max_size=12,
)


def happen(house, life, step, phone):
    """Let one thing happen at the door or on the way to it."""
    lock = house.lock
    match step.what:
        case "hand":
            lock.turn(LockState.UNLOCKED if lock.state is LockState.LOCKED else LockState.LOCKED)
        case "fob":
            lock.fob()
        case "code":
            lock.keypad(CODE)
        case "wrong code":
            lock.keypad("000000")
        case "phone":
            action = Action.UNLOCK if lock.state is LockState.LOCKED else Action.LOCK
            lock.operate(action, Operator(Origin.BLUETOOTH, phone.auth_id, phone.name))
        case "refusals":
            house.radio.refusals = 2
        case "cut":
            house.radio.on_link = lambda link: cut(house, link)


def cut(house, link):
    """End the next link at its fourth message, which may be amid the log."""
    house.radio.on_link = lambda _link: None
    said = []

    def write(_characteristic, data):
        said.append(data)
        if len(said) == 4:
            link.drop()
        return (data,)

    link.on_write = write


def held(house, phone):
    """Return what the lock's log holds of others."""
    vias = {Origin.MANUAL: "manual_turn", Origin.FOB: "bluetooth_key", Origin.KEYPAD: "pin_code"}
    found = Counter()
    for entry in house.lock.log:
        if entry.completion is Completion.INVALID_CODE:
            found["denied"] += 1
        elif entry.action is not None and (entry.by.origin is not Origin.BLUETOOTH or entry.by.key == phone.auth_id):
            via = vias.get(entry.by.origin, "mobile_app")
            found[entry.action.value, via, entry.completion is Completion.SUCCESS] += 1
    return found


def told(life):
    """Return what was told of others, each operation as it was last put right."""
    last = {}
    denied = 0
    for event in life.all_events:
        if event["event_type"] == "lock.action_completed":
            last[event["action_id"]] = event
            assert event["performed_via"] != "remote_api" or "action_attempt_id" in event
        denied += event["event_type"] == "lock.access_denied"
    found = Counter(
        (event["action"], event["performed_via"], event["status"] == "success")
        for event in last.values()
        if event["performed_via"] != "remote_api"
    )
    return found + Counter({"denied": denied})


async def play(plan, path):
    async with House.standing(path, motor_time=0.5, pin_codes={CODE: "Ada"}) as house:
        phone, _ = house.twins[FRONT].authorize("Ada's phone", AuthorizationType.APP)
        async with house.life() as life:
            await until(lambda: life.device()["online"])
            await anyio.sleep(20)
        steps = iter(plan)
        over = False
        while not over:
            over = True
            async with house.life() as life:
                for step in steps:
                    if step.what == "death":
                        over = False
                        break
                    if step.what == "command":
                        await life.submit("lock" if house.lock.state is LockState.UNLOCKED else "unlock")
                    happen(house, life, step, phone)
                    await anyio.sleep(step.pause)
                else:
                    await anyio.sleep(LONG)
                    assert told(life) == held(house, phone)
                    assert life.device()["lock_state"] == house.lock.state
            if not over:
                await anyio.sleep(step.pause)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(plan=plans)
@example(plan=[Step("cut"), Step("fob", 0.3), Step("hand", 11.0), Step("phone", 40.0)])
@example(plan=[Step("hand"), Step("death", 40.0), Step("code", 2.0), Step("command", 0.3), Step("hand", 0.3)])
def test_every_entry_of_the_log_is_told_once_and_as_what_it_was(plan):
    clock = trio.testing.MockClock(autojump_threshold=0)
    with TemporaryDirectory() as path:
        anyio.run(play, plan, Path(path), backend="trio", backend_options={"clock": clock})
