"""A lock is looked at no more than it has to be, and a command waits for none of it."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.watch import hints, logbook, watcher
from drivers.nuki.protocol.codes import AuthorizationType
from drivers.virtual.faults import Trouble
from tests.support.house import BACK, FRONT, House, until
from tests.support.watched import of, operations, settled, told


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_a_command_does_not_wait_for_the_log(house):
    async with house.life() as life:
        await settled(life)
        house.twins[FRONT].air.delay = 3600
        slow = []

        def lose(_characteristic, data):
            slow.append(data)
            if len(slow) == 3:
                house.lock.faults.arm(Trouble.LOSE_INDICATION, times=40)
            return (data,)

        house.radio.on_link = lambda link: setattr(link, "on_write", lose)
        house.lock.manual_unlock()
        await until(lambda: len(slow) == 3)
        house.radio.on_link = lambda _link: None
        receipt = await life.submit("lock")
        before = anyio.current_time()
        house.lock.faults.clear()
        attempt = await life.ended(receipt)
        assert attempt.state == "confirmed"
        assert anyio.current_time() - before < logbook.GRACE + 1.1


async def test_a_look_on_a_hint_keeps_no_link(house):
    async with house.life() as life:
        await settled(life)
        house.lock.manual_unlock()
        await told(life)
        await until(lambda: not house.radio.links[-1].is_open)
        assert len(house.radio.connects) == 2
        await anyio.sleep(24 * 3600)
        assert len(house.radio.connects) == 2


async def test_a_hint_that_stays_is_believed_ever_more_rarely(house):
    """As it does for a bridge that is paired as an app."""
    twin = house.twins[FRONT]
    (bridge,) = (user for user in twin.keyring.users.values() if user.kind == AuthorizationType.BRIDGE)
    bridge.kind = AuthorizationType.APP
    async with house.life() as life:
        await settled(life)
        house.lock.manual_unlock()
        await told(life)
        await anyio.sleep(3600)
        looks = len(house.radio.connects)
        assert looks < 14
        house.lock.manual_lock()
        found = await told(life, 2)
        assert found[-1]["action"] == "lock"
        await anyio.sleep(24 * 3600)
        assert len(house.radio.connects) - looks < 24 * 3600 / watcher.AUTO_POLL + 10


async def test_a_hint_that_stays_is_not_believed_for_ever_where_nothing_is_polled(house):
    twin = house.twins[FRONT]
    (bridge,) = (user for user in twin.keyring.users.values() if user.kind == AuthorizationType.BRIDGE)
    bridge.kind = AuthorizationType.APP
    house.lock_fields["poll"] = 0
    async with house.life() as life:
        await settled(life)
        house.lock.manual_unlock()
        await told(life)
        await anyio.sleep(7200)
        looks = len(house.radio.connects)
        await anyio.sleep(24 * 3600)
        assert len(house.radio.connects) == looks


async def test_a_door_that_is_used_a_lot_is_not_looked_at_ever_more_rarely(house):
    async with house.life() as life:
        await settled(life)
        for _ in range(12):
            for turn in (house.lock.manual_unlock, house.lock.manual_lock):
                turn()
                await anyio.sleep(7)
        house.lock.manual_unlock()
        with anyio.fail_after(hints.PAUSE + 5):
            await until(lambda: life.device()["lock_state"] == "unlocked")


async def test_an_advertisement_that_tells_nothing_is_no_hint(house):
    async with house.life() as life:
        await settled(life)
        house.twins[FRONT].pairing_mode = True
        await anyio.sleep(600)
        assert len(house.radio.connects) == 1
        house.lock.manual_unlock()
        await anyio.sleep(600)
        assert not life.events
        house.twins[FRONT].pairing_mode = False
        assert (await told(life))[0]["performed_via"] == "manual_turn"


async def test_a_latch_that_is_held_back_is_looked_at_until_it_springs_back(house):
    house.lock.hold_time = 7.0
    async with house.life() as life:
        await settled(life)
        house.radio.on_link = lambda link: setattr(link, "on_notify", lambda _characteristic, data: [data])
        await life.perform("unlatch")
        await until(lambda: life.device()["lock_state"] == "unlocked")
        assert len(operations(life)) == 1


async def test_what_could_not_be_told_of_a_lock_is_told_later(house):
    async with house.life() as life:
        await settled(life)
        with life.unwritable():
            house.lock.offline()
            house.radio.silent = True
            await until(lambda: not life.device()["online"])
        house.radio.silent = False
        house.lock.online()
        await until(lambda: life.device()["online"])
        house.radio.usable = False
        await until(lambda: of(life, "device.disconnected"))


async def test_a_lock_is_polled_as_often_as_is_configured(house):
    house.lock_fields["poll"] = 300
    async with house.life() as life:
        await settled(life)
        before = len(house.radio.connects)
        await anyio.sleep(3600)
        assert len(house.radio.connects) - before == pytest.approx(12, abs=1)


async def test_a_lock_out_of_reach_is_told_once_and_left_in_peace(house):
    async with house.life() as life:
        await settled(life)
        house.lock.offline()
        house.radio.silent = True
        await until(lambda: not life.device()["online"])
        await anyio.sleep(24 * 3600)
        assert len(house.radio.connects) == 1
        assert life.device()["offline_reason"] == "out_of_range"
        (event,) = of(life, "device.disconnected")
        assert event["error_code"] == "device_disconnected"
        assert event["device_errors"][0].keys() == {"created_at", "error_code", "message"}
        for name in ("connected_account_errors", "connected_account_warnings", "device_warnings"):
            assert event[name] == []
        house.lock.fob()
        house.radio.silent = False
        house.lock.online()
        await until(lambda: life.device()["online"])
        (operation,) = await told(life)
        assert operation["performed_via"] == "bluetooth_key"
        assert len(of(life, "device.connected")) == 1


async def test_an_adapter_that_is_gone_makes_every_lock_unavailable(house):
    async with house.life() as life:
        await settled(life)
        house.radio.usable = False
        await until(lambda: not life.device()["online"])
        assert life.device()["offline_reason"] == "adapter_down"
        assert of(life, "device.disconnected")[0]["error_code"] == "hub_disconnected"


async def test_that_a_lock_is_available_is_told_in_no_later_life_again(house):
    house.lock.offline()
    async with house.life() as life:
        await until(lambda: of(life, "device.disconnected"))
    house.lock.online()
    for _ in range(3):
        async with house.life() as life:
            await settled(life)
    async with house.life() as life:
        assert len(of(life, "device.connected", "device.disconnected")) == 2


async def test_a_standing_link_that_is_lost_is_made_again(house):
    house.lock_fields["connection"] = "always"
    async with house.life() as life:
        await settled(life)
        house.radio.links[-1].drop()
        await until(lambda: len(house.radio.links) == 2)
        house.lock.manual_unlock()
        (operation,) = await told(life)
        assert operation["performed_via"] == "manual_turn"
        assert len(house.radio.links) == 2


async def test_the_battery_is_told_as_it_goes_down(house):
    async with house.life() as life:
        await settled(life)
        for level in (50, 22, 18, 22, 10):
            house.lock.battery(level)
            await anyio.sleep(60)
        found = of(life, "device.battery_status_changed")
        assert [(event["battery_status"], event["battery_level"]) for event in found] == [
            ("good", 0.5),
            ("critical", 0.18),
            ("low", 0.22),
            ("critical", 0.1),
        ]
        assert [event["battery_level"] for event in of(life, "device.low_battery")] == [0.18]


async def test_one_lock_is_not_the_other(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house, house.life() as life:
        await settled(life)
        house.twins[BACK].lock.manual_unlock()
        (operation,) = await told(life)
        assert operation["device_id"] == BACK
