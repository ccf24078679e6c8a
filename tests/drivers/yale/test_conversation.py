"""The Yale driver's conversation with the virtual Yale lock: handshake, reading, news."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from drivers.base import (
    Action,
    AttRefused,
    Confirmed,
    DoorState,
    DriverError,
    Fault,
    LinkLost,
    LockState,
)
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.yale import YaleCredential, YaleOptions
from drivers.yale.protocol.codes import Op, Result, Subject, Uuid
from drivers.yale.virtual.report import result
from tests.support.yale_host import DRIVER, TAG, act, living, operations, session_with, tap, without


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class TestHandshake:
    @pytest.mark.parametrize("wrong", [{"slot": 9}, {"key": "ff" * 16}])
    async def test_a_wrong_key_or_slot_is_not_authorised(self, wrong):
        async with living() as (twin, credential):
            stranger = YaleCredential.model_validate(credential.stored() | wrong)
            with TwinLink.connect(twin) as link, pytest.raises(DriverError, match="key and slot") as refused:
                await DRIVER.open(link, stranger, YaleOptions())
        assert refused.value.fault is Fault.NOT_AUTHORIZED

    async def test_an_answer_under_another_key_is_not_authorised(self):
        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                link.on_notify = lambda _, data: [bytes(16) + data[16:]]
                with pytest.raises(DriverError) as refused:
                    await DRIVER.open(link, credential, YaleOptions())
        assert refused.value.fault is Fault.NOT_AUTHORIZED

    @pytest.mark.parametrize("code", [0x01, 0x02, 0x03, 0x0A])
    async def test_a_characteristic_that_is_no_longer_there_is_no_word_on_the_key(self, monkeypatch, code):
        async def write(_link, _characteristic, _data, *, response=True):
            raise AttRefused(code)

        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                monkeypatch.setattr(TwinLink, "write", write)
                with pytest.raises(LinkLost) as lost:
                    await DRIVER.open(link, credential, YaleOptions())
        assert lost.value.fault is Fault.UNREACHABLE

    async def test_a_link_that_ends_in_the_handshake_is_lost_and_hints_at_the_key(self):
        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                link.on_notify = lambda _, _data: link.drop() or []
                with pytest.raises(LinkLost, match="key"):
                    await DRIVER.open(link, credential, YaleOptions())

    async def test_a_mute_lock_is_lost(self):
        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                link.on_notify = lambda _, _data: []
                with anyio.fail_after(10), pytest.raises(LinkLost):
                    await DRIVER.open(link, credential, YaleOptions())

    async def test_a_doubled_answer_is_taken_once(self):
        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                link.on_notify = lambda _, data: [data, data]
                session = await DRIVER.open(link, credential, YaleOptions())
                link.on_notify = lambda _, data: [data]
                assert (await session.read()).lock_state is LockState.LOCKED
                await session.aclose()

    async def test_another_device_is_no_lock(self):
        async with living() as (twin, credential):
            twin.gatt = {}
            with TwinLink.connect(twin) as link, pytest.raises(DriverError, match="no Yale"):
                await DRIVER.open(link, credential, YaleOptions())

    async def test_a_model_that_cannot_be_read_is_asked_for_everything(self):
        async with living() as (twin, credential):
            twin.model = "\udcff"  # cannot be encoded
            for table in (twin.gatt, {name: each for name, each in twin.gatt.items() if name != Uuid.INFORMATION}):
                twin.gatt = table
                twin.read = lambda name, read=twin.read: read("" if name == Uuid.MODEL else name)
                with TwinLink.connect(twin) as link:
                    session = await DRIVER.open(link, credential, YaleOptions())
                    assert (await session.read()).battery_level == 100
                    await session.aclose()

    async def test_it_says_goodbye(self):
        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                session = await DRIVER.open(link, credential, YaleOptions())
                said = []
                link.on_notify = lambda name, data: [said.append(name) or data]
                await session.aclose()
            assert said == [Uuid.SECURE_NOTIFY]

    async def test_a_lock_that_does_not_answer_a_goodbye_is_left(self):
        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                session = await DRIVER.open(link, credential, YaleOptions())
                link.on_notify = lambda _, _data: []
                with anyio.fail_after(5):
                    await session.aclose()


class TestReading:
    async def test_the_snapshot_is_the_locks_own(self):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.battery(12)
            twin.lock.open_door()
            read = await session.read()
        assert (read.lock_state, read.door_state) == (LockState.UNLOCKED, DoorState.OPEN)
        assert (read.battery_level, read.battery_critical) == (12, None)

    async def test_the_battery_is_asked_for_once_an_hour(self):
        async with session_with() as (session, twin, _):
            asked = tap(twin)
            assert (await session.read()).battery_level == 100
            assert (await session.read()).battery_level is None
            with anyio.move_on_after(3600):
                while True:
                    await session.changed()
                    await session.read()
            assert (await session.read()).battery_level == 100
            assert len([frame for frame in asked if frame.about == Subject.BATTERY]) == 2

    @pytest.mark.parametrize(
        ("model", "never"),
        [
            ("ASL-01", Subject.DOOR),
            ("ASL-02-EU", Subject.DOOR),
            ("SL-103", Subject.BATTERY),
            ("Yale Linus L2", Subject.BATTERY),
        ],
    )
    async def test_a_model_is_not_asked_for_what_it_does_not_tell(self, model, never):
        def be(twin):
            twin.model = model

        async with session_with(prepare=be) as (session, twin, _):
            asked = tap(twin)
            await session.read()
            assert never not in {frame.about for frame in asked}
            assert len(asked) == 2

    async def test_a_lock_that_does_not_tell_of_its_door_is_not_asked_for_ever(self):
        def be(twin):
            twin.silent = frozenset({Subject.DOOR})

        async with session_with(prepare=be) as (session, twin, _):
            asked = tap(twin)
            for _ in range(4):
                read = await session.read()
                assert (read.lock_state, read.door_state) == (LockState.LOCKED, DoorState.UNKNOWN)
            assert len([frame for frame in asked if frame.about == Subject.DOOR]) == 2

    async def test_a_mute_lock_is_as_good_as_gone(self):
        async with session_with() as (session, _twin, link):
            without(link, *range(100))
            with anyio.fail_after(10), pytest.raises(LinkLost):
                await session.read()

    async def test_after_a_read_that_was_called_off_the_next_is_of_its_own_time(self):
        async with session_with() as (session, twin, link):
            await session.read()
            held = []
            link.on_notify = lambda name, data: held.append((name, data)) or []
            with anyio.move_on_after(1):
                await session.read()
            twin.lock.manual_unlock()
            link.on_notify = lambda _, data: [data]
            actuation = link.on_write

            def late(name, data):
                for each in held:
                    link.deliver(*each)
                link.on_write = actuation
                return [data]

            link.on_write = late
            assert (await session.read()).lock_state is LockState.UNLOCKED

    @pytest.mark.parametrize("when", ["before it is prepared", "before it is run"])
    async def test_an_action_after_a_read_that_was_called_off_is_understood_and_sent_once(self, when):
        async with session_with() as (session, twin, link):
            asked = tap(twin)
            actuation = await session.prepare(Action.UNLOCK, TAG)
            link.on_write = lambda _name, _data: []
            with anyio.move_on_after(1):
                await session.read()
            link.on_write = lambda _name, data: [data]
            if when == "before it is prepared":
                actuation = await session.prepare(Action.UNLOCK, TAG)
            assert isinstance(await actuation.run(lambda _: None), Confirmed)
            assert len(operations(asked)) == len(twin.lock.movements) == 1

    async def test_a_write_that_never_arrived_does_not_garble_what_follows(self):
        async with session_with() as (session, _, link):
            link.on_write = lambda _name, _data: []
            with pytest.raises(LinkLost):
                await session.read()
            link.on_write = lambda _name, data: [data]
            assert (await session.read()).lock_state is LockState.LOCKED
            assert isinstance(await act(session, Action.UNLOCK), Confirmed)


class TestNews:
    @pytest.mark.parametrize("what", ["manual_unlock", "open_door", "fob"])
    async def test_what_others_do_is_news(self, what):
        async with session_with() as (session, twin, _):
            await session.read()
            async with anyio.create_task_group() as group:
                group.start_soon(session.changed)
                await anyio.sleep(1)
                getattr(twin.lock, what)()

    async def test_the_end_of_anothers_operation_is_news(self):
        async with session_with() as (session, twin, _):
            await session.read()
            twin._say(result(Op.UNLOCK, Result.TIMEOUT))
            with anyio.fail_after(5):
                await session.changed()

    async def test_a_standing_link_is_kept_alive(self):
        async with session_with() as (session, _twin, link):
            await session.read()
            with anyio.move_on_after(300):
                await session.changed()
                raise AssertionError
            assert link.is_open

    async def test_an_idle_one_is_ended_by_the_lock(self):
        async with session_with() as (session, _, link):
            await session.read()
            await anyio.sleep(31)
            assert not link.is_open
            with pytest.raises(LinkLost):
                await session.changed()

    async def test_what_a_lost_notification_told_is_found_out_by_keeping_alive(self):
        async with session_with() as (session, twin, _):
            await session.read()
            twin.lock.faults.arm(Trouble.LOSE_INDICATION)
            twin.lock.manual_unlock()
            with anyio.fail_after(60):
                await session.changed()
            assert (await session.read()).lock_state is LockState.UNLOCKED
