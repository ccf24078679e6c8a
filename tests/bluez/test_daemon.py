"""The whole daemon with a real broker on a real BlueZ: commands, sudden death, and the command line."""

from __future__ import annotations

import json

import pytest

from bridge.config import load
from tests.bluez.lab.air import Moment
from tests.support.daemon import command_line
from tests.support.doorstep import ADDRESS, LOCK, doorstep
from tests.support.eventually import eventually
from tests.support.oracle import is_true

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def door(adapter, tmp_path):
    async with doorstep(adapter, tmp_path) as door:
        yield door


async def test_a_command_moves_the_bolt_once_and_its_end_is_told(door):
    async with door.daemon:
        told = await door.unlock("a")
        assert (told["status"], told["changed"], told["was_confirmed_by_device"]) == ("success", True, True)
        assert door.moved == [told["action_id"]]
        again = await door.unlock("b")
        assert (again["status"], again["changed"]) == ("success", False)
        await door.upstream.first("locks/+/state", lock_state="unlocked")
        await eventually(lambda: not door.connected)
        assert await door.daemon.stop() == 0
    assert len(door.moved) == 1


@pytest.mark.parametrize(
    ("moment", "nth"),
    [
        (Moment.CONNECT, 1),
        (Moment.DISCOVERY, 3),
        (Moment.WRITE, 3),  # the action
        (Moment.WRITTEN, 3),
    ],
)
async def test_killed_at_any_moment_it_lets_go_of_the_lock_and_tells_the_truth(door, moment, nth):
    async with door.daemon as daemon:
        await door.at_rest()
        door.ether.at(moment, ADDRESS, daemon.kill, nth=nth)
        await door.upstream.command(LOCK, {"action": "unlock", "custom_id": "a"})
        await eventually(lambda: not daemon.alive)
        await daemon.start()
        assert not door.connected, "what the killed run left connected is let go of before READY"
        told = (await door.upstream.first("events/lock.action_completed/+", custom_id="a")).body
        assert told["status"] == "success"
        assert is_true(told, {tag: door.moved.count(tag) for tag in door.moved})
        assert len(door.moved) == 1
        assert await daemon.stop() == 0


async def test_scan_lists_a_lock_with_its_signal(door, adapter):
    door.ether.signal(ADDRESS, -71, adapter.address)
    ended = await command_line("scan", "--seconds", "3", "--adapter", adapter.address, "--json")
    assert ended.returncode == 0, ended.stderr
    (found,) = json.loads(ended.stdout)
    assert (found["driver"], found["address"], found["rssi"], found["pairable"]) == ("nuki", ADDRESS, -71, False)


async def test_the_door_is_operated_and_looked_at_from_the_command_line(door):
    async def at_the_gateway(*arguments: str):
        ended = await command_line("--config", str(door.daemon.file), *arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    async with door.daemon:
        for action, bolt in (("unlock", "unlocked"), ("lock", "locked")):
            attempt = await at_the_gateway(action, LOCK)
            assert (attempt["status"], attempt["changed"]) == ("success", True)
            (known,) = await at_the_gateway("locks")
            assert (known["lock_state"], known["online"]) == (bolt, True)
        attempts = await at_the_gateway("attempts")
        assert [(each["action"], each["performed_via"]) for each in attempts] == [
            ("lock", "bluetooth_key"),
            ("unlock", "bluetooth_key"),
        ]
        kinds = {each["event_type"] for each in await at_the_gateway("events")}
        assert kinds >= {"lock.action_completed", "lock.unlocked", "lock.locked"}
        assert len(door.moved) == 2


async def test_a_lock_is_paired_and_then_operated(adapter, tmp_path):
    async with doorstep(adapter, tmp_path, paired=False) as door:
        door.twin.pin = 4711
        door.twin.pairing_mode = True
        (tmp_path / "pin").write_text("4711\n")
        arguments = ("pair", "nuki", "--id", LOCK, "--pin-file", str(tmp_path / "pin"), "--write")
        ended = await command_line("--config", str(door.daemon.file), *arguments)
        assert ended.returncode == 0, ended.stderr
        assert [(lock.id, lock.address) for lock in load(door.daemon.file).locks] == [(LOCK, ADDRESS)]
        async with door.daemon:
            told = await door.unlock("a")
            assert told["status"] == "success"
            assert door.moved == [told["action_id"]]
