"""The Nuki driver and its virtual lock: when the lock is to lock itself."""

import anyio
import pytest
import trio.testing

from drivers.base import AutoLock, AutoLocking, Confirmed, DriverError, Failed, Fault, LinkLost, LockState, Unknown
from drivers.nuki import NukiDriver, NukiOptions
from drivers.nuki.protocol.codes import Command
from drivers.nuki.protocol.commands import ErrorReport
from drivers.nuki.protocol.config_commands import Advanced, AdvancedConfig
from drivers.nuki.virtual import NukiTwin
from drivers.nuki.virtual import twin as twin_module
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings
from tests.drivers.nuki.test_against_twin import session_with

ON, OFF = AutoLock(enabled=True, delay=7), AutoLock(enabled=False)
ULTRA_PIN = 123456


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def configure(session, wanted):
    return await (await session.prepare_auto_lock(wanted)).run(lambda _: None)


async def test_the_driver_says_that_it_can():
    assert NukiDriver.capabilities.auto_lock
    async with session_with() as (session, _, _):
        assert isinstance(session, AutoLocking)


async def test_what_was_set_is_what_the_lock_says():
    async with session_with(locked=False) as (session, twin, _):
        assert await session.auto_lock() == AutoLock(enabled=False, delay=300)
        outcome = await configure(session, ON)
        assert await session.auto_lock() == ON
        assert twin.lock.auto_lock == 7
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.lock_state is LockState.UNLOCKED


async def test_switched_off_it_keeps_its_delay():
    async with session_with() as (session, twin, _):
        await configure(session, ON)
        assert isinstance(await configure(session, OFF), Confirmed)
        assert await session.auto_lock() == AutoLock(enabled=False, delay=7)
        assert twin.lock.auto_lock is None


async def test_a_change_is_sent_once():
    async with session_with() as (session, _, _):
        actuation = await session.prepare_auto_lock(ON)
        await actuation.run(lambda _: None)
        with pytest.raises(RuntimeError):
            await actuation.run(lambda _: None)


async def test_nothing_changes_until_it_is_run():
    async with session_with() as (session, twin, _):
        await session.prepare_auto_lock(ON)
        assert twin.lock.auto_lock is None


async def test_a_session_goes_on_after_a_change():
    async with session_with() as (session, _, _):
        await configure(session, ON)
        assert (await session.read()).lock_state is LockState.LOCKED
        await session.prepare_auto_lock(OFF)


async def test_without_the_pin_nothing_is_sent():
    twin, credential = NukiDriver().twin("54:D2:72:00:00:01", "Front door", VirtualSettings())
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        with TwinLink.connect(twin) as link:
            session = await NukiDriver().open(link, credential.model_copy(update={"pin": None}), NukiOptions())
            with pytest.raises(DriverError, match="security PIN") as refused:
                await session.prepare_auto_lock(ON)
        group.cancel_scope.cancel()
    assert refused.value.fault is Fault.NOT_AUTHORIZED


async def test_a_wrong_pin_is_told_and_nothing_changes():
    async with session_with() as (session, twin, _):
        twin.pin = 4321
        outcome = await configure(session, ON)
        assert twin.lock.auto_lock is None
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_AUTHORIZED


@pytest.mark.parametrize(("trouble", "arrived"), [(Trouble.DROP_BEFORE_WRITE, False), (Trouble.DROP_AFTER_WRITE, True)])
async def test_a_change_whose_end_was_not_seen_is_unknown(trouble, arrived):
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(trouble)
        outcome = await configure(session, ON)
        assert (twin.lock.auto_lock is not None) is arrived
    assert isinstance(outcome, Unknown)


async def test_a_lock_that_says_complete_and_keeps_its_setting_did_not_take_it(monkeypatch):
    async with session_with() as (session, twin, _):
        monkeypatch.setattr(twin.lock, "configure_auto_lock", lambda **_: None)
        outcome = await configure(session, ON)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.REFUSED


async def test_a_lock_that_never_answers_leaves_it_unknown_in_bounded_time(monkeypatch):
    async with session_with() as (session, twin, _):
        actuation = await session.prepare_auto_lock(ON)
        monkeypatch.setattr(twin, "_say", lambda _message: None)
        with anyio.fail_after(30):
            outcome = await actuation.run(lambda _: None)
        assert isinstance(outcome, Unknown)
        with pytest.raises(LinkLost):
            await session.prepare_auto_lock(OFF)


async def test_firmware_without_the_flag_is_told_to_be_updated(monkeypatch):
    short = AdvancedConfig(720, Advanced(tail=bytes(9)))
    monkeypatch.setattr(twin_module, "advanced_config", lambda _lock: short)
    async with session_with() as (session, _, _):
        with pytest.raises(DriverError, match="Update it"):
            await session.auto_lock()
        with pytest.raises(DriverError, match="Update it"):
            await session.prepare_auto_lock(ON)


async def test_an_ultra_takes_its_wide_pin():
    ultra = NukiTwin("54:D2:72:00:00:02", "Front door", VirtualSettings(), ultra=True, pin=ULTRA_PIN)
    user, _ = ultra.authorize("Bridge")
    _, known = NukiDriver().twin("54:D2:72:00:00:01", "Front door", VirtualSettings())
    fields = {"app_id": user.app_id, "auth_id": user.auth_id, "key": user.key.hex(), "pin": str(ULTRA_PIN)}
    credential = type(known).model_validate({**fields, "ultra": True, "name": "Bridge"})
    async with anyio.create_task_group() as group:
        await group.start(ultra.run)
        with TwinLink.connect(ultra) as link:
            session = await NukiDriver().open(link, credential, NukiOptions())
            assert isinstance(await configure(session, ON), Confirmed)
        group.cancel_scope.cancel()
    assert ultra.lock.auto_lock == 7


async def test_an_error_report_about_something_else_is_passed_over(monkeypatch):
    async with session_with() as (session, twin, _):
        actuation = await session.prepare_auto_lock(ON)
        say = twin._say

        def chatter(message):
            say(ErrorReport(0x45, Command.LOCK_ACTION))
            say(message)

        monkeypatch.setattr(twin, "_say", chatter)
        assert isinstance(await actuation.run(lambda _: None), Confirmed)
