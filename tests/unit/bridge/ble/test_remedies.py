"""The remedies, on a bluetoothd that does as it is told."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest

from bridge.ble import remedies as module
from bridge.ble.bluetoothd import ADAPTER, DEVICE
from bridge.ble.health import Ailment, Symptom
from bridge.ble.radio import RadioDown
from bridge.ble.recovery import Step
from bridge.ble.remedies import POWER_TRIES, REQUEST, Remedies, runtime_dir

LOCK, PAIRED = "54:D2:72:00:00:01", "54:D2:72:00:00:02"
HCI0 = "/org/bluez/hci0"
DEAF = Ailment(Symptom.DEAF, 0.0, "It is deaf.")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(module, "POWER_PAUSE", 0.0)
    monkeypatch.setattr(module, "LOOK", 0.001)


class FakeBluetoothd:
    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.refusals = 0
        self.connected = True

    @asynccontextmanager
    async def reach(self):
        yield self

    async def objects(self):
        return {
            HCI0: {ADAPTER: {}},
            f"{HCI0}/dev_1": {DEVICE: {"Address": LOCK, "Paired": False}},
            f"{HCI0}/dev_2": {DEVICE: {"Address": PAIRED, "Paired": True}},
            "/org/bluez/hci1/dev_1": {DEVICE: {"Address": LOCK}},
        }

    async def disconnect(self, path: str) -> None:
        self.done.append(("disconnect", path))
        if not self.connected:
            raise RadioDown("Not connected.")

    async def remove(self, adapter: str, device: str) -> None:
        self.done.append(("remove", adapter, device))

    async def power(self, adapter: str, *, on: bool) -> None:
        self.done.append(("power", adapter, "on" if on else "off"))
        if on and self.refusals:
            self.refusals -= 1
            raise RadioDown("Busy.")


class FakePatient:
    address = "B8:27:EB:00:00:01"
    path: str | None = HCI0

    def __init__(self, bluetoothd: FakeBluetoothd) -> None:
        self.bluetoothd = bluetoothd

    def sever(self) -> None:
        self.bluetoothd.done.append(("sever",))


@pytest.fixture
def bluetoothd():
    return FakeBluetoothd()


@pytest.fixture
def patient(bluetoothd):
    return FakePatient(bluetoothd)


@pytest.fixture
def remedies(bluetoothd, tmp_path):
    return Remedies(tmp_path, bluetoothd.reach)


def stuck(lock: str) -> Ailment:
    return Ailment(Symptom.STUCK, 0.0, "It is stuck.", lock)


@pytest.mark.parametrize("connected", [True, False])
async def test_a_stuck_device_is_disconnected_and_forgotten_on_its_adapter(remedies, bluetoothd, patient, connected):
    bluetoothd.connected = connected
    await remedies.take(Step.FORGET, stuck(LOCK), patient, alone=True)
    assert bluetoothd.done == [("disconnect", f"{HCI0}/dev_1"), ("remove", HCI0, f"{HCI0}/dev_1")]


async def test_a_bonded_device_keeps_its_bond(remedies, bluetoothd, patient):
    await remedies.take(Step.FORGET, stuck(PAIRED), patient, alone=True)
    assert bluetoothd.done == [("disconnect", f"{HCI0}/dev_2")]


async def test_a_scan_is_begun_anew_without_asking_anyone(remedies, bluetoothd, patient):
    await remedies.take(Step.RESCAN, DEAF, patient, alone=True)
    assert bluetoothd.done == []


async def test_bluetoothd_as_a_whole_has_no_scan_to_begin_anew(remedies, bluetoothd):
    await remedies.take(Step.RESCAN, DEAF, None, alone=True)
    assert bluetoothd.done == []


async def test_links_are_taken_as_lost_before_the_adapter_is_powered_off_and_on(remedies, bluetoothd, patient):
    await remedies.take(Step.POWER_CYCLE, DEAF, patient, alone=True)
    assert bluetoothd.done == [("sever",), ("power", HCI0, "off"), ("power", HCI0, "on")]


async def test_powering_on_is_tried_again_and_then_given_up(remedies, bluetoothd, patient):
    bluetoothd.refusals = POWER_TRIES - 1
    await remedies.take(Step.POWER_ON, DEAF, patient, alone=True)
    assert bluetoothd.done == [("power", HCI0, "on")] * POWER_TRIES
    bluetoothd.refusals = POWER_TRIES
    with pytest.raises(RadioDown, match="Busy"):
        await remedies.take(Step.POWER_ON, DEAF, patient, alone=True)


@pytest.mark.parametrize("step", [Step.FORGET, Step.POWER_ON, Step.POWER_CYCLE, Step.RESET])
async def test_what_bluetoothd_does_not_show_cannot_be_treated(remedies, bluetoothd, patient, step):
    patient.path = None
    with pytest.raises(RadioDown, match="does not show"):
        await remedies.take(step, stuck(LOCK), patient, alone=False)
    assert bluetoothd.done == []


@pytest.mark.parametrize(
    ("of_one", "alone", "scope"), [(True, True, "all\n"), (True, False, "hci0\n"), (False, True, "all\n")]
)
async def test_root_is_asked_to_reset_no_more_than_need_be(bluetoothd, tmp_path, of_one, alone, scope):
    remedies, patient = Remedies(tmp_path, bluetoothd.reach), FakePatient(bluetoothd) if of_one else None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: remedies.take(Step.RESET, DEAF, patient, alone=alone))
        with anyio.fail_after(5):
            while not (tmp_path / REQUEST).exists():  # noqa: ASYNC110 - a file tells nobody
                await anyio.sleep(0.001)
        assert (tmp_path / REQUEST).read_text() == scope
        (tmp_path / REQUEST).unlink()
    assert list(tmp_path.iterdir()) == []


async def test_a_request_that_nobody_takes_up_is_withdrawn(remedies, patient, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TAKEN_UP", 0.05)
    with pytest.raises(RadioDown, match="systemctl enable --now lock-bridge-radio-reset"):
        await remedies.take(Step.RESET, DEAF, patient, alone=True)
    assert list(tmp_path.iterdir()) == []


async def test_a_runtime_folder_that_cannot_be_written_is_told(bluetoothd, patient, tmp_path):
    with pytest.raises(RadioDown, match="could not be asked for: No such file"):
        await Remedies(tmp_path / "none", bluetoothd.reach).take(Step.RESET, DEAF, patient, alone=True)


async def test_without_systemd_there_is_nobody_to_ask(bluetoothd, patient, monkeypatch, tmp_path):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert runtime_dir() is None
    remedies = Remedies(runtime_dir(), bluetoothd.reach)
    assert not remedies.root
    with pytest.raises(RadioDown, match="does not run under systemd"):
        await remedies.take(Step.RESET, DEAF, patient, alone=True)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert Remedies(runtime_dir(), bluetoothd.reach).root
