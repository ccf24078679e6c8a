from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.doctor import clock, disk, files, power, service, software
from bridge.doctor.finding import Status
from bridge.doctor.machine import Machine

FOLDER = Path("/var/lib/lock-bridge")
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def worst(findings):
    return max((each.status for each in findings), key=[Status.OK, Status.WARNING, Status.FAILURE].index)


def wrong(findings):
    return [each for each in findings if each.status is not Status.OK]


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (clock.Facts(NOW, synchronised=True, vouched=False, hardware_clock=True), Status.OK),
        (clock.Facts(NOW, synchronised=True, vouched=False, hardware_clock=False), Status.OK),
        (clock.Facts(NOW, synchronised=True, vouched=False, hardware_clock=True, believed=True), Status.OK),
        (clock.Facts(NOW, synchronised=True, vouched=False, hardware_clock=True, believed=False), Status.WARNING),
        (clock.Facts(NOW, synchronised=False, vouched=True, hardware_clock=True), Status.WARNING),
        (clock.Facts(NOW, synchronised=False, vouched=False, hardware_clock=True), Status.WARNING),
        (clock.Facts(datetime(1970, 1, 1, tzinfo=UTC), True, True, True), Status.WARNING),
    ],
    ids=["set", "set, no hardware clock", "seen", "not seen", "vouched for", "not set", "1970"],
)
def test_a_clock_is_good_only_if_a_time_service_has_set_it(facts, status):
    assert worst(clock.judge(facts)) is status


def at(kind, *options, free=10**9, files_left=10**6, card=False):
    return disk.Facts(FOLDER, free, files_left, disk.Mount(kind, frozenset(options), "/dev/mmcblk0p2"), card)


@pytest.mark.parametrize(
    ("facts", "check", "status"),
    [
        (at("ext4", "rw"), "disk.durability", Status.OK),
        (at("ext4", "rw", card=True), "disk.durability", Status.OK),
        (at("ext4", "ro"), "disk.durability", Status.FAILURE),
        (at("ext4", "rw", "nobarrier"), "disk.durability", Status.WARNING),
        (at("tmpfs", "rw"), "disk.durability", Status.FAILURE),
        (at("nfs4", "rw"), "disk.durability", Status.FAILURE),
        (at("vfat", "rw"), "disk.durability", Status.FAILURE),
        (at("overlay", "rw"), "disk.durability", Status.WARNING),
        (at("hostfs", "rw"), "disk.durability", Status.WARNING),
        (disk.Facts(FOLDER, 10**9, 10**6, None), "disk.durability", Status.WARNING),
        (at("ext4", free=10**9), "disk.space", Status.OK),
        (at("btrfs", files_left=None), "disk.space", Status.OK),
        (at("ext4", free=disk.LITTLE - 1), "disk.space", Status.WARNING),
        (at("ext4", free=disk.NONE_LEFT - 1), "disk.space", Status.FAILURE),
        (at("ext4", files_left=5), "disk.space", Status.FAILURE),
    ],
)
def test_a_disk_is_judged_by_what_it_does_to_the_journal(facts, check, status):
    (finding,) = [each for each in disk.judge(facts) if each.check == check]
    assert finding.status is status
    assert (finding.remedy is None) == (status is Status.OK)


MOUNTS = r"""
22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
25 22 0:22 / /var rw,relatime - tmpfs tmpfs rw
30 25 8:1 / /var/lib/my\040locks rw master:1 - ext4 /dev/sda1 ro,data=ordered
31 22 8:1
"""


@pytest.mark.parametrize(
    ("place", "kind", "source"),
    [
        ("/home", "ext4", "/dev/mmcblk0p2"),
        ("/variable", "ext4", "/dev/mmcblk0p2"),
        ("/var/lib", "tmpfs", "tmpfs"),
        ("/var/lib/my locks/state", "ext4", "/dev/sda1"),
    ],
)
def test_a_place_lies_on_the_innermost_mount_above_it(place, kind, source):
    mount = disk.mount_of(MOUNTS, Path(place))
    assert (mount.kind, mount.source) == (kind, source)


def test_the_options_of_the_file_system_count_as_well_as_those_of_the_mount():
    assert {"rw", "ro", "data=ordered"} <= disk.mount_of(MOUNTS, Path("/var/lib/my locks")).options


def test_an_unreadable_list_of_mounts_tells_of_none():
    assert disk.mount_of("", FOLDER) is None


def test_a_disk_is_looked_at_before_the_folder_is_made(tmp_path):
    facts = disk.look(Machine(), tmp_path / "not" / "there")
    assert facts.free > 0
    assert facts.mount is not None


def test_a_card_is_known_by_its_kind(tmp_path):
    device = tmp_path / "sys/block/mmcblk0/device"
    device.mkdir(parents=True)
    machine = Machine(tmp_path)
    for kind, card in (("SD", True), ("MMC", False)):
        (device / "type").write_text(f"{kind}\n")
        assert disk._is_card(machine, "/dev/mmcblk0p2") is card
    assert not disk._is_card(machine, "/dev/sda1")


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    for each in (folder, folder / "credentials"):
        each.mkdir(mode=0o700)
    for path in (folder / "journal.db", folder / "credentials" / "front_door.json"):
        path.touch(mode=0o600)
    return folder


def test_secrets_that_only_their_owner_can_read_are_well(state, tmp_path):
    (tmp_path / "password").touch(mode=0o640)
    findings = files.judge(files.look(state, [tmp_path / "password", tmp_path / "absent"]))
    assert worst(findings) is Status.OK
    assert "the 5 files" in findings[0].message


@pytest.mark.parametrize(
    ("name", "mode", "remedy"),
    [
        (".", 0o755, "chmod 700"),
        ("credentials", 0o711, "chmod 700"),
        ("credentials/front_door.json", 0o640, "chmod 600"),
        ("credentials/front_door.json", 0o602, "chmod 600"),
        ("journal.db", 0o644, "chmod 600"),
        ("../password", 0o604, "chmod o="),
    ],
)
def test_a_secret_that_others_can_read_or_change_is_a_failure(state, name, mode, remedy):
    (state.parent / "password").touch(mode=0o600)
    (state / name).chmod(mode)
    (finding,) = wrong(files.judge(files.look(state, [state.parent / "password"])))
    assert finding.status is Status.FAILURE
    assert finding.remedy.startswith(remedy)


def test_a_key_of_another_owner_is_a_failure():
    key = files.Entry(FOLDER / "credentials" / "a.json", 0o600, owner=0)
    (finding,) = files.judge(files.Facts(990, (key,)))
    assert finding.status is Status.FAILURE
    assert finding.remedy == f"chown 990 {key.path}"


def test_what_may_not_be_looked_at_is_said_to_be():
    (finding,) = files.judge(files.Facts(990, (files.Entry(FOLDER, None),)))
    assert (finding.status, finding.remedy) == (Status.WARNING, "run the doctor with sudo")


@pytest.mark.parametrize(
    ("throttled", "status"),
    [("0x0", Status.OK), ("50000", Status.WARNING), ("0x50005", Status.FAILURE), ("?", Status.WARNING)],
)
async def test_a_pi_is_asked_for_its_power(tmp_path, throttled, status):
    for name, text in (
        ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
        (power._SYSFS.lstrip("/"), f"{throttled}\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert worst(power.judge(await power.look(Machine(tmp_path)))) is status


async def test_another_machine_is_not(tmp_path):
    assert power.judge(await power.look(Machine(tmp_path))) == []


UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "WatchdogUSec": "1min",
    "NRestarts": "0",
}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"LoadState": "not-found"}, ["no unit"]),
        ({"UnitFileState": "disabled"}, ["not enabled"]),
        ({"WatchdogUSec": "0"}, ["no watchdog"]),
        ({"WatchdogUSec": "infinity", "NRestarts": "12"}, ["no watchdog", "12 times"]),
        ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2"}, ["exit-code, exit code 2"]),
    ],
)
def test_a_unit_that_would_not_come_back_is_told_of(more, told):
    findings = wrong(service.judge(service.Facts(UNIT | more, running=True)))
    assert len(findings) == len(told)
    assert all(words in each.message for each, words in zip(findings, told, strict=True))


def test_a_good_unit_and_a_running_bridge_are_well():
    assert worst(service.judge(service.Facts(UNIT, running=True))) is Status.OK


SAID = {"radio": {"usable": True}, "broker": {"trouble": None}, "journal": {"writable": True}}


@pytest.mark.parametrize(
    ("facts", "check", "status"),
    [
        (service.Facts(None, running=False), "service.running", Status.WARNING),
        (service.Facts(None, running=False, denied="no permission"), "service.running", Status.WARNING),
        (service.Facts(None, True, said=SAID | {"radio": {"usable": False}}), "service.radio", Status.FAILURE),
        (service.Facts(None, True, said=SAID | {"broker": {"trouble": "x"}}), "service.broker", Status.FAILURE),
        (service.Facts(None, True, said=SAID | {"journal": {"writable": False}}), "service.journal", Status.FAILURE),
    ],
)
def test_what_the_bridge_suffers_from_is_told(facts, check, status):
    assert [(each.check, each.status) for each in wrong(service.judge(facts))] == [(check, status)]


async def test_systemd_is_asked_about_the_unit(tmp_path, monkeypatch):
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    tool = tmp_path / "systemctl"
    tool.write_text(
        '#!/bin/sh\n[ "$1 $2" = "show lock-bridge.service" ] && echo LoadState=loaded && echo NRestarts=2\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert await service.look(Machine(tmp_path)) == {"LoadState": "loaded", "NRestarts": "2"}


async def test_a_machine_without_systemd_is_asked_nothing(tmp_path):
    assert await service.look(Machine(tmp_path)) is None


def test_a_driver_that_lacks_something_is_told_of_if_a_lock_needs_it():
    installed, broken = software.look()
    assert {"lock-bridge", "bleak", "kernel"} <= installed.keys()
    assert broken == {}
    for used, number in ((frozenset({"nuki"}), 1), (frozenset(), 0)):
        assert len(wrong(software.judge(installed, {"nuki": "PyNaCl is missing"}, used))) == number


async def test_a_tool_that_is_not_there_or_hangs_is_none(monkeypatch):
    assert await Machine().prints("no-such-tool-anywhere") is None
    monkeypatch.setattr("bridge.doctor.machine.PATIENCE", 0.05)
    assert await Machine().prints("sleep", "60") is None


async def test_a_tool_says_what_it_prints_and_how_it_ended():
    printed = await Machine().prints("sh", "-c", "echo 5.66; exit 3")
    assert (printed.code, printed.text) == (3, "5.66\n")
