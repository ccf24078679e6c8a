"""The README's commands that install, upgrade and remove, in their order, on a Debian machine."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support import checkout, debian
from tests.test_readme import INSTALL

SUDO = '#!/bin/sh\nexec "$@"\n'
APT = """\
#!/bin/sh
case $* in
*.deb*) exec apt-get --yes --no-install-recommends "$@" ;;
*) exec apt-get --simulate "$@" ;;
esac
"""
"""Without network it only simulates, but for a package that is a file."""


@pytest.mark.timeout(900)
def test_every_command_does_what_it_is_there_for(tmp_path):
    first = checkout.copy_to(tmp_path / "shown/first")
    later = shutil.copytree(first, tmp_path / "shown/later")
    with (later / "bridge/model.py").open("a") as module:
        module.write("# a later version\n")
    build = [command for command in INSTALL if command.startswith("systemd/build-deb")]
    for command in build:
        with_wheels = command.replace("build-deb", f"build-deb --wheels {debian.wheels()}")
        subprocess.run(["bash", "-euc", with_wheels], cwd=first, check=True, capture_output=True)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}

    with debian.booted(tmp_path, {tmp_path / "shown": "/shown", debian.wheels(): "/wheels"}) as machine:
        machine.write("/usr/local/sbin/sudo", SUDO, "0755")
        machine.write("/usr/local/sbin/apt", APT, "0755")

        def run(command: str, folder: str = "first") -> str:
            done = machine.run("bash", "-euc", f"cd /shown/{folder} && {command}", **offline)
            assert done.code == 0, f"{command}: {done.told}"
            return done.told

        def is_active() -> bool:
            return machine.run("systemctl", "is-active", "lock-bridge").told == "active\n"

        for command in INSTALL:
            if command in build:
                continue
            if command.endswith("--back"):
                run("systemd/install", "later")
                assert is_active()
            run(command)
            if command.endswith("systemd/install"):
                machine.do(f"cat >/etc/lock-bridge/config.toml <<'END'\n{debian.VIRTUAL_HOUSE}END")
            if "enable --now" in command or command.endswith("--back"):
                assert is_active()
                assert "locked" in run("lock-bridge locks")
            if command.endswith("--uninstall"):
                assert "/opt/lock-bridge" not in machine.files("/opt")
                assert "/var/lib/lock-bridge/journal.db" in machine.files("/var/lib/lock-bridge")
        assert run("lock-bridge --version").startswith("lock-bridge ")
