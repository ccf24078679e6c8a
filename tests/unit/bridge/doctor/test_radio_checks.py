from dataclasses import replace

import pytest

from bridge.ble.air import LocalAir
from bridge.ble.virtual import VirtualRadio
from bridge.clock import SystemClock
from bridge.doctor import bluetooth, reception
from bridge.doctor.bluetooth import Adapter, Facts
from bridge.doctor.finding import Status
from bridge.doctor.machine import Machine
from drivers.sesame import SesameDriver
from tests.support.echo_twin import ADDRESS, EchoTwin

ADAPTER = Adapter("hci0", "DC:A6:32:00:00:01", powered=True, discovering=False)
LOCK = "54:D2:72:00:00:01"
GOOD = Facts(version=(5, 82), trouble=None, adapters=(ADAPTER,), kernel_adapters=(("hci0", "btusb"),))


def wrong(findings):
    return [(each.check, each.status, each.message, each.remedy) for each in findings if each.status is not Status.OK]


def test_a_good_radio_has_nothing_wrong_with_it():
    assert wrong(bluetooth.judge(GOOD)) == []
    assert {each.check for each in bluetooth.judge(GOOD)} == {
        "bluetooth.service",
        "bluetooth.version",
        "bluetooth.adapter",
        "bluetooth.others",
        "bluetooth.controller",
    }


OFF = replace(ADAPTER, powered=False)
OTHER = replace(ADAPTER, name="hci1", address="00:1A:7D:DA:71:13")
PI = {"model": "Raspberry Pi 3 Model B Plus Rev 1.3", "wifi": True, "kernel_adapters": (("hci0", "hci_uart_bcm"),)}


@pytest.mark.parametrize(
    ("changes", "check", "status", "words", "remedy"),
    [
        ({"version": None}, "version", Status.WARNING, "not known", "apt install bluez"),
        ({"version": (5, 50)}, "version", Status.WARNING, "BlueZ 5.50 is older", "trixie"),
        (
            {"version": (5, 66), "drivers": (SesameDriver(),)},
            *("version", Status.FAILURE, "BlueZ 5.66 is too old for sesame", "trixie"),
        ),
        ({"adapters": (), "kernel_adapters": ()}, "adapter", Status.FAILURE, "has no Bluetooth", "disable-bt"),
        ({"adapters": ()}, "adapter", Status.FAILURE, "the kernel has hci0", "hciuart"),
        ({"adapters": (OFF,)}, "adapter", Status.FAILURE, "no adapter is powered", "power on"),
        (
            {"adapters": (OFF, OTHER), "wanted": (OFF.address,)},
            *("adapter", Status.FAILURE, "none of the configured", "power on"),
        ),
        (
            {"wanted": (ADAPTER.address, OTHER.address)},
            *("adapter", Status.WARNING, f"{OTHER.address} is not there", "correct [bluetooth] adapters"),
        ),
        ({"blocked": (("hci0", "soft"),)}, "rfkill", Status.FAILURE, "by rfkill", "rfkill unblock"),
        ({"blocked": (("hci0", "hard"),)}, "rfkill", Status.FAILURE, "a switch of the machine", "use the switch"),
        ({"bridges": 2}, "others", Status.WARNING, "2 bridges", "an adapter of its own"),
        ({"neighbours": ("Home Assistant",)}, "others", Status.WARNING, "Home Assistant", "an adapter of its own"),
        (
            {"adapters": (replace(ADAPTER, discovering=True),)},
            *("others", Status.WARNING, "another program scans on hci0", "scan off"),
        ),
        (
            {"adapters": (replace(ADAPTER, connected=(LOCK,)),), "locks": frozenset({LOCK})},
            *("others", Status.WARNING, "connected to", f"disconnect {LOCK}"),
        ),
        ({"kernel_log": None}, "controller", Status.WARNING, "cannot be read", "sudo"),
        (
            {"kernel_log": ("Bluetooth: hci0: command 0x0c03 tx timeout",)},
            *("controller", Status.WARNING, "0x0c03 tx timeout", "power supply"),
        ),
        (PI, "wifi", Status.WARNING, "one aerial", "network cable"),
    ],
)
def test_what_is_wrong_with_the_radio_is_told_with_its_remedy(changes, check, status, words, remedy):
    ((found_check, found_status, message, found_remedy),) = wrong(bluetooth.judge(replace(GOOD, **changes)))
    assert (found_check, found_status) == (f"bluetooth.{check}", status)
    assert words in message
    assert remedy in found_remedy


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        ("The bridge's user may not talk to bluetoothd (D-Bus policy).", "usermod -aG bluetooth"),
        ("D-Bus cannot be reached.", "start dbus"),
        ("The Bluetooth service of this machine (bluetoothd) is not running.", "enable --now bluetooth"),
    ],
)
def test_a_service_that_cannot_be_asked_is_one_failure(trouble, remedy):
    ((check, status, _, found),) = wrong(bluetooth.judge(replace(GOOD, trouble=trouble, adapters=())))
    assert (check, status) == ("bluetooth.service", Status.FAILURE)
    assert remedy in found


@pytest.mark.parametrize(
    "changes", [{"wifi": False}, {"model": "Raspberry Pi 4"}, {"kernel_adapters": (("hci1", "btusb"),)}]
)
def test_wifi_is_in_the_way_on_few_machines_only(changes):
    assert wrong(bluetooth.judge(replace(GOOD, **(PI | changes)))) == []


def test_a_running_bridge_may_scan_and_connect():
    busy = replace(ADAPTER, discovering=True, connected=(LOCK,))
    assert wrong(bluetooth.judge(replace(GOOD, adapters=(busy,), locks=frozenset({LOCK}), bridge_runs=True))) == []


@pytest.mark.parametrize(
    ("text", "version"),
    [("bluetoothctl: 5.66\n", (5, 66)), ("5.82", (5, 82)), ("bluetoothctl: 5.9.1", (5, 9, 1)), ("error", None)],
)
def test_a_version_is_found_in_what_tools_print(text, version):
    assert bluetooth.version_of(text) == version


def test_adapters_are_found_with_what_is_connected_to_them():
    objects = {
        "/org/bluez": {"org.bluez.AgentManager1": {}},
        "/org/bluez/hci1": {"org.bluez.Adapter1": {"Address": "00:1a:7d:da:71:13", "Powered": False}},
        "/org/bluez/hci0": {"org.bluez.Adapter1": {"Address": ADAPTER.address, "Powered": True, "Discovering": True}},
        "/org/bluez/hci0/dev_1": {
            "org.bluez.Device1": {"Address": LOCK.lower(), "Connected": True, "Adapter": "/org/bluez/hci0"}
        },
        "/org/bluez/hci0/dev_2": {
            "org.bluez.Device1": {"Address": "x", "Connected": False, "Adapter": "/org/bluez/hci0"}
        },
    }
    assert bluetooth.adapters_of(objects) == (
        replace(ADAPTER, discovering=True, connected=(LOCK,)),
        replace(OTHER, powered=False),
    )


LOG = """\
[    9.1] Bluetooth: hci0: BCM: chip id 107
[   17.0] Bluetooth: hci0: command 0x0c03 tx timeout
[  917.0] Bluetooth: hci0: command 0x0c03 tx timeout
[  918.0] Bluetooth: hci1: hardware error 0x00
[  919.0] brcmfmac: timed out
"""


def test_a_controller_that_does_not_answer_is_found_in_the_kernels_log():
    assert [line.split("] ")[1] for line in bluetooth.troubles(LOG)] == [
        "Bluetooth: hci0: command 0x0c03 tx timeout",
        "Bluetooth: hci0: command 0x0c03 tx timeout",
        "Bluetooth: hci1: hardware error 0x00",
    ]


def test_what_the_kernel_has_is_read_from_its_folders(tmp_path):
    adapter, switch = tmp_path / "sys/class/bluetooth/hci0/device", tmp_path / "sys/class/rfkill/rfkill0"
    for folder in (adapter, switch, tmp_path / "sys/class/bluetooth/hci0:11"):
        folder.mkdir(parents=True)
    (adapter / "driver").symlink_to("../../../drivers/hci_uart_bcm")
    for name, text in {"type": "bluetooth", "name": "hci0", "soft": "1", "hard": "0"}.items():
        (switch / name).write_text(f"{text}\n")
    machine = Machine(tmp_path)
    assert bluetooth.kernel_adapters(machine) == (("hci0", "hci_uart_bcm"),)
    assert bluetooth.blocked(machine) == (("hci0", "soft"),)
    assert bluetooth.kernel_adapters(Machine(tmp_path / "none")) == ()


@pytest.mark.parametrize(
    ("commands", "found"),
    [
        ([["/usr/bin/python3", "-m", "homeassistant", "--config", "/config"]], (("Home Assistant",), 0)),
        ([["/opt/lock-bridge/bin/python", "/opt/lock-bridge/bin/lock-bridge", "run"]], ((), 1)),
        ([["lock-bridge", "--config", "a", "run"], ["lock-bridge", "--config", "b", "run"]], ((), 2)),
        ([["lock-bridge", "doctor"], ["vi", "bluetoothctl-notes"], ["bluetoothctl"]], (("bluetoothctl",), 0)),
        ([["bluetoothctl", "--version"]], ((), 0)),
    ],
)
def test_other_programs_are_known_by_their_command_lines(tmp_path, commands, found):
    for pid, words in enumerate(commands, 1):
        (tmp_path / f"proc/{pid}").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/cmdline").write_text("\0".join(words) + "\0")
    (tmp_path / "proc/self").mkdir()
    assert bluetooth.neighbours(Machine(tmp_path)) == found


@pytest.mark.parametrize(
    ("rssi", "heard", "status"),
    [
        (-60, True, Status.OK),
        (None, True, Status.OK),
        (-85, True, Status.WARNING),
        (-95, True, Status.WARNING),
        (None, False, Status.WARNING),
    ],
)
@pytest.mark.parametrize("by_bridge", [True, False])
def test_a_lock_is_judged_by_how_it_is_heard(rssi, heard, status, by_bridge):
    (finding,) = reception.judge(reception.Facts([reception.Heard("front", LOCK, rssi, heard)], by_bridge))
    assert (finding.check, finding.status) == ("signal.front", status)


def test_what_the_bridge_has_heard_is_taken_over():
    said = [
        {"lock_id": "a", "address": LOCK, "rssi": -60, "heard_s_ago": 2.0, "silent": False},
        {"lock_id": "b", "address": LOCK, "rssi": -60, "heard_s_ago": 900.0, "silent": True},
        {"lock_id": "c", "address": LOCK, "rssi": None, "heard_s_ago": None, "silent": False},
    ]
    facts = reception.by_bridge(said)
    assert [(each.lock_id, each.heard) for each in facts.locks] == [("a", True), ("b", False), ("c", False)]


def test_no_lock_to_listen_for_is_well():
    assert wrong(reception.judge(reception.Facts((), by_bridge=False))) == []


@pytest.fixture
def radio():
    return VirtualRadio(LocalAir({ADDRESS: EchoTwin()}), SystemClock())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_doctor_listens_by_itself_and_no_longer_than_it_must(radio):
    facts = await reception.listen(radio, {"here": ADDRESS})
    assert ([each.heard for each in facts.locks], facts.trouble) == ([True], None)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_lock_that_is_silent_is_not_heard(radio, monkeypatch):
    monkeypatch.setattr(reception, "LISTENING", 0.1)
    facts = await reception.listen(radio, {"here": ADDRESS, "away": "54:D2:72:00:00:09"})
    assert [(each.lock_id, each.heard) for each in facts.locks] == [("here", True), ("away", False)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_radio_that_is_down_says_why(radio):
    radio.usable = False
    facts = await reception.listen(radio, {"here": ADDRESS})
    assert facts.trouble == "The virtual adapter is down."
    assert wrong(reception.judge(facts))[0][2] == "the locks cannot be listened for: The virtual adapter is down"
