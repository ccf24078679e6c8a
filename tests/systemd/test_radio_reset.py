"""What root does when the bridge asks for a reset of the Bluetooth adapters, on a tree that looks like sysfs."""

from __future__ import annotations

import os
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from bridge.ble.remedies import ALL_ADAPTERS, REQUEST

SYSTEMD = Path(__file__).parents[2] / "systemd"
SCRIPT = SYSTEMD / "lock-bridge-radio-reset"
SYSTEMCTL = '#!/bin/sh\necho "$@" >>"$CALLS"\n[ "$1 $2" != "cat hciuart.service" ] || [ -e "$CALLS.hciuart" ]\n'


class Machine:
    """A machine with a USB adapter hci0, a built-in one hci1 on a serial line, a keyboard, and Wi-Fi."""

    def __init__(self, folder: Path) -> None:
        self.request = folder / "run" / REQUEST
        self.sys = folder / "sys"
        self.calls = folder / "calls"
        self.usb = self.sys / "bus/usb/drivers/usb"
        self.write("run/.keep", "")
        self.interface("1-1.2:1.0", ("e0", "01", "01"))
        self.interface("1-1.2:1.1", ("e0", "01", "01"))
        self.interface("1-1.3:1.0", ("03", "01", "01"))
        self.write("sys/bus/usb/devices/1-1.2:1.0/bluetooth/hci0/.keep", "")
        self.write("sys/bus/usb/drivers/usb/unbind", "")
        self.write("sys/bus/usb/drivers/usb/bind", "")
        self.rfkill(0, "wlan", soft=True)
        self.rfkill(1, "bluetooth", soft=True, of="hci0")
        self.rfkill(2, "bluetooth", soft=True, of="hci1")
        self.rfkill(3, "bluetooth", soft=False)
        self.write("systemctl", SYSTEMCTL).chmod(0o755)
        self.folder = folder

    def write(self, path: str, text: str) -> Path:
        file = (self.sys.parent / path) if not path.startswith("/") else Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def interface(self, name: str, numbers: tuple[str, str, str]) -> None:
        for file, number in zip(("Class", "SubClass", "Protocol"), numbers, strict=True):
            self.write(f"sys/bus/usb/devices/{name}/bInterface{file}", f"{number}\n")

    def rfkill(self, number: int, kind: str, *, soft: bool, of: str | None = None) -> None:
        self.write(f"sys/class/rfkill/rfkill{number}/type", f"{kind}\n")
        self.write(f"sys/class/rfkill/rfkill{number}/soft", f"{int(soft)}\n")
        if of:
            self.write(f"sys/class/bluetooth/{of}/rfkill{number}/.keep", "")

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "SYSFS": str(self.sys),
            "SYSTEMCTL": str(self.folder / "systemctl"),
            "CALLS": str(self.calls),
            "PAUSE": "0",
        }
        return subprocess.run(
            [SCRIPT, self.request], env=environment, capture_output=True, text=True, timeout=20, check=False
        )

    def ask(self, words: str) -> subprocess.CompletedProcess[str]:
        self.request.write_text(words)
        return self.run()

    @property
    def soft(self) -> list[str]:
        return [(self.sys / f"class/rfkill/rfkill{number}/soft").read_text().strip() for number in range(4)]

    @property
    def replugged(self) -> list[str]:
        return [(self.usb / name).read_text() for name in ("unbind", "bind")]

    @property
    def restarted(self) -> list[str]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.removeprefix("restart ") for line in lines if line.startswith("restart ")]

    @property
    def untouched(self) -> bool:
        return (self.soft, self.replugged, self.restarted) == (["1", "1", "1", "0"], ["", ""], [])


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_all_adapters_are_unblocked_plugged_in_anew_and_given_a_fresh_bluetoothd(machine):
    done = machine.ask(f"{ALL_ADAPTERS}\n")
    assert done.returncode == 0, done.stderr
    assert machine.soft == ["1", "0", "0", "0"]
    assert machine.replugged == ["1-1.2", "1-1.2"]
    assert machine.restarted == ["bluetooth.service"]
    assert not machine.request.exists()


def test_the_serial_line_is_attached_anew_where_a_unit_does_that(machine):
    machine.write(f"{machine.calls}.hciuart", "")
    assert machine.ask("all\n").returncode == 0
    assert machine.restarted == ["hciuart.service", "bluetooth.service"]


def test_one_adapter_is_reset_while_the_others_and_bluetoothd_work_on(machine):
    assert machine.ask("hci0\n").returncode == 0
    assert machine.soft == ["1", "0", "1", "0"]
    assert machine.replugged == ["1-1.2", "1-1.2"]
    assert machine.restarted == []


def test_an_adapter_that_is_no_usb_device_is_not_plugged_in(machine):
    assert machine.ask("hci1\n").returncode == 0
    assert machine.soft == ["1", "1", "0", "0"]
    assert machine.replugged == ["", ""]


@pytest.mark.parametrize(
    "words", ["", "hci", "hci0/../../..", "hci0 all", "hci123", "*", "$(touch x)", "all; reboot", "../hci0", "x" * 99]
)
def test_nothing_but_the_known_words_is_heeded_and_the_request_is_gone(machine, words):
    done = machine.ask(words)
    assert done.returncode == 1
    assert not words or words not in done.stderr
    assert machine.untouched
    assert not machine.request.exists()


def test_a_link_is_not_followed(machine, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("all\n")
    machine.request.symlink_to(secret)
    assert machine.run().returncode == 1
    assert machine.untouched
    assert not machine.request.is_symlink()
    assert secret.exists()


def test_a_folder_in_the_requests_place_does_not_bring_it_up_for_ever(machine):
    machine.request.mkdir()
    assert machine.run().returncode == 1
    assert machine.untouched
    assert not machine.request.exists()


def test_a_request_that_is_gone_is_no_request(machine):
    assert machine.run().returncode == 1
    assert machine.untouched


def test_what_the_kernel_refuses_does_not_keep_the_rest_from_being_done(machine):
    (machine.usb / "unbind").unlink()
    (machine.usb / "unbind").mkdir()
    done = machine.ask("all\n")
    assert done.returncode == 0
    assert "could not write 1-1.2" in done.stderr
    assert machine.restarted == ["bluetooth.service"]


def test_the_units_wait_where_the_bridge_asks():
    path, service, bridge = (ConfigParser(interpolation=None, strict=False) for _ in range(3))
    for parser in (path, service, bridge):
        parser.optionxform = str
    path.read(SYSTEMD / "lock-bridge-radio-reset.path")
    service.read(SYSTEMD / "lock-bridge-radio-reset.service")
    bridge.read(SYSTEMD / "lock-bridge.service")
    place = f"/run/{bridge['Service']['RuntimeDirectory']}/{REQUEST}"
    assert path["Path"]["PathExists"] == place
    assert service["Service"]["ExecStart"].split() == ["/opt/lock-bridge/libexec/lock-bridge-radio-reset", place]
