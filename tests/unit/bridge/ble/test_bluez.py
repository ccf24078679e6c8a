"""The radio over BlueZ, with a bluetoothd, scanners and adapters that do as they are told."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from bleak.backends.bluezdbus.version import BlueZFeatures
from bleak.exc import BleakError

from bridge.ble import bluez
from bridge.ble.bluez import BluezRadio
from bridge.ble.hearing import ALLOWANCE
from bridge.ble.radio import Cause, RadioDown
from drivers.base import LinkLost
from tests.support.echo_twin import ADDRESS, NAME
from tests.support.fake_bluetoothd import HCI0, HCI1, OTHER, SECOND
from tests.support.obedient_radio import BOTH, running, until


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_a_lock_is_reached_and_let_go(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        link = await radio.connect(ADDRESS, within=5)
        assert await link.read(NAME) == b"Echo"
        assert radio.patients[0].linked
        await link.aclose()
        await link.ended()
        await until(lambda: not radio.patients[0].linked)


async def test_an_open_link_counts_as_hearing_the_lock(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        link = await radio.connect(ADDRESS, within=5)
        clock.now += 100
        assert radio.presence(ADDRESS).heard_at == clock.now
        await link.aclose()
        assert radio.presence(ADDRESS).heard_at == clock.now - 100


async def test_nobody_wants_the_slot_of_a_lock_that_has_none(bluetoothd, clock):
    async with running(clock) as radio:
        with anyio.move_on_after(0.01) as scope:
            await radio.wanted(ADDRESS)
        assert scope.cancelled_caught


async def test_every_configured_adapter_scans(two, clock):
    async with running(clock, **BOTH):
        assert sorted(each.options["adapter"] for each in two.scanners) == ["hci0", "hci1"]


async def test_without_a_wish_the_first_powered_adapter_is_used_alone(two, clock):
    two.adapters[HCI0]["Powered"] = False
    async with running(clock) as radio:
        assert [each.options["adapter"] for each in two.scanners] == ["hci1"]
        assert radio.patients[0].address == SECOND


async def test_an_adapter_that_fails_does_not_take_the_other_down(two, clock, air):
    two.fail["hci0"] = BleakError("no")
    async with running(clock, **BOTH) as radio:
        assert radio.usable
        two.hear(ADDRESS, air, path=HCI1)
        await (await radio.connect(ADDRESS, within=5)).aclose()
        two.adapters[HCI1]["Powered"] = False
        await until(lambda: not radio.usable)
        with pytest.raises(RadioDown, match=r"Scanning failed: no\. The Bluetooth adapter is powered off\."):
            await radio.connect(ADDRESS, within=1)


async def test_a_lock_is_silent_only_if_no_healthy_adapter_hears_it(two, clock, air):
    async with running(clock, **BOTH) as radio:
        two.hear(ADDRESS, air)
        clock.now += ALLOWANCE + 1
        assert radio.presence(ADDRESS).silent
        two.hear(ADDRESS, air, path=HCI1)
        assert not radio.presence(ADDRESS).silent


async def test_the_links_of_one_adapter_do_not_end_with_another(two, clock, air):
    async with running(clock, **BOTH) as radio:
        two.hear(ADDRESS, air)
        two.hear(OTHER, air, path=HCI1)
        first, second = await radio.connect(ADDRESS, within=5), await radio.connect(OTHER, within=5)
        del two.adapters[HCI0]
        await first.ended()
        with pytest.raises(LinkLost):
            await first.read(NAME)
        assert await second.read(NAME) == b"Echo"
        assert radio.patients[0].down.cause is Cause.ABSENT
        for link in (first, second):
            await link.aclose()


async def test_what_an_adapter_comes_upon_that_another_holds_is_no_leftover(two, clock, air):
    async with running(clock, ours={ADDRESS}, **BOTH) as radio:
        two.hear(ADDRESS, air)
        link = await radio.connect(ADDRESS, within=5)
        two.devices[f"{HCI0}/dev_1"] = {"Address": ADDRESS, "Connected": True}
        radio.patients[1].restart_scan()
        await until(lambda: len(two.scanners) == 3 and two.scanners[-1].running)
        assert not two.disconnected
        await link.aclose()


@pytest.mark.parametrize("how", ["powered off", "restarted", "unplugged"])
async def test_links_are_lost_with_their_adapter_or_bluetoothd(bluetoothd, clock, air, how):
    async with running(clock, max_connections=1, ours={ADDRESS}) as radio:
        bluetoothd.hear(ADDRESS, air)
        link = await radio.connect(ADDRESS, within=5)
        if how == "powered off":
            bluetoothd.adapters[HCI0]["Powered"] = False
        elif how == "unplugged":
            plugged = bluetoothd.adapters.pop(HCI0)
        else:
            bluetoothd.name = ":1.2"
        await link.ended()
        assert not radio.patients[0].linked
        await until(lambda: radio.usable or how != "restarted")
        with pytest.raises(LinkLost):
            await link.read(NAME)
        await link.aclose()
        if how == "unplugged":
            bluetoothd.adapters[HCI1] = plugged  # and back under another number
        bluetoothd.adapters.get(HCI0, {})["Powered"] = True
        await until(lambda: radio.usable)
        bluetoothd.hear(ADDRESS, air, path=HCI1 if how == "unplugged" else HCI0)
        link = await radio.connect(ADDRESS, within=5)
        assert await link.read(NAME) == b"Echo"
        await link.aclose()


async def test_the_service_that_all_adapters_need_has_its_own_vitals(two, clock):
    async with running(clock, **BOTH) as radio:
        assert radio.vitals.health(linked=False).down is None
        two.mute = RadioDown("It does not answer.", Cause.HUNG)
        await until(lambda: not radio.usable)
        assert radio.vitals.health(linked=False).down.cause is Cause.HUNG
        with pytest.raises(RadioDown) as told:
            await radio.connect(ADDRESS, within=1)
        assert told.value.cause is Cause.HUNG
        two.mute = None
        await until(lambda: radio.usable)
        assert radio.vitals.health(linked=False).down is None
        two.adapters.clear()
        await until(lambda: not radio.usable)
        assert radio.vitals.health(linked=False).down.cause is Cause.ABSENT


class TakenClaim:
    """The claim on an adapter that another bridge has."""

    def take(self, name: str) -> None:
        raise RadioDown(f"Another bridge uses {name}.", Cause.TAKEN)

    def release(self) -> None:
        pass


async def test_a_bridge_whose_adapters_another_uses_does_not_start(bluetoothd, clock, monkeypatch):
    monkeypatch.setattr(bluez, "Claim", TakenClaim)
    with pytest.raises(RadioDown, match="Another bridge uses hci0"):
        await BluezRadio(clock, exclusive=True).run()
    async with running(clock) as radio:
        assert radio.usable


async def test_links_are_closed_before_the_radio_has_ended(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        link = await radio.connect(ADDRESS, within=5)
        await link.aclose()
    assert air.twins[ADDRESS].central is None
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        link = await radio.connect(ADDRESS, within=5)
    await link.aclose()
    assert air.twins[ADDRESS].central is None


async def test_the_version_of_bluez_is_asked_for_once_and_before_anything_is_connected(bluetoothd, clock, monkeypatch):
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        await anyio.sleep_forever()

    monkeypatch.setattr(BlueZFeatures, "checked_bluez_version", False)
    monkeypatch.setattr(BlueZFeatures, "check_bluez_version", ask)
    monkeypatch.setattr(bluez, "_VERSION", 0.01)
    for _ in range(2):
        async with running(clock):
            pass
    assert asked == 1


def test_bleak_asks_for_the_version_in_the_way_that_is_relied_on():
    assert callable(BlueZFeatures.check_bluez_version)
    assert isinstance(BlueZFeatures.checked_bluez_version, bool)
