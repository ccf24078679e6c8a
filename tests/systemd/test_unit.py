"""The service's unit and what is installed beside it: judged by systemd, read back by us."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from bridge.http.sockets import KEY as HTTP_KEY
from bridge.lifecycle import FAREWELL, STOP_GRACE
from bridge.mqtt.settings import KEY as MQTT_KEY
from bridge.mqtt.settings import PASSWORD
from bridge.webhooks.settings import SECRET

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = "lock-bridge.service"


class Units:
    """Our units in a folder, where systemd's tools look at them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for file in SYSTEMD.glob("lock-bridge*.*"):
            shutil.copy(file, folder)

    def add(self, profile: str) -> None:
        drop_ins = self.folder / f"{UNIT}.d"
        drop_ins.mkdir(exist_ok=True)
        shutil.copy(SYSTEMD / "profiles" / profile, drop_ins)

    def replace(self, old: str, new: str) -> None:
        """Change the unit as an installation elsewhere would, or as nobody should."""
        unit = self.folder / UNIT
        assert old in unit.read_text()
        unit.write_text(unit.read_text().replace(old, new))

    def analyse(self, *arguments: str, unit: str = UNIT) -> subprocess.CompletedProcess[str]:
        command = ["systemd-analyze", *arguments, "--no-pager", str(self.folder / unit)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def exposure(self, limit: float, unit: str = UNIT) -> subprocess.CompletedProcess[str]:
        """Fail beyond a limit from 0 to 10."""
        return self.analyse("security", "--offline=true", f"--threshold={round(limit * 10)}", unit=unit)


@pytest.fixture
def units(tmp_path):
    return Units(tmp_path)


@pytest.fixture
def unit():
    return directives(SYSTEMD / UNIT)


def directives(file: Path) -> dict[str, list[str]]:
    """Return the values of each directive, in their order."""
    found: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith(("#", ";")):
            found.setdefault(name, []).append(value)
    return found


def seconds(unit: dict[str, list[str]], name: str) -> float:
    return float(unit[name][-1])


class TestExposure:
    def test_the_service_is_exposed_by_no_more_than_1_2(self, units):
        judged = units.exposure(1.2)
        assert judged.returncode == 0, judged.stdout

    def test_with_the_broker_on_a_unix_socket_by_no_more_than_half_a_point(self, units):
        units.add("unix-broker.conf")
        judged = units.exposure(0.5)
        assert judged.returncode == 0, judged.stdout

    def test_with_another_time_service_by_no_more_than_1_5(self, units):
        units.add("other-time-service.conf")
        judged = units.exposure(1.5)
        assert judged.returncode == 0, judged.stdout

    def test_the_reset_which_is_root_by_no_more_than_2_5(self, units):
        judged = units.exposure(2.5, "lock-bridge-radio-reset.service")
        assert judged.returncode == 0, judged.stdout

    @pytest.mark.parametrize(
        "directive", ["RestrictNamespaces=yes", "CapabilityBoundingSet=", "SystemCallFilter=~@privileged @resources"]
    )
    def test_a_unit_that_gives_a_protection_up_is_not_let_through(self, units, directive):
        units.replace(directive, "")
        assert units.exposure(1.2).returncode != 0


class TestVerification:
    def test_systemd_understands_every_line(self, units, tmp_path):
        program = tmp_path / "program"
        program.touch(mode=0o755)
        for name in (UNIT, "lock-bridge-radio-reset.service"):
            text = (units.folder / name).read_text()
            for line in text.splitlines():
                if line.startswith("ExecStart="):
                    text = text.replace(line.split()[0], f"ExecStart={program}")
            (units.folder / name).write_text(text)
        units.add("unix-broker.conf")
        units.add("other-time-service.conf")
        judged = units.analyse("verify", "--man=no", "--recursive-errors=no")
        assert (judged.returncode, judged.stderr) == (0, "")

    def test_a_line_that_it_does_not_understand_would_be_seen(self, units):
        units.replace("WatchdogSec=60", "WatchDogSec=60")
        assert "'WatchDogSec'" in units.analyse("verify", "--man=no", "--recursive-errors=no").stderr

    def test_the_user_and_the_folders_are_made_where_there_are_none(self, tmp_path):
        if os.geteuid():
            pytest.skip("only root can give folders away")
        (tmp_path / "etc").mkdir()
        for command, file in (
            (["systemd-sysusers"], "lock-bridge.sysusers"),
            (["systemd-tmpfiles", "--create"], "lock-bridge.tmpfiles"),
        ):
            done = subprocess.run(
                [*command, f"--root={tmp_path}", str(SYSTEMD / file)],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert (done.returncode, done.stdout) == (0, ""), done.stderr
        (user,) = (line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines())
        assert (user[0], *user[4:]) == (
            "lock-bridge",
            "Bluetooth lock bridge",
            "/var/lib/lock-bridge",
            "/usr/sbin/nologin",
        )
        uid, gid = int(user[2]), int(user[3])
        assert belongs(tmp_path / "etc/lock-bridge") == (0o750, 0, gid)
        assert belongs(tmp_path / "var/lib/lock-bridge") == (0o700, uid, gid)
        assert belongs(tmp_path / "etc/credstore") == (0o700, 0, 0)


def belongs(folder: Path) -> tuple[int, int, int]:
    about = folder.stat()
    return stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid


class TestDirectives:
    def test_it_is_never_given_up(self, unit):
        assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["always"], ["0"])
        assert "RestartPreventExitStatus" not in unit
        assert seconds(unit, "RestartSec") >= 1

    def test_its_readiness_and_its_progress_are_its_own_to_tell(self, unit):
        assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
        assert seconds(unit, "WatchdogSec") == 60

    def test_it_is_ordered_after_what_it_uses_and_needs_none_of_it(self, unit):
        after = unit["After"][0].split()
        assert {"bluetooth.service", "dbus.socket", "network.target", "time-sync.target"} <= set(after)
        assert "Requires" not in unit
        assert "BindsTo" not in unit

    @pytest.mark.parametrize("late", ["time-sync.target", "network-online.target"])
    def test_neither_time_nor_network_is_waited_for(self, unit, late):
        assert late not in unit["Wants"][0].split()
        assert "network-online.target" not in unit["After"][0].split()

    def test_the_recovery_is_ready_to_be_asked(self, unit):
        assert "lock-bridge-radio-reset.path" in unit["Wants"][0].split()

    def test_there_is_time_to_bring_attempts_to_their_end_before_it_is_killed(self, unit):
        assert seconds(unit, "TimeoutStopSec") > STOP_GRACE + FAREWELL

    def test_no_core_dump_is_written_of_it(self, unit):
        assert (unit["LimitCORE"], unit["CoredumpFilter"]) == (["0"], ["0"])

    def test_every_secret_may_be_a_credential_and_none_has_to(self, unit):
        names = [PASSWORD, MQTT_KEY, HTTP_KEY, SECRET]
        # With a name in the place of a path systemd looks through its stores, and misses nothing that is not there.
        assert unit["LoadCredential"] == [f"{name}:lock-bridge.{name}" for name in names]

    def test_the_boot_is_told_since_proc_is_hidden(self, unit):
        assert unit["ProcSubset"] == ["pid"]
        assert "LOCK_BRIDGE_BOOT_ID=%b" in unit["Environment"]

    def test_it_has_no_capability_and_is_nobody_else(self, unit):
        assert (unit["CapabilityBoundingSet"], unit["AmbientCapabilities"], unit["User"]) == (
            [""],
            [""],
            ["lock-bridge"],
        )
        assert "SupplementaryGroups" not in unit
