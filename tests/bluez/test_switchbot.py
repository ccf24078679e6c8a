"""A SwitchBot lock over a real bluetoothd: the driver, the radio and the virtual lock together."""

from __future__ import annotations

import anyio
import pytest

from bridge.ble.bluez import BluezRadio
from bridge.clock import SystemClock
from drivers.base import Action, Confirmed, LockState
from drivers.switchbot import SwitchBotDriver
from drivers.switchbot.protocol.crypto import Mode
from drivers.switchbot.protocol.models import TRAITS, Model
from drivers.switchbot.virtual import SwitchBotTwin
from drivers.virtual.peripheral import VirtualSettings
from tests.support.on_air import on_air

TAG = b"an attempt"
LOCKS = [("C1:89:44:00:00:01", Model.LOCK, Mode.CTR), ("C1:89:44:00:00:02", Model.ULTRA, Mode.GCM)]


@pytest.mark.parametrize(("address", "model", "mode"), LOCKS)
async def test_a_switchbot_lock_is_found_and_unlocked_and_a_turn_by_hand_is_noticed(adapter, address, model, mode):
    driver = SwitchBotDriver()
    twin = SwitchBotTwin(address, "Front door", VirtualSettings(motor_time=0.5), model=model, mode=mode)
    radio = BluezRadio(SystemClock(), adapters=[adapter.address], ours={address})
    with anyio.fail_after(40):
        async with on_air(adapter.ether, twin), anyio.create_task_group() as tasks:
            await tasks.start(radio.run)
            before = await _sighted(radio, driver, address)
            assert before.model == TRAITS[model].title
            link = await radio.connect(address, within=15)
            session = await driver.open(link, twin.credential(), driver.options())
            assert (await session.read()).lock_state is LockState.LOCKED
            seen: list[LockState] = []
            actuation = await session.prepare(Action.UNLOCK, TAG)
            outcome = await actuation.run(lambda snapshot: seen.append(snapshot.lock_state))
            assert isinstance(outcome, Confirmed)
            assert outcome.snapshot.lock_state is LockState.UNLOCKED
            assert LockState.UNLOCKING in seen
            twin.lock.manual_lock()
            await session.changed()
            assert (await session.read()).lock_state is LockState.LOCKED
            await session.aclose()
            await link.aclose()
            while (await _sighted(radio, driver, address)).marks == before.marks:
                pass
            assert len(twin.lock.movements) == 1
            tasks.cancel_scope.cancel()


async def _sighted(radio, driver, address):
    async with radio.advertisements() as advertisements:
        async for heard in advertisements:
            sighting = driver.sight(heard)
            if sighting is not None and heard.address == address:
                return sighting
    raise AssertionError("the radio ended")
