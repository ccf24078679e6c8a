"""The bridge as a service: it starts, works under its sandbox, is found out when it hangs, and stops in its time."""

from __future__ import annotations

from functools import partial

from tests.support.doorstep import LOCK
from tests.support.eventually import eventually
from tests.support.oracle import is_true

UNIT = "lock-bridge.service"
FED, READY = (
    f"$(systemctl show --value --property={what}TimestampMonotonic {UNIT})" for what in ("Watchdog", "ActiveEnter")
)
"""When the watchdog was fed last, and when the bridge was ready."""


async def test_it_is_ready_within_its_time(door, figures):
    assert await door.machine.property(UNIT, "ActiveState") == "active"
    assert await door.machine.property(UNIT, "Result") == "success"
    began, ready = [
        int(await door.machine.property(UNIT, f"{what}TimestampMonotonic")) for what in ("InactiveExit", "ActiveEnter")
    ]
    figures["to READY, in the machine (s)"] = f"{(ready - began) / 1e6:.2f}"


async def test_a_command_is_executed_under_the_sandbox(door):
    before = len(door.moved)
    told = await door.unlock("sandboxed")
    assert (told["status"], told["changed"], told["was_confirmed_by_device"]) == ("success", True, True)
    assert door.moved[before:] == [told["action_id"]]
    status = (await door.machine.run("cat /proc/$(systemctl show --value -p MainPID lock-bridge)/status")).splitlines()
    fields = dict(line.split(":\t", 1) for line in status)
    assert (fields["CapBnd"], fields["NoNewPrivs"], fields["Seccomp"]) == ("0" * 16, "1", "2")


async def test_what_happened_at_a_lock_is_found_by_its_id_in_the_journal(door):
    told = await door.unlock("logged")
    entries = await door.log(f"LOCK_ID={LOCK}", f"ACTION_ATTEMPT_ID={told['action_attempt_id']}")
    assert entries, "the attempt is found by its lock and its id"
    assert {entry["_SYSTEMD_UNIT"] for entry in entries} == {UNIT}


async def test_frozen_amid_an_attempt_it_is_killed_by_the_watchdog_and_its_successor_tells_the_truth(door):
    before = len(door.moved)
    frozen = await door.machine.property(UNIT, "MainPID")
    await door.machine.until(f"[ {FED} -gt {READY} ]")
    assert await door.machine.property(UNIT, "NRestarts") == "0", "while it works, the watchdog leaves it alone"
    stop = "systemctl kill --kill-whom=main --signal=STOP lock-bridge"
    door.when_moving(partial(door.machine.begin, stop))
    await door.command("frozen")
    told = await door.outcome("frozen", 60)
    assert told["status"] == "success"
    assert is_true(told, {tag: door.moved.count(tag) for tag in door.moved})
    assert len(door.moved) == before + 1
    assert await door.machine.property(UNIT, "MainPID") != frozen
    assert any("watchdog" in entry["MESSAGE"].lower() for entry in await door.log(f"UNIT={UNIT}"))


async def test_told_to_stop_amid_an_attempt_it_lets_it_end_tells_it_and_stops_in_its_time(door):
    before = len(door.moved)
    door.when_moving(partial(door.machine.begin, "systemctl stop lock-bridge"))
    await door.command("stopped")
    told = await door.outcome("stopped")
    assert (told["status"], told["changed"], told["was_confirmed_by_device"]) == ("success", True, True)
    assert door.moved[before:] == [told["action_id"]]
    await door.machine.until("systemctl is-failed lock-bridge || [ $(systemctl is-active lock-bridge) = inactive ]", 60)
    assert await door.machine.property(UNIT, "Result") == "success", "within TimeoutStopSec, and as it should"
    await eventually(lambda: door.having("status")[-1]["online"] is False)
