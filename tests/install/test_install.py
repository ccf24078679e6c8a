"""The installer on a Debian machine: what it makes, keeps, puts back and takes away, under its own systemd."""

from __future__ import annotations

import shutil

import pytest

from tests.support import checkout, debian

pytestmark = pytest.mark.timeout(600)

INSTALLER = "systemd/install"
PLACES = ("/opt", "/usr/local", "/etc/lock-bridge", "/etc/dbus-1", "/etc/systemd", "/var/lib/lock-bridge")


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Checkouts of several versions."""
    folder = tmp_path_factory.mktemp("trees")
    first = checkout.copy_to(folder / "first")
    for name in ("second", "broken", "migrating"):
        shutil.copytree(first, folder / name)
    for name in ("second", "broken", "migrating"):
        with (folder / name / "bridge/model.py").open("a") as module:
            module.write(f"# the {name} one\n")
    for name in ("broken", "migrating"):
        migration = folder / name / "bridge/journal/migrations/9999_colour.sql"
        migration.write_text("ALTER TABLE attempt ADD COLUMN colour TEXT;\n")
    app = folder / "broken/bridge/app.py"
    ready = '            sdnotify.notify("READY=1")\n'
    assert ready in app.read_text()
    app.write_text(app.read_text().replace(ready, "            raise SystemExit(7)\n"))
    return folder


@pytest.fixture(scope="module")
def machine(trees, tmp_path_factory):
    shown = {trees: "/trees", debian.wheels(): "/wheels"}
    with debian.booted(tmp_path_factory.mktemp("machine"), shown) as machine:
        yield machine


def install(machine, tree: str) -> debian.Done:
    return machine.run(f"/trees/{tree}/{INSTALLER}", "--wheels", "/wheels")


@pytest.fixture
def running(machine) -> str:
    """A machine on which the first version runs, with a journal of its own; the name of that version."""
    machine.do("systemctl stop lock-bridge 2>/dev/null || true; rm -rf /var/lib/lock-bridge")
    machine.write("/etc/lock-bridge/config.toml", debian.VIRTUAL_HOUSE)
    done = install(machine, "first")
    assert done.code == 0, done.told
    machine.do("chgrp -R lock-bridge /etc/lock-bridge && systemctl enable --now lock-bridge")
    return version(machine)


def version(machine) -> str:
    return machine.do("basename $(readlink /opt/lock-bridge/current)").strip()


def kept(machine) -> set[str]:
    return set(machine.do("ls -A /opt/lock-bridge/versions").split())


def is_active(machine) -> bool:
    return machine.run("systemctl", "is-active", "lock-bridge").told.strip() == "active"


def unlock(machine) -> None:
    assert "front_door is unlocked" in machine.do("lock-bridge unlock front_door")


def attempts(machine) -> list[str]:
    return [line.split()[-1] for line in machine.do("lock-bridge attempts").splitlines() if "act_" in line]


def test_a_fresh_machine_gets_all_of_it_and_is_told_what_to_do_next(machine):
    machine.run("lock-bridge-install", "--uninstall", "--purge")
    done = install(machine, "first")
    assert done.code == 0, done.told
    assert "Edit /etc/lock-bridge/config.toml" in done.told
    assert "systemctl enable --now lock-bridge" in done.told
    assert machine.do("stat -c '%A %U %G' /etc/lock-bridge/config.toml").split() == [
        "-rw-r-----",
        "root",
        "lock-bridge",
    ]
    assert machine.do("lock-bridge --version").startswith("lock-bridge ")
    assert machine.do("stat -c %U /opt/lock-bridge/bin/").strip() == "root"
    assert machine.do("find /opt/lock-bridge/ ! -user root -o ! -type l -perm /022") == ""
    assert machine.do("readlink -f /opt/lock-bridge/libexec/lock-bridge-radio-reset").endswith("radio-reset\n")
    assert machine.run("systemd-analyze", "verify", "lock-bridge.service").code == 0
    assert not is_active(machine)


def test_installing_again_changes_nothing(machine, running):
    machine.write("/etc/lock-bridge/config.toml", f"{debian.VIRTUAL_HOUSE}# ours\n")
    before = machine.do("find /opt /usr/local /etc -xdev -type f -printf '%p %T@\n' | sort")
    process = machine.do("systemctl show --property=MainPID lock-bridge")
    assert install(machine, "first").code == 0
    after = machine.do("find /opt /usr/local /etc -xdev -type f -printf '%p %T@\n' | sort")
    assert [line for line in after.splitlines() if line not in before and "/.lock " not in line] == []
    assert machine.do("systemctl show --property=MainPID lock-bridge") == process


def test_an_upgrade_keeps_the_journal_and_the_version_before_and_goes_back_to_it(machine, running):
    unlock(machine)
    done = install(machine, "second")
    assert done.code == 0, done.told
    assert is_active(machine)
    second = version(machine)
    assert second != running
    assert kept(machine) == {running, second}
    assert len(attempts(machine)) == 1
    back = machine.run("lock-bridge-install", "--back")
    assert back.code == 0, back.told
    assert version(machine) == running
    assert is_active(machine)
    assert len(attempts(machine)) == 1
    assert kept(machine) == {running, second}


def test_a_version_that_does_not_get_ready_is_taken_away_again_with_what_it_did_to_the_journal(machine, running):
    unlock(machine)
    done = install(machine, "broken")
    assert done.code == 1
    assert "does not get ready, and was taken away again" in done.told
    assert "nothing was recorded since" in done.told
    assert version(machine) == running
    assert running in kept(machine)
    assert not any(
        "broken" in machine.do(f"tail -n 1 /opt/lock-bridge/versions/{name}/lib/python3*/site-packages/bridge/model.py")
        for name in kept(machine)
    )
    assert is_active(machine)
    assert len(attempts(machine)) == 1


def test_going_back_over_a_change_of_the_journal_is_refused_where_something_would_be_forgotten(machine, running):
    assert install(machine, "migrating").code == 0
    unlock(machine)
    migrating = version(machine)
    refused = machine.run("lock-bridge-install", "--back")
    assert refused.code == 1
    assert "1 attempt and" in refused.told
    assert "--begin-journal-anew" in refused.told
    assert version(machine) == migrating
    assert is_active(machine)
    back = machine.run("lock-bridge-install", "--back", "--begin-journal-anew")
    assert back.code == 0, back.told
    assert version(machine) == running
    assert is_active(machine)
    assert attempts(machine) == []
    assert "bridge.journal_reset" in machine.do("lock-bridge events")


def test_a_configuration_that_the_new_version_does_not_take_stops_the_upgrade_before_anything_is_stopped(
    machine, running, trees
):
    strict = shutil.copytree(trees / "second", trees / "strict")
    model = strict / "bridge/config/tables.py"
    assert "class BridgeConfig" in model.read_text()
    model.write_text(model.read_text().replace("    id: fields.Name\n", "    id: fields.Name\n    site: str\n", 1))
    process = machine.do("systemctl show --property=MainPID lock-bridge")
    done = install(machine, "strict")
    assert done.code == 1
    assert "bridge.site" in done.told
    assert "nothing was changed" in done.told
    assert version(machine) == running
    assert machine.do("systemctl show --property=MainPID lock-bridge") == process


def test_another_machines_file_system_gets_all_of_it_and_this_machine_nothing(machine, running):
    process = machine.do("systemctl show --property=MainPID lock-bridge")
    machine.do("rm -rf /tmp/other && mkdir -p /tmp/other/etc")
    done = machine.run(f"/trees/first/{INSTALLER}", "--wheels", "/wheels", "--root", "/tmp/other")
    assert done.code == 0, done.told
    assert machine.do("readlink /tmp/other/opt/lock-bridge/current") == f"versions/{running}\n"
    assert "/tmp/other/usr/local/lib/systemd/system/lock-bridge.service" in machine.files("/tmp/other/usr")
    assert "lock-bridge:" in machine.do("cat /tmp/other/etc/passwd")
    owner = machine.do("sed -n 's/^lock-bridge:[^:]*:\\([0-9]*\\):.*/\\1/p' /tmp/other/etc/group")
    assert machine.do("stat -c '%g\n' /tmp/other/etc/lock-bridge/config.toml").strip() == owner.strip()
    assert machine.do("systemctl show --property=MainPID lock-bridge") == process


def test_uninstalling_keeps_the_keys_unless_they_are_purged(machine, running):
    unlock(machine)
    done = machine.run("lock-bridge-install", "--uninstall")
    assert done.code == 0, done.told
    left = {path for path in machine.files(*PLACES) if "lock-bridge" in path}
    assert left >= {"/etc/lock-bridge/config.toml", "/var/lib/lock-bridge/journal.db"}
    assert all(path.startswith(("/etc/lock-bridge/", "/var/lib/lock-bridge/")) for path in left)
    assert install(machine, "first").code == 0
    machine.do("systemctl enable --now lock-bridge")
    assert len(attempts(machine)) == 1
    assert machine.run("lock-bridge-install", "--uninstall", "--purge").code == 0
    assert [path for path in machine.files(*PLACES) if "lock-bridge" in path] == []


def refusal(machine, *arguments: str, before: str = ":", after: str = ":", **env: str) -> str:
    """Install under a condition, and return the refusal; nothing must be left behind."""
    machine.run("lock-bridge-install", "--uninstall", "--purge")
    machine.do(before)
    try:
        done = machine.run(f"/trees/first/{INSTALLER}", *arguments, **env)
    finally:
        machine.do(after)
    assert done.code == 1, done.told
    nothing_is_left(machine)
    return done.told


def nothing_is_left(machine) -> None:
    assert machine.files("/opt/lock-bridge/versions") == set()
    assert "/usr/local/bin/lock-bridge" not in machine.files("/usr/local")


def test_whoever_is_not_root_is_told_so(machine):
    machine.do(f"install -m 0755 /trees/first/{INSTALLER} /tmp/install")
    done = machine.run("runuser", "-u", "nobody", "--", "/tmp/install")
    assert done.code == 1
    assert "must run as root" in done.told


def test_a_python_that_is_too_old_is_told(machine):
    machine.write("/tmp/old", '#!/bin/sh\necho Python 3.9.2\ncase "$*" in *version_info*) exit 1 ;; esac\n', "0755")
    told = refusal(
        machine,
        before="mount --bind /tmp/old $(readlink -f /usr/bin/python3)",
        after="umount $(readlink -f /usr/bin/python3)",
    )
    assert "Python 3.9.2 is too old: 3.11 is needed" in told


def test_a_machine_without_systemd_is_told(machine):
    hidden = "/usr/bin/systemd-sysusers"
    told = refusal(machine, before=f"mv {hidden} {hidden}.hidden", after=f"mv {hidden}.hidden {hidden}")
    assert "there is no systemd here" in told


def test_a_full_disk_is_told_before_anything_is_written(machine):
    told = refusal(machine, before="mount -t tmpfs -o size=50M none /opt", after="umount -l /opt")
    assert "MiB of free space, and 200 MiB are needed" in told


def test_a_machine_without_network_is_told_what_to_do(machine):
    told = refusal(machine, PIP_RETRIES="0")
    assert "could not be built; nothing was changed" in told
    assert "--wheels" in told


def test_a_wheel_that_is_not_the_one_of_the_lock_is_refused(machine):
    spoil = "cp -r /wheels /tmp/spoiled && printf x >>$(ls /tmp/spoiled/anyio-*.whl)"
    told = refusal(machine, "--wheels", "/tmp/spoiled", before=spoil, after="rm -r /tmp/spoiled")
    assert "could not be built; nothing was changed" in told
    assert "anyio" in told


ENDED_WHILE_IT_BUILDS = """\
setsid "$@" & pid=$!
until ls -d /opt/lock-bridge/versions/.*/lib/python3*/site-packages/anyio >/dev/null 2>&1; do sleep 0.05; done
kill -TERM -- -$pid
wait $pid
"""


def test_an_installation_that_is_ended_half_way_leaves_nothing(machine):
    machine.run("lock-bridge-install", "--uninstall", "--purge")
    done = machine.run("bash", "-c", ENDED_WHILE_IT_BUILDS, "bash", f"/trees/first/{INSTALLER}", "--wheels", "/wheels")
    assert done.code == 130, done.told
    nothing_is_left(machine)
