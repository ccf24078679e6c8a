"""One adapter, with a bluetoothd and a scanner that do as they are told."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
import structlog.testing
from bleak.exc import BleakDBusError, BleakError

from bridge.ble import adapter, hearing
from bridge.ble.bluez import BluezRadio
from bridge.ble.hearing import ALLOWANCE
from bridge.ble.radio import Cause, RadioDown, Unreachable
from drivers.base import Advertisement
from tests.support.echo_twin import ADDRESS
from tests.support.fake_bluetoothd import FIRST, HCI0, HCI1, NOT_SUPPORTED, OTHER, SECOND
from tests.support.obedient_radio import running, until


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def why(radio: BluezRadio) -> RadioDown:
    with pytest.raises(RadioDown) as told:
        await radio.connect(ADDRESS, within=1)
    return told.value


async def test_the_radio_starts_with_a_scan_that_it_stops_at_the_end(bluetoothd, clock):
    async with running(clock) as radio:
        assert radio.usable
        (scanner,) = bluetoothd.scanners
        assert scanner.running
        assert scanner.options == {"adapter": "hci0", "filters": {"DuplicateData": True}}
    assert not radio.usable
    assert not scanner.running


async def test_what_a_killed_run_left_behind_is_disconnected_before_the_radio_has_started(bluetoothd, clock):
    bluetoothd.devices |= {
        f"{HCI0}/dev_1": {"Address": ADDRESS, "Connected": True},
        f"{HCI1}/dev_2": {"Address": OTHER, "Connected": False},
        f"{HCI0}/dev_3": {"Address": "00:00:00:00:00:00", "Connected": True},
    }
    async with running(clock, ours={ADDRESS, OTHER}):
        assert sorted(bluetoothd.disconnected) == [f"{HCI0}/dev_1", f"{HCI1}/dev_2"]


async def test_a_radio_that_cannot_scan_says_why_and_tries_again(bluetoothd, clock):
    bluetoothd.fail[None] = BleakDBusError("org.bluez.Error.NotReady", [])
    with structlog.testing.capture_logs() as logs:
        async with running(clock) as radio:
            assert not radio.usable
            assert (await why(radio)).message == "The Bluetooth adapter is powered off."
            await until(lambda: len(bluetoothd.scanners) > 3)
            del bluetoothd.fail[None]
            await until(lambda: radio.usable)
    assert [entry["event"] for entry in logs].count("radio.down") == 1


async def test_a_radio_without_d_bus_starts_and_is_not_usable(clock, monkeypatch, tmp_path):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    async with running(clock) as radio:
        assert (await why(radio)).message == "D-Bus cannot be reached."


async def test_what_is_heard_is_handed_out(bluetoothd, clock, air):
    async with running(clock) as radio, radio.advertisements() as advertisements:
        bluetoothd.hear(ADDRESS.lower(), air)
        assert await advertisements.receive() == Advertisement(
            ADDRESS, "Echo", -70, {76: b"\x02"}, {"uuid": b"\x01"}, ("uuid",)
        )
        assert radio.presence(ADDRESS).heard_at == clock.now
        assert radio.presence(ADDRESS).rssi == -70


async def test_a_property_that_changed_is_no_advertisement(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air, rssi=-127)
        assert radio.presence(ADDRESS).heard_at is None


async def test_a_lock_is_silent_only_after_a_healthy_scan_did_not_hear_it_for_the_allowance(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        clock.now += ALLOWANCE
        assert not radio.presence(ADDRESS).silent
        clock.now += 1
        assert radio.presence(ADDRESS).silent
        assert not radio.presence(OTHER).silent
        bluetoothd.adapters[HCI0]["Powered"] = False
        await until(lambda: not radio.usable)
        assert not radio.presence(ADDRESS).silent
        bluetoothd.adapters[HCI0]["Powered"] = True
        await until(lambda: radio.usable)
        assert not radio.presence(ADDRESS).silent
        clock.now += ALLOWANCE + 1
        assert radio.presence(ADDRESS).silent


async def test_the_time_in_which_a_connection_is_made_is_not_silence(bluetoothd, clock, air):
    making, made = anyio.Event(), anyio.Event()

    async def slowly(_device):
        making.set()
        await made.wait()

    bluetoothd.on_connect = slowly
    async with running(clock) as radio, anyio.create_task_group() as tasks:
        bluetoothd.hear(ADDRESS, air)
        bluetoothd.hear(OTHER, air)
        tasks.start_soon(_connect_and_close, radio)
        await making.wait()
        clock.now += ALLOWANCE + 1
        assert not radio.presence(OTHER).silent
        made.set()
        await until(lambda: radio.patients[0].vitals.listening_since == clock.now)
        assert not radio.presence(OTHER).silent
        clock.now += ALLOWANCE + 1
        assert radio.presence(OTHER).silent


async def _connect_and_close(radio: BluezRadio) -> None:
    await (await radio.connect(ADDRESS, within=5)).aclose()


async def test_strangers_are_forgotten_before_our_locks(bluetoothd, clock, air, monkeypatch):
    monkeypatch.setattr(hearing, "_REMEMBERED", 2)
    async with running(clock, ours={ADDRESS}) as radio:
        for address in (ADDRESS, "00:00:00:00:00:01", "00:00:00:00:00:02"):
            bluetoothd.hear(address, air)
        assert radio.presence(ADDRESS).heard_at is not None
        assert radio.presence("00:00:00:00:00:01").heard_at is None
        assert radio.presence("00:00:00:00:00:02").heard_at is not None


# Its identity and its state


async def test_an_adapter_is_found_by_its_address_whatever_number_the_kernel_deals_it(bluetoothd, clock):
    bluetoothd.adapters[HCI1] = {"Address": SECOND, "Powered": True}
    async with running(clock, adapters=[SECOND.lower()]) as radio:
        (patient,) = radio.patients
        assert (patient.address, patient.path) == (SECOND, HCI1)
        bluetoothd.adapters = {
            HCI0: {"Address": SECOND, "Powered": True},
            HCI1: {"Address": FIRST, "Powered": True},
        }
        await until(lambda: patient.path == HCI0)
        await until(lambda: radio.usable)
        assert [each.options["adapter"] for each in bluetoothd.scanners if each.running] == ["hci0"]


async def test_what_became_of_the_adapter_is_told(bluetoothd, clock, monkeypatch):
    blocked = set()

    async def blocks(name: str) -> tuple[bool, bool]:
        return name in blocked, False

    monkeypatch.setattr(adapter, "blocks", blocks)
    async with running(clock, adapters=[FIRST]) as radio:
        (patient,) = radio.patients

        async def becomes(cause: Cause, words: str) -> None:
            await until(lambda: patient.down is not None and patient.down.cause is cause)
            assert words in (await why(radio)).message
            assert patient.vitals.health(linked=False).down.cause is cause
            # It is so too for a radio that comes upon it.
            async with running(clock, adapters=[FIRST]) as second:
                assert second.patients[0].down.cause is cause

        bluetoothd.adapters[HCI0]["Powered"] = False
        await becomes(Cause.OFF, "powered off")
        blocked.add("hci0")
        await becomes(Cause.BLOCKED, "rfkill")
        blocked.clear()
        plugged = bluetoothd.adapters.pop(HCI0)
        await becomes(Cause.ABSENT, "no Bluetooth adapter")
        bluetoothd.adapters[HCI1] = {"Address": SECOND, "Powered": True}
        await until(lambda: FIRST in patient.down.message)
        assert patient.path is None
        plugged["Powered"] = True
        bluetoothd.adapters[HCI0] = plugged
        await until(lambda: radio.usable)
        blocked.add("hci0")
        plugged["Powered"] = False
        await becomes(Cause.BLOCKED, "rfkill")
        plugged["Powered"] = True
        await until(lambda: radio.usable)
        bluetoothd.name = ":1.2"
        await until(lambda: len(bluetoothd.scanners) > 3 and radio.usable)
        bluetoothd.mute = RadioDown("It does not answer.", Cause.HUNG)
        await until(lambda: patient.down is not None and patient.down.cause is Cause.HUNG)
        bluetoothd.mute = None
        await until(lambda: radio.usable)


async def test_a_scan_can_be_begun_anew_without_the_radio_being_down(bluetoothd, clock):
    async with running(clock) as radio:
        radio.patients[0].restart_scan()
        while len(bluetoothd.scanners) < 2 or not bluetoothd.scanners[1].running:
            assert radio.usable
            await anyio.sleep(0.001)
        assert not bluetoothd.scanners[0].running


async def test_a_scan_that_is_begun_anew_has_another_filter_for_bluetoothd_believes_in_one_that_has_ended(
    bluetoothd, clock
):
    async with running(clock) as radio:
        for number in range(1, 4):
            radio.patients[0].restart_scan()
            await until(lambda: len(bluetoothd.scanners) == number + 1 and bluetoothd.scanners[-1].running)  # noqa: B023 - awaited at once
        filters = [each.options["filters"] for each in bluetoothd.scanners]
    for before, after in pairwise(filters):
        assert before != after
    assert all(each["DuplicateData"] and each.get("RSSI", -127) == -127 for each in filters)


async def test_a_failed_scan_is_tried_again_at_once_when_that_is_asked_for(bluetoothd, clock, monkeypatch):
    monkeypatch.setattr(adapter, "FIRST_RETRY", 1000.0)
    bluetoothd.fail[None] = BleakError("no")
    async with running(clock) as radio:
        bluetoothd.fail.clear()
        radio.patients[0].restart_scan()
        await until(lambda: radio.usable)


async def test_a_device_that_bluez_forgot_meanwhile_is_not_connected_to(bluetoothd, clock, air):
    ended = []
    async with running(clock) as radio:
        with pytest.raises(Unreachable, match="not been heard"):
            await radio.patients[0].connect(ADDRESS, within=1, ended=ended.append)
        assert ended == [None]
    with pytest.raises(RadioDown, match="stopped"):
        await radio.patients[0].connect(ADDRESS, within=1, ended=ended.append)
    with pytest.raises(RadioDown, match="stopped"):
        await radio.patients[0].renew(ADDRESS)


async def test_a_device_that_bluez_does_not_know_needs_no_renewal_but_a_dead_bluetoothd_is_told(
    bluetoothd, clock, monkeypatch
):
    async with running(clock) as radio:
        await radio.patients[0].renew(ADDRESS)

        async def dead(_path):
            raise RadioDown("It does not answer.", Cause.HUNG)

        monkeypatch.setattr(bluetoothd, "disconnect", dead)
        with pytest.raises(RadioDown, match="does not answer"):
            await radio.patients[0].renew(ADDRESS)


class Claims:
    """The claim on an adapter, as it is used."""

    def __init__(self) -> None:
        self.done = []

    def take(self, name: str) -> None:
        self.done.append(name)

    def release(self) -> None:
        self.done.append("released")


async def test_an_adapter_is_claimed_before_each_scan_and_given_up_at_the_end(bluetoothd, clock, monkeypatch):
    claims = Claims()
    monkeypatch.setattr("bridge.ble.bluez.Claim", lambda: claims)
    async with running(clock, exclusive=True) as radio:
        radio.patients[0].restart_scan()
        await until(lambda: len(claims.done) == 2)
    assert claims.done == ["hci0", "hci0", "released"]


# Passive scanning


@pytest.mark.parametrize("mode", ["passive", "auto"])
async def test_a_passive_scan_asks_for_whatever_advertises(bluetoothd, clock, mode):
    async with running(clock, scan=mode):
        (scanner,) = bluetoothd.scanners
        assert scanner.mode == "passive"
        assert 0 < len(scanner.options["or_patterns"]) <= 16  # BlueZ takes no more


@pytest.mark.parametrize(("mode", "level"), [("passive", "warning"), ("auto", "info")])
async def test_where_bluez_offers_no_passive_scan_it_is_active_and_that_is_told(bluetoothd, clock, mode, level):
    bluetoothd.fail["passive"] = NOT_SUPPORTED
    with structlog.testing.capture_logs() as logs:
        async with running(clock, scan=mode) as radio:
            assert radio.usable
            assert [each.mode for each in bluetoothd.scanners if each.running] == ["active"]
    (told,) = [entry for entry in logs if entry["event"] == "radio.scanning_actively"]
    assert told["log_level"] == level
    assert "5.56" in told["reason"]


async def test_what_ails_the_radio_is_no_reason_to_scan_actively(bluetoothd, clock):
    bluetoothd.fail["passive"] = BleakDBusError("org.bluez.Error.NotReady", [])
    async with running(clock, scan="passive") as radio:
        assert not radio.usable
        assert {each.mode for each in bluetoothd.scanners} == {"passive"}


async def test_auto_scans_actively_once_one_of_our_locks_is_not_heard_passively(bluetoothd, clock, air):
    async with running(clock, scan="auto", ours={ADDRESS, OTHER}) as radio:
        for _ in range(6):
            clock.now += adapter.DEAF
            bluetoothd.hear(ADDRESS, air)
            bluetoothd.hear(OTHER, air)
            await anyio.sleep(0.005)
        assert len(bluetoothd.scanners) == 1
        for _ in range(4):
            clock.now += adapter.DEAF
            bluetoothd.hear(ADDRESS, air)
            await anyio.sleep(0.005)
        await until(lambda: len(bluetoothd.scanners) == 2 and bluetoothd.scanners[1].running)
        assert bluetoothd.scanners[1].mode == "active"
        assert radio.usable


async def test_passive_stays_passive_as_long_as_anything_is_heard(bluetoothd, clock, air):
    async with running(clock, scan="passive", ours={ADDRESS}):
        for _ in range(10):
            clock.now += adapter.DEAF
            bluetoothd.hear(OTHER, air)
            await anyio.sleep(0.005)
        assert [each.mode for each in bluetoothd.scanners] == ["passive"]


async def test_a_passive_scan_calls_no_lock_silent_for_bluez_tells_of_it_only_when_its_strength_changes(
    bluetoothd, clock, air
):
    async with running(clock, scan="passive", ours={ADDRESS}) as radio:
        bluetoothd.hear(ADDRESS, air)
        for _ in range(10):
            clock.now += adapter.DEAF
            bluetoothd.hear(OTHER, air)
            await anyio.sleep(0.005)
        assert radio.usable
        assert not radio.presence(ADDRESS).silent


@pytest.mark.parametrize("mode", ["passive", "auto"])
async def test_a_passive_scan_that_hears_nothing_at_all_is_made_active(bluetoothd, clock, mode):
    with structlog.testing.capture_logs() as logs:
        async with running(clock, scan=mode) as radio:
            clock.now += adapter.DEAF + 1
            await until(lambda: len(bluetoothd.scanners) == 2 and bluetoothd.scanners[1].running)
            assert bluetoothd.scanners[1].mode == "active"
            assert radio.usable
    assert [entry["reason"] for entry in logs if entry["event"] == "radio.scanning_actively"] == [
        "Nothing is heard passively."
    ]


async def test_a_bluetoothd_that_ended_during_a_passive_scan_is_not_asked_for_one_again(bluetoothd, clock):
    async with running(clock, scan="passive") as radio:
        bluetoothd.name = ":1.2"
        await until(lambda: len(bluetoothd.scanners) == 2 and radio.usable)
        assert bluetoothd.scanners[1].mode == "active"


async def test_auto_without_a_passive_scan_does_not_start_over(bluetoothd, clock):
    bluetoothd.fail["passive"] = NOT_SUPPORTED
    async with running(clock, scan="auto", ours={ADDRESS}):
        clock.now += ALLOWANCE + 1
        await anyio.sleep(0.02)
        assert [each.mode for each in bluetoothd.scanners] == ["passive", "active"]
