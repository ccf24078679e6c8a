"""A passive scan over a real kernel and a real bluetoothd."""

from __future__ import annotations

import pytest

from tests.support.echo_twin import ADDRESS
from tests.support.eventually import eventually
from tests.support.radio import assert_it_works, hear, running

PASSIVE, ACTIVE = 0, 1
"""Types of a scan (Bluetooth Core, vol 4 part E, 7.8.10): the first only listens."""


@pytest.fixture
def stronger(ether, adapter):
    """Make the lock heard more strongly each time: a passive scan tells of what changes by 8 dBm and more."""
    strengths = iter(range(-90, 0, 10))
    return lambda: ether.signal(ADDRESS, next(strengths), adapter.address)


async def test_a_passive_scan_hears_a_lock_asks_it_for_nothing_and_finds_it_for_a_connection(adapter, twin, stronger):
    async with running(adapters=[adapter.address], ours={ADDRESS}, scan="passive") as radio:
        for _ in range(2):  # a connection interrupts the scan
            stronger()
            heard = await hear(radio)
            assert heard.manufacturer_data == twin.advertisement().manufacturer_data
            assert radio.patients[0]._passive
            assert adapter.controller.le_scan_type == PASSIVE
            await assert_it_works(radio)


async def test_one_kind_of_scan_follows_the_other(adapter, twin, stronger):
    for mode, kind in (("active", ACTIVE), ("passive", PASSIVE), ("active", ACTIVE)):
        async with running(adapters=[adapter.address], ours={ADDRESS}, scan=mode) as radio:
            stronger()
            await hear(radio)
            await eventually(lambda kind=kind: adapter.controller.le_scan_type == kind)
            await assert_it_works(radio)
