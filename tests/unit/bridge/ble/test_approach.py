"""The way to a lock, over a bluetoothd and adapters that do as they are told."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError, BleakError

from bridge.ble import approach
from bridge.ble.bluez import BluezRadio
from bridge.ble.failures import AlreadyNotifying
from bridge.ble.hearing import ALLOWANCE
from bridge.ble.radio import Absence, Cause, RadioDown, Unreachable
from drivers.base import LinkLost
from tests.support.echo_twin import ADDRESS, ECHO
from tests.support.fake_bluetoothd import HCI0, HCI1, OTHER
from tests.support.obedient_radio import BOTH, refuse, running, until


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_a_lock_is_waited_for_until_it_is_heard(bluetoothd, clock, air):
    async with running(clock) as radio, anyio.create_task_group() as tasks:
        tasks.start_soon(_connect_and_close, radio)
        await anyio.wait_all_tasks_blocked()
        bluetoothd.hear(OTHER, air)
        await anyio.wait_all_tasks_blocked()
        bluetoothd.hear(ADDRESS, air)


async def _connect_and_close(radio: BluezRadio, address: str = ADDRESS) -> None:
    await (await radio.connect(address, within=5)).aclose()


async def test_a_lock_that_was_never_heard_is_told_apart_from_one_that_was(bluetoothd, clock, air):
    async with running(clock, max_connections=1) as radio:
        for absence in (Absence.NEVER_SEEN, Absence.OUT_OF_RANGE):
            with pytest.raises(Unreachable, match="not heard") as told:
                await radio.connect(ADDRESS, within=0.01)
            assert told.value.absence is absence
            bluetoothd.hear(ADDRESS, air)
            bluetoothd.scanners[-1].known.clear()


async def test_a_lock_that_is_waited_for_holds_no_slot(bluetoothd, clock, air):
    async with running(clock, max_connections=1) as radio, anyio.create_task_group() as tasks:
        tasks.start_soon(_connect_and_close, radio)
        await anyio.wait_all_tasks_blocked()
        bluetoothd.hear(OTHER, air)
        await (await radio.connect(OTHER, within=1)).aclose()
        bluetoothd.hear(ADDRESS, air)


@pytest.mark.parametrize("failures", [1, 3, 4])
async def test_a_connection_that_bluez_fails_to_make_is_tried_again_a_few_times(bluetoothd, clock, air, failures):
    async def failing(_device):
        if len(bluetoothd.connects) <= failures:
            await refuse(BleakDeviceNotFoundError(ADDRESS))

    bluetoothd.on_connect = failing
    async with running(clock, max_connections=1) as radio:
        bluetoothd.hear(ADDRESS, air)
        if failures < approach.ATTEMPTS:
            await (await radio.connect(ADDRESS, within=5)).aclose()
        else:
            with pytest.raises(Unreachable):
                await radio.connect(ADDRESS, within=5)
    assert len(bluetoothd.connects) == min(failures + 1, approach.ATTEMPTS)


async def test_no_further_connection_is_tried_after_the_time(bluetoothd, clock, air, monkeypatch):
    monkeypatch.setattr(approach, "AGAIN", 0.25)
    air.twins[ADDRESS].refusing = True
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        with anyio.fail_after(0.2), pytest.raises(Unreachable, match="switched off"):
            await radio.connect(ADDRESS, within=0.1)


async def test_a_slot_is_free_again_when_its_link_has_ended(bluetoothd, clock, air):
    async with running(clock, max_connections=1) as radio:
        for address in (ADDRESS, OTHER):
            bluetoothd.hear(address, air)
        link = await radio.connect(ADDRESS, within=5)
        with pytest.raises(Unreachable, match="in use") as told:
            await radio.connect(OTHER, within=0.01)
        assert told.value.absence is None  # it says nothing of the lock
        await link.aclose()
        link = await radio.connect(OTHER, within=5)
        air.twins[OTHER].central.drop()
        other = await radio.connect(ADDRESS, within=5)
        await link.aclose()
        await other.aclose()


async def test_a_lingering_link_gives_its_slot_up_when_another_lock_waits(bluetoothd, clock, air):
    async with running(clock, max_connections=1) as radio, anyio.create_task_group() as tasks:
        for address in (ADDRESS, OTHER):
            bluetoothd.hear(address, air)
        link = await radio.connect(ADDRESS, within=5)
        tasks.start_soon(_connect_and_close, radio, OTHER)
        await radio.wanted(ADDRESS)
        await link.aclose()


async def test_each_adapter_has_slots_of_its_own(two, clock, air):
    async with running(clock, max_connections=1, **BOTH) as radio:
        for address in (ADDRESS, OTHER):
            two.hear(address, air, -50)
            two.hear(address, air, -80, path=HCI1)
        links = [await radio.connect(address, within=5) for address in (ADDRESS, OTHER)]
        assert two.connects == [HCI0, HCI1]
        for link in links:
            await link.aclose()


async def test_a_lock_that_never_accepts_leaves_its_slot_to_others_in_between(bluetoothd, clock, air, monkeypatch):
    monkeypatch.setattr(approach, "PATIENCE", 0.02)

    async def stuck(device):
        if device.address == ADDRESS:
            await anyio.sleep(0.02)
            await refuse(TimeoutError())

    bluetoothd.on_connect = stuck
    async with running(clock, max_connections=1) as radio, anyio.create_task_group() as tasks:
        for address in (ADDRESS, OTHER):
            bluetoothd.hear(address, air)
        tasks.start_soon(_is_unreachable, radio)
        await until(lambda: bluetoothd.connects)
        await _connect_and_close(radio, OTHER)
        tasks.cancel_scope.cancel()


async def _is_unreachable(radio: BluezRadio) -> None:
    with pytest.raises(Unreachable):
        await radio.connect(ADDRESS, within=5)


@pytest.mark.parametrize("signal", [(-80, -50, HCI1), (-50, -80, HCI0), (-60, -60, HCI0)])
async def test_a_connection_goes_through_the_adapter_that_hears_the_lock_best(two, clock, air, signal):
    first, second, chosen = signal
    async with running(clock, **BOTH) as radio:
        two.hear(ADDRESS, air, first)
        two.hear(ADDRESS, air, second, path=HCI1)
        await _connect_and_close(radio)
        assert two.connects == [chosen]
        assert radio.presence(ADDRESS).rssi == max(first, second)


async def test_what_was_heard_long_ago_counts_less_than_what_is_heard_now(two, clock, air):
    async with running(clock, **BOTH) as radio:
        two.hear(ADDRESS, air, -40)
        clock.now += ALLOWANCE + 1
        two.hear(ADDRESS, air, -80, path=HCI1)
        await _connect_and_close(radio)
        assert two.connects == [HCI1]
        assert radio.presence(ADDRESS).rssi == -80


@pytest.mark.parametrize(
    "trouble",
    [BleakError("failed"), TimeoutError(), BleakDBusError("org.bluez.Error.NotReady", [])],
)
async def test_a_connection_that_fails_goes_through_the_next_adapter(two, clock, air, trouble):
    async def failing(device):
        if device.details.path == HCI0:
            await refuse(trouble)

    two.on_connect = failing
    async with running(clock, **BOTH) as radio:
        two.hear(ADDRESS, air, -50)
        two.hear(ADDRESS, air, -80, path=HCI1)
        await _connect_and_close(radio)
    assert two.connects == [HCI0, HCI1]


async def test_the_adapter_going_down_is_told_to_whoever_waits_for_a_lock(bluetoothd, clock, air):
    async with running(clock) as radio, anyio.create_task_group() as tasks:

        async def wait() -> None:
            with pytest.raises(RadioDown, match="powered off"):
                await radio.connect(ADDRESS, within=5)

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        bluetoothd.adapters[HCI0]["Powered"] = False


async def _absence(radio: BluezRadio, within: float = 0.05) -> Absence | None:
    with pytest.raises(Unreachable) as told:
        await radio.connect(ADDRESS, within=within)
    return told.value.absence


async def test_a_lock_that_ends_the_connection_at_once_is_held_by_another(bluetoothd, clock, air):
    bluetoothd.on_connect = lambda _: refuse(BleakError("failed to discover services, device disconnected"))
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        assert await _absence(radio, within=5) is Absence.HELD_BY_ANOTHER
        bluetoothd.hear(ADDRESS, air, approach.WEAK - 1)
        assert await _absence(radio, within=5) is Absence.OUT_OF_RANGE


async def test_a_lock_that_is_heard_between_two_failures_is_held_by_another(bluetoothd, clock, air):
    bluetoothd.on_connect = lambda _: refuse(TimeoutError())
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        clock.now += 1
        assert await _absence(radio) is Absence.OUT_OF_RANGE
        clock.now += 1
        bluetoothd.hear(ADDRESS, air)
        clock.now += 1
        assert await _absence(radio) is Absence.HELD_BY_ANOTHER
        clock.now += 1
        assert await _absence(radio) is Absence.OUT_OF_RANGE  # not heard since


async def test_a_lock_that_was_reached_since_is_not_held_by_another(bluetoothd, clock, air):
    async with running(clock) as radio:
        bluetoothd.on_connect = lambda _: refuse(TimeoutError())
        bluetoothd.hear(ADDRESS, air)
        clock.now += 1
        await _absence(radio)
        bluetoothd.on_connect = None
        clock.now += 1
        bluetoothd.hear(ADDRESS, air)
        await _connect_and_close(radio)
        bluetoothd.on_connect = lambda _: refuse(TimeoutError())
        clock.now += 1
        assert await _absence(radio) is Absence.OUT_OF_RANGE


@pytest.mark.parametrize("error", ["InProgress", "AlreadyConnected"])
async def test_a_connection_that_bluez_is_stuck_with_is_ended_and_the_lock_found_anew(bluetoothd, clock, air, error):
    async def stuck(_device):
        if not bluetoothd.removed:
            await refuse(BleakDBusError(f"org.bluez.Error.{error}", ["Operation already in progress"]))

    bluetoothd.on_connect = stuck
    path = f"{HCI0}/dev_{ADDRESS.replace(':', '_')}"
    async with running(clock) as radio, anyio.create_task_group() as tasks:
        bluetoothd.hear(ADDRESS, air)
        tasks.start_soon(_connect_and_close, radio)
        await until(lambda: len(bluetoothd.scanners) == 2 and bluetoothd.scanners[1].running)
        assert (bluetoothd.disconnected, bluetoothd.removed) == ([path], [path])
        clock.now += 1
        bluetoothd.hear(ADDRESS, air)


async def test_a_bonded_lock_is_not_forgotten(bluetoothd, clock, air):
    path = f"{HCI0}/dev_{ADDRESS.replace(':', '_')}"
    bluetoothd.devices[path] = {"Address": ADDRESS, "Paired": True, "Connected": True}
    async with running(clock) as radio:
        await radio.patients[0].renew(ADDRESS)
        assert (bluetoothd.disconnected, bluetoothd.removed) == ([path], [])


async def test_a_table_of_characteristics_that_proved_stale_is_discovered_anew_once(bluetoothd, clock, air):
    async with running(clock) as radio:
        for _ in range(2):
            bluetoothd.hear(ADDRESS, air)
            link = await radio.connect(ADDRESS, within=5)
            with pytest.raises(LinkLost):
                await link.read("0000ffff-0000-1000-8000-00805f9b34fb")
            await link.aclose()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_connect_and_close, radio)
                await until(lambda: len(bluetoothd.removed) == 1)
                await until(lambda: bluetoothd.scanners[-1].running)
                clock.now += 1
                bluetoothd.hear(ADDRESS, air)


async def test_a_lock_whose_values_would_be_told_twice_is_begun_anew_with_each_time(
    bluetoothd, clock, air, monkeypatch
):
    async def haunted(*_args, **_options) -> None:
        raise AlreadyNotifying

    async with running(clock) as radio:
        for times in (1, 2):
            bluetoothd.hear(ADDRESS, air)
            link = await radio.connect(ADDRESS, within=5)
            monkeypatch.setattr(link._client, "start_notify", haunted)
            with pytest.raises(LinkLost, match="listens"):
                async with link.subscribe(ECHO):
                    pass
            await link.aclose()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_connect_and_close, radio)
                await until(lambda times=times: len(bluetoothd.removed) == times)
                await until(lambda: bluetoothd.scanners[-1].running)
                clock.now += 1
                bluetoothd.hear(ADDRESS, air)


async def test_a_next_connection_waits_until_the_one_before_has_ended(bluetoothd, clock, air, monkeypatch):
    ended = anyio.Event()
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)
        link = await radio.connect(ADDRESS, within=5)
        disconnect = link._client.disconnect

        async def slowly() -> None:
            await ended.wait()
            await disconnect()

        monkeypatch.setattr(link._client, "disconnect", slowly)
        await link.aclose()  # returns at once
        await link.aclose()
        assert radio.patients[0].linked
        with pytest.raises(Unreachable, match="not ended yet") as told:
            await radio.connect(ADDRESS, within=0.01)
        assert told.value.absence is None
        ended.set()
        await _connect_and_close(radio)


async def test_a_lock_has_so_long_to_accept_and_no_longer_than_leaves_time_for_the_next_adapter(two, clock, air):
    async with running(clock, **BOTH) as radio:
        two.hear(ADDRESS, air)
        for within, expected in ((60, approach.PATIENCE), (5, 4.75)):
            await (await radio.connect(ADDRESS, within=within)).aclose()
            assert two.withins.pop() == pytest.approx(expected, abs=0.2)
        two.hear(ADDRESS, air, path=HCI1)
        await _connect_and_close(radio)
        assert two.withins.pop() == pytest.approx(4.75 / 2, abs=0.2)


async def test_a_bluetoothd_that_does_not_answer_while_it_is_to_forget_a_lock_is_told(bluetoothd, clock, air):
    bluetoothd.on_connect = lambda _: refuse(BleakDBusError("org.bluez.Error.InProgress", []))
    async with running(clock) as radio:
        bluetoothd.hear(ADDRESS, air)

        async def mute(_path):
            raise RadioDown("It does not answer.", Cause.HUNG)

        bluetoothd.disconnect = mute
        with pytest.raises(RadioDown, match="does not answer"):
            await radio.connect(ADDRESS, within=0.05)


async def test_an_adapter_whose_hearing_is_not_known_is_the_last_to_be_tried(two, clock, air):
    async with running(clock, **BOTH) as radio:
        two.hear(ADDRESS, air)
        two.hear(ADDRESS, air, -90, path=HCI1)
        clock.now += ALLOWANCE + 1
        radio.patients[0]._heard._heard.clear()
        await _connect_and_close(radio)
        assert two.connects == [HCI1]


async def test_a_device_that_bluez_forgets_while_a_slot_is_waited_for_has_to_be_heard_again(bluetoothd, clock, air):
    async with running(clock, max_connections=1) as radio, anyio.create_task_group() as tasks:
        for address in (ADDRESS, OTHER):
            bluetoothd.hear(address, air)
        link = await radio.connect(OTHER, within=5)
        tasks.start_soon(_connect_and_close, radio)
        await anyio.wait_all_tasks_blocked()
        bluetoothd.scanners[-1].known.clear()
        await link.aclose()
        await anyio.wait_all_tasks_blocked()
        assert len(bluetoothd.connects) == 1
        bluetoothd.hear(ADDRESS, air)
