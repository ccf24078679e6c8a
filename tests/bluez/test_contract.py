"""Every driver keeps the contract over the radio of a real BlueZ, in real time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from bridge.catalog import load
from drivers.base import Fault
from drivers.contract import DriverContract
from drivers.contract.bench import ADDRESS, ANOTHER_ADDRESS
from drivers.contract.suite import CUTS
from tests.support.on_air import on_air
from tests.support.radio import WITHIN, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.ble.bluez import BluezRadio
    from drivers.base import Link
    from drivers.virtual.peripheral import Twin
    from tests.bluez.lab.air import Ether

DRIVERS = {
    "nuki": ("drivers.nuki.conversation.RESPONSE_TIMEOUT", "drivers.nuki.session.RESPONSE_TIMEOUT"),
    "sesame": ("drivers.sesame.channel.RESPONSE_TIMEOUT", "drivers.sesame.session.RESPONSE_TIMEOUT"),
    "switchbot": ("drivers.switchbot.patience.RESPONSE_TIMEOUT",),
    "yale": ("drivers.yale.session.RESPONSE_TIMEOUT", "drivers.yale.handshake.RESPONSE_TIMEOUT"),
}
"""By its name, where each driver has the seconds for which it waits for a lock that may be mute; drivers join here."""

HANGS_UP = ("sesame",)
"""Whose locks answer a wrong key and hang up at once; what was said last may be lost with the connection."""

MUTE = 2.0
"""Seconds that they wait here."""

ON_ITS_WAY = 0.3
"""Seconds in which what a lock has said comes through the air, bluetoothd and D-Bus, of which none tells."""


@pytest.fixture(scope="module")
async def radio(adapter):
    async with running(adapters=[adapter.address], ours={ADDRESS, ANOTHER_ADDRESS}) as radio:
        yield radio


@pytest.fixture(scope="class")
async def forgotten(radio):
    """Have BlueZ forget the lock of the driver before, which had the same address."""
    await radio.patients[0].renew(ADDRESS)


@asynccontextmanager
async def by_bluez(radio: BluezRadio, ether: Ether, twin: Twin) -> AsyncIterator[Link]:
    """Put a twin on the air and connect to it; at the end the lock hangs up, for BlueZ takes two seconds over that."""
    async with on_air(ether, twin) as peripheral:
        link = await radio.connect(twin.address, within=WITHIN)
        yield link
        await peripheral.hang_up()
        await link.ended()
        await link.aclose()


class OverBluez(DriverContract):
    """The suite, but for three quarters of the points at which an action is called off: time is real here."""

    __test__ = False
    anyio_backend = None  # the module's

    async def arrival(self):
        await anyio.sleep(ON_ITS_WAY)

    @pytest.fixture
    def motor_time(self):
        return 0.2

    @pytest.fixture
    def reach(self, radio, ether, forgotten, monkeypatch):
        for place in DRIVERS[self.driver.name]:
            monkeypatch.setattr(place, MUTE)
        return partial(by_bluez, radio, ether)

    @pytest.mark.parametrize("cut", range(0, CUTS, 4))
    async def test_called_off_at_any_point_it_moves_the_bolt_at_most_once(self, at, motor_time, cut):
        await super().test_called_off_at_any_point_it_moves_the_bolt_at_most_once(at, motor_time, cut)


def contract_of(name: str) -> type[OverBluez]:
    may = {"refused_as": frozenset({Fault.NOT_AUTHORIZED, Fault.UNREACHABLE})} if name in HANGS_UP else {}
    return type(f"Test{name.title()}", (OverBluez,), {"driver": load(name), "__test__": True, **may})


globals().update({f"Test{name.title()}": contract_of(name) for name in DRIVERS})
