"""A radio that falls ill on a real kernel and a real bluetoothd is brought back to work, step by step."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import anyio
import pytest
from bumble.hci import HCI_ErrorCode, HCI_LE_Connection_Complete_Event

from bridge.ble import health, recovery
from bridge.ble.caretaker import Caretaker
from bridge.ble.claim import AdapterTaken, Claim
from bridge.ble.radio import Cause, Unreachable
from bridge.ble.recovery import Step
from bridge.ble.remedies import REQUEST, Remedies
from bridge.cli.boundary import Exit
from bridge.clock import SystemClock
from bridge.interlock import Interlock
from bridge.service.progress import Progress
from tests.support import bluetoothd_process as bluetoothd
from tests.support.daemon import BINARY, environment
from tests.support.echo_twin import ADDRESS, EchoTwin
from tests.support.eventually import eventually
from tests.support.on_air import on_air
from tests.support.radio import assert_it_works, hear, running

OTHER = "54:D2:72:00:00:02"
SCRIPT = Path(__file__).parents[2] / "systemd" / "lock-bridge-radio-reset"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch):
    """Wait seconds where the ladder waits minutes."""
    monkeypatch.setattr(health, "DEAF_AFTER", 6.0)
    monkeypatch.setattr(health, "STILL_DEAF_AFTER", 6.0)
    monkeypatch.setattr(health, "QUIET_AFTER", 10.0)
    monkeypatch.setattr(health, "GHOST_AFTER", 6.0)
    monkeypatch.setattr(recovery, "SETTLE", MappingProxyType(dict.fromkeys(Step, 1.0) | {Step.RESET: 20.0}))
    monkeypatch.setattr(recovery, "LIMIT", MappingProxyType(dict.fromkeys(Step, 5.0)))
    patience = dict.fromkeys(health.Symptom, 2.0) | {health.Symptom.NO_SCAN: 25.0}
    monkeypatch.setattr(recovery, "PATIENCE", MappingProxyType(patience))


class Notes:
    """What is told upstream."""

    def __init__(self) -> None:
        self.remedies = []
        self.failures = []
        self.well = False

    @property
    def steps(self) -> list[Step]:
        return [remedy.step for remedy in self.remedies]

    async def remedy(self, remedy) -> None:
        self.remedies.append(remedy)
        self.well = False

    async def failed(self, adapter, failure) -> bool:
        if failure is not None:
            self.failures.append(failure)
        self.well = failure is None
        return True


@asynccontextmanager
async def root(folder: Path):
    """Do what the path unit does: run the script when it is asked for, which restarts bluetoothd."""

    async def serve() -> None:
        request = anyio.Path(folder / REQUEST)
        while True:
            if await request.exists():
                environment = os.environ | {"SYSFS": str(folder / "sys"), "SYSTEMCTL": "/bin/true"}
                await anyio.run_process([str(SCRIPT), str(request)], env=environment)
                await bluetoothd.restart()
            await anyio.sleep(0.1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def cared_for(adapter, folder: Path):
    """A radio with its caretaker, and what that tells."""
    interlock, notes = Interlock(), Notes()
    async with root(folder), running(adapters=[adapter.address], ours={ADDRESS}) as radio:
        caretaker = Caretaker(radio, SystemClock(), interlock, remedies=Remedies(folder), teller=notes)
        notes.interlock = interlock
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caretaker.run, Progress())
            yield radio, notes
            tasks.cancel_scope.cancel()


def deafen(controller) -> None:
    """Have an adapter take every command and hear nothing, until it is reset."""
    reset = controller.on_hci_reset_command

    def recover(command):
        del controller.hear, controller.on_hci_reset_command
        return reset(command)

    controller.hear = lambda *_: None
    controller.on_hci_reset_command = recover


def drop_the_end_of_a_scan(controller) -> None:
    """Have an adapter not answer when it is told to stop scanning, once, as one does that is at its limits."""
    handle = controller.on_hci_le_set_scan_enable_command

    def drop(command):
        if command.le_scan_enable:
            return handle(command)
        del controller.on_hci_le_set_scan_enable_command
        return None

    controller.on_hci_le_set_scan_enable_command = drop


async def test_an_adapter_that_goes_deaf_hears_again_after_a_power_cycle(adapter, twin, tmp_path):
    async with cared_for(adapter, tmp_path) as (radio, notes):
        await hear(radio)
        deafen(adapter.controller)
        await eventually(lambda: notes.steps, patience=30)
        await eventually(lambda: Step.POWER_CYCLE in notes.steps, patience=30)
        await eventually(lambda: radio.usable, patience=30)
        await hear(radio)
        await assert_it_works(radio)
        assert notes.steps == [Step.RESCAN, Step.POWER_CYCLE]
        assert all(remedy.worked for remedy in notes.remedies)
        assert not notes.failures


async def test_a_scan_that_bluetoothd_only_believes_in_is_brought_back(adapter, twin, tmp_path):
    async with running(adapters=[adapter.address]) as before:
        await hear(before)
        drop_the_end_of_a_scan(adapter.controller)
    async with cared_for(adapter, tmp_path) as (radio, notes):
        await eventually(lambda: radio.presence(ADDRESS).heard_at is not None, patience=60)
        await assert_it_works(radio)
        assert max(notes.steps, default=Step.RESCAN) <= Step.POWER_CYCLE


async def test_nothing_is_done_to_a_deaf_adapter_while_a_bolt_may_be_moving(adapter, twin, tmp_path):
    async with cared_for(adapter, tmp_path) as (radio, notes):
        await hear(radio)
        with notes.interlock.move():
            deafen(adapter.controller)
            await anyio.sleep(12)
            assert notes.steps == []
        await eventually(lambda: Step.POWER_CYCLE in notes.steps, patience=40)
        await eventually(lambda: radio.usable, patience=30)
        await assert_it_works(radio)


async def test_an_adapter_that_someone_powers_off_is_powered_on_once_and_then_left_off(adapter, twin, tmp_path):
    async with cared_for(adapter, tmp_path) as (radio, notes):
        await adapter.power(on=False)
        await eventually(lambda: not radio.usable)
        await eventually(lambda: radio.usable)
        assert notes.steps == [Step.POWER_ON]
        await assert_it_works(radio)
        await adapter.power(on=False)
        await eventually(lambda: notes.failures)
        assert notes.steps == [Step.POWER_ON]
        assert not radio.usable
        assert "bluetoothctl power on" in notes.failures[0].ailment.message
        await adapter.power(on=True)
        await eventually(lambda: notes.well, patience=40)
        await assert_it_works(radio)


def haunt(controller) -> None:
    """Have an adapter connect and not tell the kernel, which calls it off: lock and adapter go on with it."""
    create, send = controller.on_hci_le_create_connection_command, controller.send_hci_packet
    pending = []

    def note(command):
        create(command)
        pending.append(controller.pending_le_connection)

    def swallow(packet):
        if isinstance(packet, HCI_LE_Connection_Complete_Event) and packet.status == HCI_ErrorCode.SUCCESS:
            controller.pending_le_connection = pending.pop()
            del controller.on_hci_le_create_connection_command, controller.send_hci_packet
        else:
            send(packet)

    controller.on_hci_le_create_connection_command = note
    controller.send_hci_packet = swallow


async def test_a_connection_that_only_lock_and_adapter_know_of_is_ended(adapter, ether, twin, tmp_path):
    async with on_air(ether, EchoTwin(OTHER)), cared_for(adapter, tmp_path) as (radio, notes):
        await hear(radio)
        await hear(radio, OTHER)
        haunt(adapter.controller)
        with pytest.raises(Unreachable):
            await radio.connect(ADDRESS, within=2)
        assert twin.central is not None
        await eventually(lambda: notes.steps, patience=40)
        await eventually(lambda: twin.central is None)
        await eventually(lambda: radio.usable)
        await assert_it_works(radio)
        assert notes.steps == [Step.POWER_CYCLE]
        assert notes.remedies[0].ailment.symptom is health.Symptom.GHOST


async def test_a_bluetoothd_that_was_killed_is_started_again(adapter, twin, tmp_path):
    async with cared_for(adapter, tmp_path) as (radio, notes):
        await hear(radio)
        await bluetoothd.send(signal.SIGKILL)
        await eventually(lambda: not radio.usable)
        await eventually(lambda: radio.usable, patience=60)
        assert notes.steps == [Step.RESET]
        await assert_it_works(radio)
        assert not notes.failures


async def test_a_bluetoothd_that_hangs_is_restarted(adapter, twin, tmp_path, monkeypatch):
    monkeypatch.setattr(health, "DEAF_AFTER", 60.0)  # it tells of nothing that is heard either
    async with cared_for(adapter, tmp_path) as (radio, notes):
        await hear(radio)
        hung = await bluetoothd.pid()
        await bluetoothd.send(signal.SIGSTOP)
        await eventually(lambda: not radio.usable, patience=40)
        assert radio.vitals.health(linked=False).down.cause is Cause.HUNG
        await eventually(lambda: radio.usable, patience=60)
        assert notes.steps == [Step.RESET]
        assert await bluetoothd.pid() != hung
        await assert_it_works(radio)


async def test_a_bluetoothd_that_is_restarted_beneath_the_bridge_needs_no_remedy(adapter, twin, tmp_path):
    async with cared_for(adapter, tmp_path) as (radio, notes):
        await hear(radio)
        await bluetoothd.restart()
        await eventually(lambda: not radio.usable)
        await eventually(lambda: radio.usable, patience=40)
        await assert_it_works(radio)
        assert notes.steps == []


async def test_a_second_bridge_on_the_adapter_is_refused_and_a_scanner_is_not(adapter, twin):
    async with running(adapters=[adapter.address], ours={ADDRESS}, exclusive=True) as radio:
        with pytest.RaisesGroup(pytest.RaisesExc(AdapterTaken), flatten_subgroups=True):
            async with running(adapters=[adapter.address], ours={ADDRESS}, exclusive=True):
                pass
        await hear(radio)
        scan = [str(BINARY), "scan", "--seconds", "3", "--adapter", adapter.address]
        with anyio.fail_after(30):
            await anyio.run_process(scan, env=environment())
        await hear(radio)
        await assert_it_works(radio)
    claim = Claim()
    claim.take(adapter.name)
    claim.release()


async def test_a_second_lock_bridge_ends_at_once_and_says_what_to_do(adapter, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(
        '[bridge]\nid = "g2"\nstate_dir = "state"\n[mqtt]\nurl = "mqtt://127.0.0.1:9"\n'
        f'[bluetooth]\nadapters = ["{adapter.address}"]\n'
    )
    claim = Claim()
    claim.take(adapter.name)
    try:
        with anyio.fail_after(30):
            ended = await anyio.run_process(
                [str(BINARY), "--config", str(file), "run"], cwd=tmp_path, env=environment(), check=False
            )
    finally:
        claim.release()
    assert ended.returncode == Exit.FAILED
    assert f"Another lock-bridge on this machine uses the Bluetooth adapter {adapter.name}" in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
