"""The Debian package's maintainer scripts on a Debian machine: nothing breaks dpkg, and a purge leaves nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import checkout, debian

pytestmark = pytest.mark.timeout(600)

BROKEN = "#!/bin/sh\nexit 7\n"
CONFIGURATION = "/etc/lock-bridge/config.toml"
BY_DPKG = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/run/", "/var/lib/systemd/")
BY_SYSUSERS = {f"/etc/{name}{suffix}" for name in ("passwd", "group", "shadow", "gshadow") for suffix in ("", "-")}
"""The account is kept, as Debian keeps those of all packages, so that its number is not given to another."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The package, a later version of it, and a later one whose daemon does not start."""
    folder = tmp_path_factory.mktemp("packages")
    tree = checkout.copy_to(folder / "tree")
    built = subprocess.run(
        [tree / "systemd/build-deb", "--wheels", debian.wheels(), folder / "built"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout
    (package,) = (folder / "built").glob("*.deb")
    package = package.rename(folder / "first.deb")
    content = folder / "content"
    subprocess.run(["dpkg-deb", "--raw-extract", package, content], check=True)
    again(content, folder / "second.deb", "9.1")
    (content / "opt/lock-bridge/bin/lock-bridge").write_text(BROKEN)
    again(content, folder / "broken.deb", "9.2")
    shutil.rmtree(content)
    shutil.rmtree(tree)
    return folder


def again(content: Path, package: Path, version: str) -> None:
    """Pack the package's files as those of another version."""
    control = content / "DEBIAN/control"
    lines = [
        f"Version: {version}" if line.startswith("Version:") else line for line in control.read_text().splitlines()
    ]
    control.write_text("\n".join(lines) + "\n")
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", content, package], check=True)


@pytest.fixture
def machine(packages, tmp_path):
    with debian.booted(tmp_path, {packages: "/packages"}) as machine:
        yield machine


def install(machine, package: str) -> str:
    return machine.do(f"dpkg --install /packages/{package}.deb")


def configured(machine) -> None:
    machine.write(CONFIGURATION, debian.VIRTUAL_HOUSE)
    machine.do("systemctl enable --now lock-bridge")


def state(machine, name: str = "ActiveState") -> str:
    return machine.do(f"systemctl show --property={name} --value lock-bridge").strip()


def status(machine) -> str:
    return machine.run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "lock-bridge").told


def of_the_package(files: set[str]) -> set[str]:
    return {file for file in files - BY_SYSUSERS if not file.startswith(BY_DPKG) or "lock-bridge" in file}


def everything(machine) -> set[str]:
    return machine.files("/etc", "/usr", "/opt", "/var")


def test_installing_removing_and_purging_leaves_nothing_behind(machine):
    before = everything(machine)
    told = install(machine, "first")
    assert "edit /etc/lock-bridge/config.toml" in told
    assert machine.do(f"stat -c '%A %U %G' {CONFIGURATION}").split() == ["-rw-r-----", "root", "lock-bridge"]
    assert machine.do("lock-bridge --version").startswith("lock-bridge ")
    assert state(machine) == "inactive"
    configured(machine)
    assert "front_door is unlocked" in machine.do("lock-bridge unlock front_door")

    machine.do("dpkg --remove lock-bridge")
    assert machine.run("systemctl", "is-active", "lock-bridge", "lock-bridge-radio-reset.path").code != 0
    left = everything(machine)
    assert {CONFIGURATION, "/var/lib/lock-bridge/journal.db"} <= left
    assert "/opt/lock-bridge" not in left

    machine.do("dpkg --purge lock-bridge")
    assert of_the_package(everything(machine) - before) == set()
    assert before - everything(machine) == set()


def test_configuring_again_changes_nothing(machine):
    install(machine, "first")
    configured(machine)
    files, process = everything(machine), state(machine, "MainPID")
    written = machine.do(f"stat -c %Y {CONFIGURATION} && cat {CONFIGURATION}")
    machine.do(
        "/var/lib/dpkg/info/lock-bridge.postinst configure '' && /var/lib/dpkg/info/lock-bridge.postinst configure ''"
    )
    assert everything(machine) == files
    assert machine.do(f"stat -c %Y {CONFIGURATION} && cat {CONFIGURATION}") == written
    assert state(machine, "MainPID") == process


def test_an_upgrade_stops_and_starts_what_runs_and_leaves_alone_what_nobody_enabled(machine):
    install(machine, "first")
    install(machine, "first")
    assert state(machine) == "inactive"
    configured(machine)
    machine.do("lock-bridge unlock front_door")
    process = state(machine, "MainPID")
    install(machine, "second")
    assert status(machine) == "installed 9.1"
    assert state(machine) == "active"
    assert state(machine, "MainPID") != process
    assert machine.do("lock-bridge attempts").count("act_") == 1


def test_a_version_that_does_not_start_does_not_break_dpkg_and_the_one_before_can_be_put_back(machine):
    install(machine, "first")
    configured(machine)
    install(machine, "broken")
    assert status(machine) == "installed 9.2"
    assert state(machine) != "active"
    machine.do("dpkg --configure --pending")
    install(machine, "second")
    assert state(machine) == "active"


def test_an_older_version_gets_the_journal_back_as_it_was_where_nothing_was_recorded_since(machine):
    install(machine, "second")
    configured(machine)
    machine.do("lock-bridge unlock front_door && systemctl stop lock-bridge")
    kept = int(machine.do("/opt/lock-bridge/bin/python -I /opt/lock-bridge/libexec/handover.py known"))
    folder = "/var/lib/lock-bridge"
    newer = f"import sqlite3; sqlite3.connect('{folder}/journal.db').execute('PRAGMA user_version = 9999')"
    machine.do(f"cp --preserve=all {folder}/journal.db {folder}/journal.db.schema-{kept}")
    machine.do(f'/opt/lock-bridge/bin/python -Ic "{newer}"')
    told = install(machine, "first")
    assert "nothing was recorded since" in told
    assert state(machine) == "active"
    assert machine.do("lock-bridge attempts").count("act_") == 1


def test_it_is_not_put_over_what_the_installer_has_made(machine):
    machine.do("mkdir -p /opt/lock-bridge/versions/1 && ln -s versions/1 /opt/lock-bridge/current")
    done = machine.run("dpkg", "--install", "/packages/first.deb")
    assert done.code != 0
    assert "lock-bridge-install --uninstall" in done.told
    assert "/opt/lock-bridge/bin" not in machine.files("/opt")


def test_lintian_has_nothing_to_say(packages):
    found = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error,warning", packages / "first.deb"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
