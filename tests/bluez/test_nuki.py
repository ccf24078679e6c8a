"""A Nuki lock over a real bluetoothd: the driver, the radio and the virtual lock together."""

from __future__ import annotations

import anyio

from bridge.ble.bluez import BluezRadio
from bridge.clock import SystemClock
from drivers.base import Action, Confirmed, LockState
from drivers.nuki import NukiDriver
from drivers.virtual.peripheral import VirtualSettings
from tests.support.on_air import on_air

ADDRESS = "54:D2:72:00:00:03"
TAG = b"an attempt"


async def test_a_nuki_lock_is_found_and_unlocked_and_its_log_names_the_attempt(adapter):
    driver = NukiDriver()
    twin, credential = driver.twin(ADDRESS, "Front door", VirtualSettings(motor_time=0.2))
    radio = BluezRadio(SystemClock(), adapters=[adapter.address], ours={ADDRESS})
    with anyio.fail_after(30):
        async with on_air(adapter.ether, twin), anyio.create_task_group() as tasks:
            await tasks.start(radio.run)
            async with radio.advertisements() as advertisements:
                async for heard in advertisements:
                    if driver.sight(heard) is not None:
                        break
            assert heard.address == ADDRESS
            link = await radio.connect(ADDRESS, within=15)
            session = await driver.open(link, credential, driver.options())
            assert (await session.read()).lock_state is LockState.LOCKED
            seen: list[LockState] = []
            actuation = await session.prepare(Action.UNLOCK, TAG)
            outcome = await actuation.run(lambda snapshot: seen.append(snapshot.lock_state))
            assert isinstance(outcome, Confirmed)
            assert outcome.snapshot.lock_state is LockState.UNLOCKED
            assert LockState.UNLOCKING in seen
            record = await session.find(TAG)
            assert record is not None
            assert record.action is Action.UNLOCK
            await session.aclose()
            await link.aclose()
            tasks.cancel_scope.cancel()
