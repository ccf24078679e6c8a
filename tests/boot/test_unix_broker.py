"""The profile for a broker on a Unix socket: the bridge has no network at all, and works."""

from __future__ import annotations

import pytest

from tests.support.gateway import ROOT

UNIT = "lock-bridge.service"
UNITS = "/etc/systemd/system"
LISTENER = "/etc/mosquitto/conf.d/unix.conf"
CONFIG = "/etc/lock-bridge/config.toml"
PROFILES = {
    "unix-broker.conf": f"{UNITS}/lock-bridge.service.d/unix-broker.conf",
    "mosquitto-unix.conf": f"{UNITS}/mosquitto.service.d/lock-bridge.conf",
}
"""Where each of the profiles says that it goes."""


@pytest.fixture
async def without_network(door):
    """The machine with the profiles, and the bridge at the broker's Unix socket."""
    machine = door.machine
    install = "".join(
        f"install -D -m 0644 /host{ROOT}/systemd/profiles/{name} {place}\n" for name, place in PROFILES.items()
    )
    await machine.run(f"set -e\nsystemctl stop lock-bridge\n{install}cp -p {CONFIG} {CONFIG}.before")
    await machine.write(LISTENER, "listener 0 /run/mosquitto/broker.sock\n")
    await machine.run(
        f"set -e\nsed -i 's|^url = .*|url = \"unix:///run/mosquitto/broker.sock\"|' {CONFIG}\n"
        "systemctl daemon-reload\nsystemctl restart mosquitto"
    )
    await door.start()
    await door.at_rest()
    yield door
    await machine.run(
        f"set -e\nsystemctl stop lock-bridge\nmv {CONFIG}.before {CONFIG}\nrm {LISTENER}\n"
        f"rm {' '.join(PROFILES.values())}\nsystemctl daemon-reload\nsystemctl restart mosquitto"
    )


async def test_a_command_through_a_unix_socket_is_executed_without_any_network(without_network):
    door = without_network
    before = len(door.moved)
    told = await door.unlock("without network")
    assert (told["status"], told["changed"], told["was_confirmed_by_device"]) == ("success", True, True)
    assert door.moved[before:] == [told["action_id"]]
    assert await door.machine.property(UNIT, "RestrictAddressFamilies") == "AF_UNIX"
    process = await door.machine.property(UNIT, "MainPID")
    own, common = [await door.machine.run(f"readlink /proc/{number}/ns/net") for number in (process, 1)]
    assert own != common
    assert "broker=/run/mosquitto/broker.sock" in await door.machine.run(f"journalctl --no-pager _PID={process}")
