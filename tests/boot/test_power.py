"""The machine's power is pulled amid a command, and it is booted again on the same disk."""

from __future__ import annotations

import json

import pytest

from tests.bluez.lab.air import Moment
from tests.support.doorstep import ADDRESS
from tests.support.eventually import eventually
from tests.support.oracle import is_true


async def attempts(door) -> dict[str, dict[str, object]]:
    listed = json.loads(await door.machine.run("lock-bridge attempts --limit 100 --json"))
    return {each["action_attempt_id"]: each for each in listed}


def before_it_is_sent(door) -> None:
    door.ether.at(Moment.CONNECT, ADDRESS, door.machine.pull)


def as_it_is_sent_and_lost(door) -> None:
    def pull() -> None:
        door.machine.pull()
        door.ether.leave(ADDRESS)

    door.ether.at(Moment.WRITE, ADDRESS, pull, nth=3)


def while_the_bolt_moves(door) -> None:
    door.when_moving(door.machine.pull)


@pytest.mark.parametrize("pull", [before_it_is_sent, as_it_is_sent_and_lost, while_the_bolt_moves])
async def test_p1_p2_p6_with_the_power_pulled_nothing_is_lost_nothing_done_twice_and_the_truth_is_told(door, pull):
    before, known = len(door.moved), await attempts(door)
    pull(door)
    await door.command(pull.__name__)
    await eventually(lambda: not door.machine.alive)
    door.machine.cut()
    door.heal()
    await door.boot()
    told = await door.outcome(pull.__name__, 120)
    assert is_true(told, {tag: door.moved.count(tag) for tag in door.moved})
    assert door.moved[before:] == ([told["action_id"]] if pull is while_the_bolt_moves else [])
    if pull is not while_the_bolt_moves:
        assert told["status"] == "failed"
    listed = await attempts(door)
    assert {each: listed.get(each) for each in known} == known, "what was known of earlier attempts is known still"
    assert told["action_attempt_id"] in listed
