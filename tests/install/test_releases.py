"""The installer on Debian's releases and architectures beside this machine's own."""

from __future__ import annotations

import platform
import shutil

import pytest

from tests.support import checkout, debian

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}


@pytest.mark.timeout(600)
def test_trixie_gets_the_bridge_and_a_later_version_of_it_and_goes_back(tmp_path):
    first = checkout.copy_to(tmp_path / "trees/first")
    later = shutil.copytree(first, tmp_path / "trees/later")
    with (later / "bridge/model.py").open("a") as module:
        module.write("# a later version\n")
    wheels = debian.wheels_for(PYTHONS["trixie"], platform.machine())
    with debian.booted(tmp_path, {tmp_path / "trees": "/trees", wheels: "/wheels"}, suite="trixie") as machine:
        assert "VERSION_CODENAME=trixie" in machine.do("cat /etc/os-release").splitlines()
        machine.write("/etc/lock-bridge/config.toml", debian.VIRTUAL_HOUSE)
        machine.do("/trees/first/systemd/install --wheels /wheels")
        machine.do("chgrp -R lock-bridge /etc/lock-bridge && systemctl enable --now lock-bridge")
        assert machine.run("systemd-analyze", "verify", "lock-bridge.service").code == 0
        assert "front_door is unlocked" in machine.do("lock-bridge unlock front_door")
        machine.do("/trees/later/systemd/install --wheels /wheels")
        assert "front_door is locked" in machine.do("lock-bridge lock front_door")
        machine.do("lock-bridge-install --back")
        assert machine.do("systemctl is-active lock-bridge") == "active\n"
        assert len([line for line in machine.do("lock-bridge attempts").splitlines() if "act_" in line]) == 2
        machine.do("lock-bridge-install --uninstall --purge")
        assert machine.files("/opt", "/var/lib/lock-bridge", "/etc/lock-bridge") == set()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("release", PYTHONS)
def test_everything_that_an_installation_takes_has_a_wheel_for_aarch64(release):
    wheels = debian.wheels_for(PYTHONS[release], "aarch64")
    assert {each.suffix for each in wheels.iterdir()} == {".whl"}
    assert any(each.name.endswith("_aarch64.whl") for each in wheels.iterdir())
