"""Pairing with a Sesame over a BlueZ that does not see it says so, by version, before anything is tried."""

from dataclasses import dataclass

import pytest

from bridge.ble.air import LocalAir
from bridge.ble.bluez import BluezRadio
from bridge.ble.virtual import VirtualRadio
from bridge.clock import SystemClock
from bridge.doctor.machine import Machine, Printed
from bridge.pairing import requirements
from bridge.pairing.requirements import unmet
from drivers.nuki import NukiDriver
from drivers.sesame import SesameDriver

SESAME, NUKI = SesameDriver(), NukiDriver()


@dataclass(frozen=True, slots=True)
class Told(Machine):
    """A machine whose tools print this; None if there are none."""

    told: str | None = None

    async def prints(self, *command, within=None):
        assert command == ("bluetoothctl", "--version")
        return None if self.told is None else Printed(0, self.told)


@pytest.fixture
def bluez():
    return BluezRadio(SystemClock())


@pytest.mark.parametrize("told", ["bluetoothctl: 5.66\n", "bluetoothctl: 5.81.1\n"])
async def test_an_older_bluez_is_told_with_the_version_and_the_remedy(bluez, told):
    why = await unmet(SESAME, bluez, Told(told=told))
    assert told.split()[1] in why
    assert "5.82 is needed" in why
    assert "trixie" in why


@pytest.mark.parametrize("told", ["bluetoothctl: 5.82\n", "bluetoothctl: 6.0\n", "no version", None])
async def test_a_newer_one_and_one_that_does_not_tell_are_tried(bluez, told):
    assert await unmet(SESAME, bluez, Told(told=told)) is None


async def test_locks_that_every_bluez_sees_need_none(bluez):
    assert await unmet(NUKI, bluez, Told(told="bluetoothctl: 5.50\n")) is None


async def test_the_virtual_radio_needs_none():
    radio = VirtualRadio(LocalAir({}), SystemClock())
    assert await unmet(SESAME, radio, Told(told="bluetoothctl: 5.50\n")) is None


async def test_this_machine_is_asked(bluez, monkeypatch):
    monkeypatch.setattr(requirements, "Machine", lambda: Told(told="bluetoothctl: 5.66\n"))
    assert "5.66" in await unmet(SESAME, bluez)
