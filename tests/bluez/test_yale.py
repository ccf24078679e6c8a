"""A Yale lock over a real bluetoothd: the driver, the radio and the virtual lock together."""

from __future__ import annotations

import anyio
import pytest

from bridge.ble.bluez import BluezRadio
from bridge.clock import SystemClock
from drivers.base import Action, Confirmed, DoorState, DriverError, Fault, LockState
from drivers.virtual.peripheral import VirtualSettings
from drivers.yale import YaleDriver
from tests.support.on_air import on_air
from tests.support.radio import connected, hear, running

ADDRESS = "54:D2:72:00:00:04"
TAG = b"an attempt"
DRIVER = YaleDriver()


async def test_a_yale_lock_is_found_and_unlocked_and_its_log_tells_so(adapter):
    twin, credential = DRIVER.twin(ADDRESS, "YA12345", VirtualSettings(motor_time=0.2))
    radio = BluezRadio(SystemClock(), adapters=[adapter.address], ours={ADDRESS})
    with anyio.fail_after(30):
        async with on_air(adapter.ether, twin), anyio.create_task_group() as tasks:
            await tasks.start(radio.run)
            sighting = DRIVER.sight(await hear(radio, ADDRESS))
            assert sighting is not None
            assert sighting.marks == {"toggle": "0"}
            async with connected(radio, ADDRESS) as link:
                session = await DRIVER.open(link, credential, DRIVER.options())
                read = await session.read()
                assert (read.lock_state, read.door_state) == (LockState.LOCKED, DoorState.CLOSED)
                assert read.battery_level == 100
                seen: list[LockState] = []
                actuation = await session.prepare(Action.UNLOCK, TAG)
                outcome = await actuation.run(lambda snapshot: seen.append(snapshot.lock_state))
                assert isinstance(outcome, Confirmed)
                assert outcome.snapshot.lock_state is LockState.UNLOCKED
                assert seen[0] is LockState.UNLOCKING
                record = await session.take()
                assert record is not None
                assert (record.action, record.perhaps_ours) == (Action.UNLOCK, True)
                await session.aclose()
            tasks.cancel_scope.cancel()


async def test_a_wrong_key_is_refused_as_such(adapter):
    twin, _ = DRIVER.twin(ADDRESS, "YA12345", VirtualSettings(motor_time=0.2))
    _, stranger = DRIVER.twin(ADDRESS, "YA12345", VirtualSettings())
    with anyio.fail_after(30):
        async with on_air(adapter.ether, twin), running(adapters=[adapter.address], ours={ADDRESS}) as radio:
            await hear(radio, ADDRESS)
            async with connected(radio, ADDRESS) as link:
                with pytest.raises(DriverError) as refused:
                    await DRIVER.open(link, stranger, DRIVER.options())
    assert refused.value.fault is Fault.NOT_AUTHORIZED
