"""A Sesame over a real bluetoothd: the driver, the radio and the virtual lock together."""

from __future__ import annotations

import anyio

from bridge.ble.bluez import BluezRadio
from bridge.clock import SystemClock
from drivers.base import Action, AutoLock, Confirmed, LockState, PairingRequest
from drivers.sesame import SesameDriver
from drivers.sesame.virtual import SesameTwin
from drivers.virtual.peripheral import VirtualSettings
from tests.support.on_air import on_air
from tests.support.radio import connected

ADDRESS = "54:D2:72:00:00:05"
TAG = b"act_0123456789abcdef"


async def test_a_sesame_is_found_registered_unlocked_and_told_when_to_lock_itself(adapter):
    driver = SesameDriver()
    twin = SesameTwin(ADDRESS, "Front door", VirtualSettings(motor_time=0.2))
    radio = BluezRadio(SystemClock(), adapters=[adapter.address], ours={ADDRESS})
    with anyio.fail_after(60):
        async with on_air(adapter.ether, twin), anyio.create_task_group() as tasks:
            await tasks.start(radio.run)
            async with radio.advertisements() as advertisements:
                async for heard in advertisements:
                    if (sighting := driver.sight(heard)) is not None:
                        break
            assert (heard.address, sighting.model, sighting.pairable) == (ADDRESS, "Sesame 5", True)
            async with connected(radio, ADDRESS) as link:
                key = await driver.pair(link, PairingRequest("Bridge", 1))
            async with connected(radio, ADDRESS) as link:
                session = await driver.open(link, key, driver.options())
                assert (await session.read()).lock_state is LockState.LOCKED
                seen: list[LockState] = []
                actuation = await session.prepare(Action.UNLOCK, TAG)
                outcome = await actuation.run(lambda snapshot: seen.append(snapshot.lock_state))
                assert isinstance(outcome, Confirmed)
                assert outcome.snapshot.lock_state is LockState.UNLOCKED
                assert LockState.UNLOCKING in seen
                assert [movement.tag[:16] for movement in twin.lock.movements] == [TAG[:16]]
                await session.read()
                twin.lock.manual_lock()
                await session.changed()
                assert (await session.read()).lock_state is LockState.LOCKED
                setting = await session.prepare_auto_lock(AutoLock(enabled=True, delay=30))
                assert isinstance(await setting.run(lambda _: None), Confirmed)
                await session.aclose()
            tasks.cancel_scope.cancel()
    assert twin.lock.auto_lock == 30
