"""What the figures say of the radio."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from bridge.ble.recovery import Step
from bridge.http import metrics
from tests.support.house import House


async def test_the_remedies_for_the_radio_are_counted_by_adapter_and_step(tmp_path):
    counts = {"B8:27:EB:00:00:01": {Step.RESCAN: 3, Step.POWER_CYCLE: 1}, None: {Step.RESET: 1}}
    async with House.standing(tmp_path) as house, house.life() as life:
        virtual = await metrics.page(life.bridge, None)
        page = await metrics.page(replace(life.bridge, caretaker=SimpleNamespace(counts=counts)), None)
    told = [line for line in page.decode().splitlines() if line.startswith("lock_bridge_radio_remedies_total")]
    assert told == [
        'lock_bridge_radio_remedies_total{adapter="B8:27:EB:00:00:01",step="rescan"} 3.0',
        'lock_bridge_radio_remedies_total{adapter="B8:27:EB:00:00:01",step="power_cycle"} 1.0',
        'lock_bridge_radio_remedies_total{adapter="",step="reset"} 1.0',
    ]
    assert b"remedies" not in virtual
