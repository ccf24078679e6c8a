"""The Nuki driver against the virtual Nuki, over a link in the same process and under virtual time."""

from contextlib import asynccontextmanager

import anyio
import pytest
import trio.testing
from pydantic import SecretStr

from drivers.base import (
    Action,
    Confirmed,
    DoorState,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LockState,
    Method,
    PairingError,
    PairingRequest,
    Stage,
    Unknown,
)
from drivers.nuki import NukiCredential, NukiDriver, NukiOptions
from drivers.nuki.protocol.codes import AuthorizationType
from drivers.nuki.virtual import NukiTwin
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings

ADDRESS = "54:D2:72:00:00:01"
TAG = b"0123456789abcdef0123"
DRIVER = NukiDriver()
TARGETS = {
    Action.LOCK: LockState.LOCKED,
    Action.UNLOCK: LockState.UNLOCKED,
    Action.UNLATCH: LockState.UNLATCHED,
}


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@asynccontextmanager
async def living(twin):
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        yield twin
        group.cancel_scope.cancel()


@asynccontextmanager
async def session_with(*, locked=True, credential=None, options=None, **settings):
    twin, own = DRIVER.twin(ADDRESS, "Front door", VirtualSettings(locked=locked, **settings))
    async with living(twin):
        with TwinLink.connect(twin) as link:
            session = await DRIVER.open(link, credential or own, options or NukiOptions())
            yield session, twin, link
            await session.aclose()


async def act(session, action, seen=lambda _: None):
    return await (await session.prepare(action, TAG)).run(seen)


async def settle(twin):
    """Wait until the motor stands."""
    still = anyio.Event()
    twin.lock.watch(lambda: None if twin.lock.busy else still.set())
    if twin.lock.busy:
        await still.wait()


@pytest.mark.parametrize("action", Action)
async def test_an_action_moves_the_bolt_once_and_is_confirmed(action):
    seen = []
    async with session_with(locked=action is not Action.LOCK) as (session, twin, _):
        outcome = await act(session, action, seen.append)
        assert [movement.action for movement in twin.lock.movements] == [action]
        assert twin.lock.movements[0].tag == TAG
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.lock_state is TARGETS[action]
    assert seen[0].lock_state.moving


async def test_the_snapshot_is_the_locks_own():
    async with session_with(locked=False) as (session, twin, _):
        twin.lock.battery(12)
        twin.lock.open_door()
        read = await session.read()
    assert (read.lock_state, read.door_state) == (LockState.UNLOCKED, DoorState.OPEN)
    assert (read.battery_level, read.battery_critical) == (12, True)


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        (Trouble.BUSY, Fault.REFUSED),
        (Trouble.JAM, Fault.JAMMED),
        (Trouble.OBSTRUCTION, Fault.OBSTRUCTED),
        (Trouble.LOW_VOLTAGE, Fault.LOW_BATTERY),
        (Trouble.CLUTCH, Fault.MECHANISM),
        (Trouble.MOTOR_POWER, Fault.MECHANISM),
        (Trouble.CANCELLED, Fault.REFUSED),
        (Trouble.INCOMPLETE, Fault.NOT_FULLY_EXTENDED),
        (Trouble.KNOB, Fault.REFUSED),
        (Trouble.TIME_REFUSED, Fault.NOT_AUTHORIZED),
    ],
)
async def test_a_trouble_of_the_lock_is_a_failure(trouble, fault):
    async with session_with(locked=False) as (session, twin, _):
        twin.lock.faults.arm(trouble)
        outcome = await act(session, Action.LOCK)
        assert len(twin.lock.movements) <= 1
    assert isinstance(outcome, Failed)
    assert outcome.fault is fault


async def test_a_jam_that_frees_itself_is_confirmed():
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(Trouble.JAM_FREES_ITSELF)
        assert isinstance(await act(session, Action.UNLOCK), Confirmed)


@pytest.mark.parametrize(
    ("trouble", "stages"),
    [
        (Trouble.DROP_BEFORE_WRITE, {Stage.WRITTEN}),
        (Trouble.DROP_AFTER_WRITE, {Stage.WRITTEN}),
        (Trouble.DROP_AFTER_ACCEPTED, {Stage.ACCEPTED, Stage.WRITTEN}),
        (Trouble.NONCE_REFUSED, {Stage.WRITTEN}),
        (Trouble.STALL, {Stage.ACCEPTED}),
        (Trouble.FALSE_SUCCESS, {Stage.MOVING}),
    ],
)
async def test_what_was_not_seen_is_unknown(trouble, stages):
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(trouble)
        outcome = await act(session, Action.UNLOCK)
        await settle(twin)
        assert len(twin.lock.movements) <= 1
    assert isinstance(outcome, Unknown)
    assert outcome.stage in stages


async def test_a_lock_that_falls_mute_is_asked_and_tells():
    async with session_with() as (session, twin, _):
        twin.lock.faults.arm(Trouble.MUTE_AFTER_ACCEPTED)
        assert isinstance(await act(session, Action.UNLOCK), Confirmed)
        assert len(twin.lock.movements) == 1


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    "trouble",
    [Trouble.LOSE_INDICATION, Trouble.DUPLICATE_INDICATION, Trouble.DELAY_INDICATION, Trouble.REORDER_INDICATION],
)
@pytest.mark.parametrize("after", range(0, 40, 3))
async def test_a_bad_link_never_gives_a_wrong_outcome(action, trouble, after):
    async with session_with(locked=action is not Action.LOCK) as (session, twin, _):
        actuation = await session.prepare(action, TAG)
        twin.lock.faults.arm(trouble, after=after)
        outcome = await actuation.run(lambda _: None)
        await settle(twin)
        assert len(twin.lock.movements) == 1
    assert isinstance(outcome, Confirmed | Unknown)
    if trouble in (Trouble.DUPLICATE_INDICATION, Trouble.DELAY_INDICATION):
        assert isinstance(outcome, Confirmed)


@pytest.mark.parametrize("heard", range(30))
async def test_a_link_that_ends_at_any_indication_never_gives_a_wrong_outcome(heard):
    async with session_with(locked=False) as (session, twin, link):
        actuation = await session.prepare(Action.LOCK, TAG)
        left = heard

        def until(_, data):
            nonlocal left
            left -= 1
            if left < 0:
                link.drop()
                return []
            return [data]

        link.on_notify = until
        outcome = await actuation.run(lambda _: None)
        await settle(twin)
        assert len(twin.lock.movements) == 1
        assert isinstance(outcome, Unknown if left < 0 else Confirmed)


async def test_what_others_do_meanwhile_is_not_taken_for_ours():
    async with session_with() as (session, twin, _):
        actuation = await session.prepare(Action.UNLOCK, TAG)
        twin.lock.fob()
        outcome = await actuation.run(lambda _: None)
        await settle(twin)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.REFUSED


async def test_our_own_entry_is_found_by_its_tag():
    async with session_with() as (session, _twin, _link):
        assert await session.find(TAG) is None
        await act(session, Action.UNLOCK)
        record = await session.find(TAG)
        assert (record.action, record.succeeded, record.ours, record.tag) == (Action.UNLOCK, True, True, TAG)
        assert record.method is Method.REMOTE_API


async def test_the_log_says_who_did_what():
    async with session_with(pin_codes={"123456": "Cleaner"}) as (session, twin, _):
        phone, _ = twin.authorize("Phone")
        assert phone.kind == AuthorizationType.APP
        for operate in (twin.lock.fob, lambda: twin.lock.keypad("123456"), twin.lock.keypad_lock):
            operate()
            await settle(twin)
        twin.lock.keypad("000000")
        twin.lock.manual_unlock()
        records = await session.log(None, 10)
        later = await session.log(records[-1].record_id, 10)
    assert [record.method for record in reversed(records)] == [
        Method.BLUETOOTH_KEY,
        Method.PIN_CODE,
        Method.MANUAL_TURN,
        Method.PIN_CODE,
        Method.MANUAL_TURN,
    ]
    assert [record.succeeded for record in reversed(records)] == [True, True, True, False, True]
    assert not any(record.ours for record in records)
    assert "123456" not in repr(records)
    assert [record.record_id for record in later] == [record.record_id for record in reversed(records[:-1])]


async def test_a_wrong_pin_closes_the_log_but_not_the_lock():
    twin, credential = DRIVER.twin(ADDRESS, "Front door", VirtualSettings())
    async with living(twin):
        with TwinLink.connect(twin) as link:
            wrong = credential.model_copy(update={"pin": SecretStr("9999")})
            session = await DRIVER.open(link, wrong, NukiOptions())
            for _ in range(5):
                assert await session.find(TAG) is None
            assert twin.wrong_pins == 1
            assert not session.has_log
            with pytest.raises(DriverError, match="PIN"):
                await session.log(None, 1)
            assert isinstance(await act(session, Action.UNLOCK), Confirmed)
            await session.aclose()


async def test_a_lock_that_forgot_us_is_told_apart_from_a_mute_one():
    async with session_with() as (session, twin, _):
        twin.keyring.users.clear()
        for _ in range(2):
            with pytest.raises(DriverError) as error:
                await session.read()
            assert error.value.fault is Fault.NOT_AUTHORIZED


async def test_a_disabled_user_is_refused():
    async with session_with() as (session, twin, _):
        for user in twin.keyring.users.values():
            user.enabled = False
        with pytest.raises(DriverError, match="disabled"):
            await session.prepare(Action.UNLOCK, TAG)


@pytest.mark.parametrize("fragment", [20, 7, None])
@pytest.mark.parametrize("ultra", [False, True])
async def test_pairing_opens_the_lock(ultra, fragment):
    twin = NukiTwin(ADDRESS, "Front door", VirtualSettings(), ultra=ultra, pin=4711, fragment=fragment)
    twin.desk.open = True
    assert DRIVER.sight(twin.advertisement()).pairable
    async with living(twin):
        with TwinLink.connect(twin) as link:
            credential = await DRIVER.pair(link, PairingRequest("Bridge", 42, pin=4711))
            credential = NukiCredential.model_validate(credential.stored())
            session = await DRIVER.open(link, credential, NukiOptions())
            assert isinstance(await act(session, Action.UNLOCK), Confirmed)
            assert (await session.find(TAG)).ours
            await session.aclose()


async def test_pairing_out_of_pairing_mode_says_what_to_do():
    twin = NukiTwin(ADDRESS, "Front door", VirtualSettings())
    async with living(twin):
        with TwinLink.connect(twin) as link, pytest.raises(PairingError, match="five seconds"):
            await DRIVER.pair(link, PairingRequest("Bridge", 42))


async def test_an_ultra_refuses_a_wrong_pin():
    twin = NukiTwin(ADDRESS, "Front door", VirtualSettings(), ultra=True, pin=123456)
    twin.desk.open = True
    async with living(twin):
        with TwinLink.connect(twin) as link, pytest.raises(PairingError, match="PIN is wrong"):
            await DRIVER.pair(link, PairingRequest("Bridge", 42, pin=654321))


async def test_a_lock_out_of_reach_is_lost():
    async with session_with() as (session, twin, _):
        twin.lock.offline()
        with pytest.raises(LinkLost):
            await session.read()


async def test_the_lock_forgets_a_key_that_is_revoked_and_no_other():
    async with session_with() as (session, twin, _):
        others = {auth_id for auth_id, user in twin.keyring.users.items() if user.name != "Lock Bridge"}
        await session.revoke()
        assert set(twin.keyring.users) == others
        with pytest.raises(DriverError) as refused:
            await session.read()
        assert refused.value.fault is Fault.NOT_AUTHORIZED


@pytest.mark.parametrize(("pin", "told"), [(None, "was never given"), (SecretStr("1"), "PIN")])
async def test_a_key_is_not_revoked_without_the_right_pin(pin, told):
    twin, own = DRIVER.twin(ADDRESS, "Front door", VirtualSettings())
    async with living(twin):
        with TwinLink.connect(twin) as link:
            session = await DRIVER.open(link, own.model_copy(update={"pin": pin}), NukiOptions())
            users = set(twin.keyring.users)
            with pytest.raises(DriverError, match=told) as refused:
                await session.revoke()
            assert refused.value.fault is Fault.NOT_AUTHORIZED
            assert set(twin.keyring.users) == users
            await session.aclose()
