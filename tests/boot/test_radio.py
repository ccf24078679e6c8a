"""The Bluetooth stack beneath the service is restarted, or reset by root at the bridge's request."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.eventually import eventually
from tests.support.oracle import is_true

UNIT = "lock-bridge.service"


async def test_bluetoothd_restarted_amid_an_attempt_costs_neither_the_truth_nor_the_next_command(door):
    before = len(door.moved)
    bridge = await door.machine.property(UNIT, "MainPID")
    door.when_moving(partial(door.machine.begin, "systemctl restart bluetooth"))
    await door.command("beneath")
    told = await door.outcome("beneath", 60)
    assert is_true(told, {tag: door.moved.count(tag) for tag in door.moved})
    assert len(door.moved) == before + 1
    await door.at_rest()
    assert (await door.unlock("after it"))["status"] == "success"
    assert await door.machine.property(UNIT, "MainPID") == bridge


async def test_a_reset_that_the_bridges_user_asks_for_is_done_by_root_and_commands_work_again(door):
    machine = door.machine
    bluetoothd = await machine.property("bluetooth.service", "MainPID")
    await machine.run("for each in /sys/class/rfkill/rfkill*; do echo 1 >$each/soft; done")
    await eventually(lambda: door.state.get("online") is False)
    await machine.run("runuser -u lock-bridge -- sh -c 'echo all >/run/lock-bridge/radio-reset'")
    await machine.until("[ $(cat /sys/class/rfkill/rfkill0/soft) = 0 ]")
    await machine.until(f"[ $(systemctl show --value -p MainPID bluetooth) != {bluetoothd} ]")
    await machine.until("[ $(systemctl is-active lock-bridge-radio-reset.service) = inactive ]")
    assert await machine.property("lock-bridge-radio-reset.service", "Result") == "success"
    await machine.run("[ ! -e /run/lock-bridge/radio-reset ]")
    await eventually(lambda: door.state.get("online") is True, 60)
    assert (await door.unlock("after the reset"))["status"] == "success"


@pytest.mark.parametrize("words", ["hci0; reboot", "../hci0"])
async def test_nothing_but_all_or_an_adapter_is_taken_from_a_request(door, words):
    machine = door.machine
    bluetoothd = await machine.property("bluetooth.service", "MainPID")
    await machine.run(f"runuser -u lock-bridge -- sh -c 'echo \"{words}\" >/run/lock-bridge/radio-reset'")
    await machine.until("[ $(systemctl is-failed lock-bridge-radio-reset.service) = failed ]")
    await machine.run("systemctl reset-failed lock-bridge-radio-reset.service")
    assert await machine.property("bluetooth.service", "MainPID") == bluetoothd
