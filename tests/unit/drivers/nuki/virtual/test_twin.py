import random
import struct

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import LockState
from drivers.nuki.protocol.codes import (
    AuthorizationType,
    Bolt,
    Command,
    Door,
    ErrorCode,
    NukiState,
    Trigger,
    Turn,
    Uuid,
)
from drivers.nuki.protocol.commands import (
    ErrorReport,
    KeyturnerStates,
    LockAction,
    RequestConfig,
    RequestData,
    Status,
)
from drivers.nuki.protocol.frames import plain, sealed
from drivers.nuki.protocol.pairing_commands import PublicKey
from drivers.virtual.operation import Origin
from drivers.virtual.peripheral import AttError, Property
from tests.support.nuki_host import ADDRESS, APP_ID, Host, living

ACCEPTED, COMPLETE = Status(1), Status(0)
STATES = RequestData(Command.KEYTURNER_STATES)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def host_of(twin, kind=AuthorizationType.APP, **options):
    user, _ = twin.authorize("Bridge", kind, app_id=APP_ID)
    return Host(twin, user, **options)


def bolts(messages):
    return [Bolt(m.lock_state) if isinstance(m, KeyturnerStates) else m for m in messages]


async def test_the_services_of_the_older_locks():
    async with living() as twin:
        assert set(twin.gatt) == {Uuid.PAIRING_SERVICE, Uuid.KEYTURNER_SERVICE}
        assert set(twin.gatt[Uuid.KEYTURNER_SERVICE]) == {Uuid.GDIO, Uuid.USDIO}
        assert twin.gatt[Uuid.KEYTURNER_SERVICE][Uuid.USDIO] == {Property.WRITE, Property.INDICATE}


async def test_the_services_of_the_ultra():
    async with living(ultra=True) as twin:
        assert set(twin.gatt) == {Uuid.ULTRA_PAIRING_SERVICE, Uuid.KEYTURNER_SERVICE}
        assert set(twin.gatt[Uuid.ULTRA_PAIRING_SERVICE]) == {Uuid.ULTRA_PAIRING}


async def test_nothing_is_read_and_only_data_characteristics_are_written():
    async with living() as twin:
        host_of(twin)
        with pytest.raises(AttError):
            twin.read(Uuid.USDIO)
        with pytest.raises(AttError):
            twin.write(Uuid.GDIO, b"x")
        with pytest.raises(AttError):
            twin.write(Uuid.ULTRA_PAIRING, b"x")


async def test_the_states_say_where_everything_is():
    async with living() as twin:
        twin.lock.battery(18)
        twin.lock.open_door()
        states = await host_of(twin).ask(STATES)
        assert states.nuki_state == NukiState.DOOR
        assert (states.lock_state, states.trigger, states.door) == (Bolt.LOCKED, Trigger.MANUAL, Door.OPEN)
        assert states.battery == 1 | 9 << 2
        assert states.at == twin.lock.log[-1].at.replace(microsecond=0)


@pytest.mark.parametrize("motor_time", [0, 3])
@pytest.mark.parametrize(
    ("turn", "locked", "through", "end"),
    [
        (Turn.UNLOCK, True, Bolt.UNLOCKING, Bolt.UNLOCKED),
        (Turn.LOCK, False, Bolt.LOCKING, Bolt.LOCKED),
        (Turn.FULL_LOCK, False, Bolt.LOCKING, Bolt.LOCKED),
        (Turn.UNLATCH, True, Bolt.UNLATCHING, Bolt.UNLATCHED),
    ],
)
async def test_an_action_is_accepted_moves_ends_and_is_complete(motor_time, turn, locked, through, end):
    async with living(motor_time=motor_time, locked=locked) as twin:
        host = host_of(twin)
        said = await host.act(turn)
        await host.until(lambda: COMPLETE in host.messages)
        said += host.new()
        assert bolts(said)[:4] == [ACCEPTED, through, end, COMPLETE]
        assert len(twin.lock.movements) == 1


async def test_an_indication_is_twenty_bytes_long_at_most():
    async with living() as twin:
        host = host_of(twin, mtu=247)
        await host.ask(STATES)
        assert max(len(part) for _, part in host.heard) == 20


async def test_an_indication_can_fill_the_mtu():
    async with living(fragment=None) as twin:
        host = host_of(twin, mtu=247)
        await host.ask(STATES)
        assert len(host.heard) == 1


async def test_a_nonce_serves_once():
    async with living(motor_time=0) as twin:
        host = host_of(twin)
        nonce = await host.nonce()
        await host.act(Turn.UNLOCK, nonce=nonce)
        said = await host.act(Turn.UNLOCK, nonce=nonce)
        assert said == [ErrorReport(ErrorCode.BAD_NONCE, Command.LOCK_ACTION)]
        assert len(twin.lock.movements) == 1


async def test_a_nonce_of_another_user_is_worth_nothing():
    async with living() as twin:
        other = host_of(twin)
        nonce = await other.nonce()
        other.leave()
        host = host_of(twin)
        said = await host.act(Turn.UNLOCK, nonce=nonce)
        assert said == [ErrorReport(ErrorCode.BAD_NONCE, Command.LOCK_ACTION)]


async def test_a_second_action_finds_the_lock_busy():
    async with living() as twin:
        host = host_of(twin)
        await host.act(Turn.UNLOCK)
        said = await host.act(Turn.LOCK)
        assert said == [ErrorReport(ErrorCode.BUSY, Command.LOCK_ACTION)]
        await host.until(lambda: COMPLETE in host.messages)
        assert len(twin.lock.movements) == 1


async def test_an_uncalibrated_lock_says_so():
    async with living() as twin:
        twin.lock.state = LockState.UNCALIBRATED
        said = await host_of(twin).act(Turn.UNLOCK)
        assert said == [ErrorReport(ErrorCode.NOT_CALIBRATED, Command.LOCK_ACTION)]


async def test_an_action_that_it_does_not_know_is_refused():
    async with living() as twin:
        said = await host_of(twin).act(Turn.LOCK_N_GO)
        assert said == [ErrorReport(ErrorCode.BAD_PARAMETER, Command.LOCK_ACTION)]
        assert not twin.lock.busy


async def test_a_stranger_is_not_authorized_and_moves_nothing():
    async with living() as twin:
        host = host_of(twin)
        stranger_key = bytes(32)
        action = LockAction(Turn.UNLOCK, APP_ID, bytes(32))
        for auth_id, key in ((host.user.auth_id, stranger_key), (999, host.user.key)):
            host.heard.clear()
            twin.write(Uuid.USDIO, sealed(action, key, auth_id))
            await trio.testing.wait_all_tasks_blocked()
            expected = plain(ErrorReport(ErrorCode.NOT_AUTHORIZED, Command.REQUEST_DATA))
            assert host.heard == [(Uuid.USDIO, expected)]
        assert not twin.lock.busy


async def test_a_disabled_user_gets_nothing():
    async with living() as twin:
        host = host_of(twin)
        host.user.enabled = False
        assert await host.ask(STATES) == ErrorReport(ErrorCode.DISABLED, Command.REQUEST_DATA)


async def test_what_it_cannot_tell_it_refuses():
    async with living() as twin:
        host = host_of(twin)
        answer = await host.ask(RequestData(Command.LOCK_ACTION))
        assert answer == ErrorReport(ErrorCode.BAD_PARAMETER, Command.REQUEST_DATA)
        assert await host.ask(COMPLETE) == ErrorReport(ErrorCode.UNKNOWN, Command.STATUS)


async def test_the_configuration_names_the_lock():
    async with living() as twin:
        host = host_of(twin)
        command, payload = await host.ask(RequestConfig(await host.nonce()))
        assert command == Command.CONFIG
        assert struct.unpack_from("<I", payload) == (0x72AABBCC,)
        assert payload[4:36].rstrip(b"\0") == b"Front door"


async def test_the_battery_report_tells_the_voltage():
    async with living() as twin:
        twin.lock.battery(10)
        command, payload = await host_of(twin).ask(RequestData(Command.BATTERY_REPORT))
        assert command == Command.BATTERY_REPORT
        assert struct.unpack_from("<xxHB", payload) == (4200, 1)


async def test_a_connected_host_is_told_what_others_do():
    async with living(pin_codes={"123456": "Ada"}, motor_time=0) as twin:
        host = host_of(twin)
        await host.ask(STATES)
        twin.lock.manual_unlock()
        twin.lock.open_door()
        await trio.testing.wait_all_tasks_blocked()
        turned, opened = host.new()
        assert (turned.lock_state, turned.trigger) == (Bolt.UNLOCKED, Trigger.MANUAL)
        assert opened.door == Door.OPEN
        twin.lock.keypad("123456")
        await host.until(lambda: not twin.lock.busy and twin.lock.movements)
        assert host.new()[-1].trigger == Trigger.SYSTEM


async def test_a_host_that_never_spoke_is_told_nothing():
    async with living() as twin:
        host = host_of(twin)
        twin.lock.manual_unlock()
        await trio.testing.wait_all_tasks_blocked()
        assert host.heard == []


async def test_what_was_said_to_one_user_is_not_said_to_the_next():
    async with living() as twin:
        first = host_of(twin)
        await first.act(Turn.UNLOCK)
        first.leave()
        second = host_of(twin)
        await second.ask(STATES)
        await second.until(lambda: not twin.lock.busy)
        await trio.testing.wait_all_tasks_blocked()
        assert not [m for m in second.messages if isinstance(m, Status)]
        assert second.messages[-1].lock_state == Bolt.UNLOCKED


async def test_a_write_after_the_end_of_the_connection_does_nothing():
    async with living() as twin:
        host = host_of(twin)
        nonce = await host.nonce()
        host.leave()
        await host.send(LockAction(Turn.UNLOCK, APP_ID, nonce))
        assert not twin.lock.busy


async def test_the_beacon_says_that_something_changed_until_a_bridge_has_read_it():
    async with living() as twin:

        def beacon():
            (payload,) = twin.advertisement().manufacturer_data.values()
            return payload[-1] & 1

        assert beacon() == 0
        twin.lock.manual_unlock()
        assert beacon() == 1
        app = host_of(twin)
        await app.ask(STATES)
        app.leave()
        assert beacon() == 1
        await host_of(twin, AuthorizationType.BRIDGE).ask(STATES)
        assert beacon() == 0


async def test_the_beacon_tells_of_every_entry_in_the_log():
    async with living() as twin:
        for _ in range(2):
            twin.changed = False
            assert not twin.lock.keypad("000000")
            assert twin.changed


async def test_coming_back_in_range_is_no_change():
    async with living() as twin:
        twin.lock.offline()
        assert twin.advertisement() is None
        twin.lock.online()
        assert not twin.changed


async def test_the_beacon_is_apples_with_the_keyturner_service_and_the_locks_number():
    async with living() as twin:
        heard = twin.advertisement()
        assert (heard.address, heard.name) == (ADDRESS, "Nuki_72AABBCC")
        assert heard.manufacturer_data == {76: bytes.fromhex("0215a92ee200550111e4916c0800200c9a6672aabbccc4")}
        assert not heard.service_data


@pytest.mark.parametrize("ultra", [False, True])
async def test_pairing_mode_is_announced_under_the_pairing_service(ultra):
    async with living(ultra=ultra) as twin:
        twin.pairing_mode = True
        heard = twin.advertisement()
        assert list(heard.service_data) == [Uuid.ULTRA_PAIRING_SERVICE if ultra else Uuid.PAIRING_SERVICE]
        assert not heard.manufacturer_data
        states = await host_of(twin).ask(STATES)
        assert states.nuki_state == NukiState.PAIRING


@pytest.mark.parametrize("on", [False, True])
async def test_pairing_is_answered_on_its_own_characteristic(on):
    async with living() as twin:
        host = host_of(twin)
        twin.pairing_mode = on
        assert twin.pairing_mode is on
        twin.write(Uuid.PAIRING, plain(RequestData(Command.PUBLIC_KEY)))
        await trio.testing.wait_all_tasks_blocked()
        refusal = ErrorReport(ErrorCode.NOT_PAIRING, Command.REQUEST_DATA)
        expected = plain(PublicKey(twin.keyring.identity.public) if on else refusal)
        assert {characteristic for characteristic, _ in host.heard} == {Uuid.PAIRING}
        assert b"".join(part for _, part in host.heard) == expected


async def test_a_lock_with_a_seed_repeats_itself():
    async def first_words():
        async with living(random=random.Random(7).randbytes) as twin:
            host = host_of(twin)
            return await host.nonce(), host.user.key, twin.keyring.identity.public

    assert await first_words() == await first_words()


async def test_its_users_and_their_keys_are_not_in_its_repr():
    async with living() as twin:
        user, host = twin.authorize("Phone")
        for secret in (user.key, host.private):
            assert repr(secret) not in repr((user, host, twin))


async def test_a_command_names_its_user_to_the_lock():
    async with living(motor_time=0) as twin:
        host = host_of(twin)
        await host.act(Turn.UNLOCK)
        by = twin.lock.log[-1].by
        assert (by.origin, by.key, by.name) == (Origin.BLUETOOTH, host.user.auth_id, "Bridge")


@given(st.lists(st.tuples(st.sampled_from([Uuid.PAIRING, Uuid.USDIO]), st.binary(max_size=200)), max_size=5))
def test_garbage_moves_nothing_and_is_survived(writes):
    async def live():
        async with living() as twin:
            host = host_of(twin)
            for characteristic, data in writes:
                twin.write(characteristic, data)
            await trio.testing.wait_all_tasks_blocked()
            host.heard.clear()
            assert (await host.ask(STATES)).lock_state == Bolt.LOCKED
            assert not twin.lock.movements

    trio.run(live, clock=trio.testing.MockClock(autojump_threshold=0))
