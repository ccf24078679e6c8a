"""The Yale driver against the virtual Yale lock."""

from __future__ import annotations

import logging

import anyio
import pytest
import trio.testing

from drivers.base import (
    Action,
    Confirmed,
    DoorState,
    Failed,
    Fault,
    LinkLost,
    LockState,
    Stage,
    Unknown,
)
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.yale import YaleOptions
from drivers.yale.protocol.codes import Uuid
from tests.support.yale_host import DRIVER, TAG, act, living, operations, session_with, settle, tap, without

TARGETS = {
    Action.LOCK: LockState.LOCKED,
    Action.UNLOCK: LockState.UNLOCKED,
    Action.UNLATCH: LockState.UNLATCHED,
}


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class TestActions:
    @pytest.mark.parametrize("action", Action)
    async def test_an_action_is_confirmed_by_the_locks_report_of_its_target(self, action):
        seen = []
        async with session_with(locked=action is not Action.LOCK) as (session, twin, _):
            outcome = await act(session, action, seen.append)
            assert [movement.action for movement in twin.lock.movements] == [action]
        assert isinstance(outcome, Confirmed)
        assert outcome.snapshot.lock_state is TARGETS[action]
        assert [snapshot.lock_state.moving for snapshot in seen] == [True, False]

    async def test_where_the_door_is_stays_known_while_the_bolt_moves(self):
        seen = []
        async with session_with() as (session, twin, _):
            twin.lock.open_door()
            await session.read()
            outcome = await act(session, Action.UNLOCK, seen.append)
        assert isinstance(outcome, Confirmed)
        assert {snapshot.door_state for snapshot in (*seen, outcome.snapshot)} == {DoorState.OPEN}

    @pytest.mark.parametrize(
        ("trouble", "fault", "code"),
        [
            (Trouble.BUSY, Fault.REFUSED, 0x3E),
            (Trouble.JAM, Fault.JAMMED, 0x1E),
            (Trouble.OBSTRUCTION, Fault.OBSTRUCTED, 0x1E),
            (Trouble.LOW_VOLTAGE, Fault.LOW_BATTERY, 0x32),
            (Trouble.CLUTCH, Fault.MECHANISM, 0x1F),
            (Trouble.MOTOR_POWER, Fault.MECHANISM, 0x20),
            (Trouble.CANCELLED, Fault.JAMMED, 0x22),
            (Trouble.INCOMPLETE, Fault.MECHANISM, 0x1F),
            (Trouble.TIME_REFUSED, Fault.NOT_AUTHORIZED, 0x38),
        ],
    )
    async def test_a_trouble_of_the_lock_is_a_failure_by_its_own_name(self, trouble, fault, code):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.faults.arm(trouble)
            outcome = await act(session, Action.LOCK)
            assert len(twin.lock.movements) <= 1
        assert isinstance(outcome, Failed)
        assert (outcome.fault, outcome.vendor_code) == (fault, code)

    async def test_a_jam_is_told_with_where_the_bolt_is(self):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.jam()
            outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Failed)
        assert outcome.snapshot is not None
        assert outcome.snapshot.lock_state is LockState.JAMMED

    async def test_a_jam_that_frees_itself_is_none(self):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.faults.arm(Trouble.JAM_FREES_ITSELF)
            assert isinstance(await act(session, Action.LOCK), Confirmed)

    @pytest.mark.parametrize("trouble", [Trouble.FALSE_SUCCESS, Trouble.STALL])
    async def test_a_bolt_that_did_not_move_is_not_told_as_moved(self, trouble):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.faults.arm(trouble)
            assert isinstance(await act(session, Action.LOCK), Unknown)

    async def test_a_calibrating_lock_says_so(self):
        async with session_with() as (session, twin, _):
            twin.lock.state = LockState.UNCALIBRATED
            outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Failed)
        assert "calibrat" in outcome.message

    async def test_an_action_runs_once(self):
        async with session_with() as (session, _, _link):
            actuation = await session.prepare(Action.UNLOCK, TAG)
            await actuation.run(lambda _: None)
            with pytest.raises(RuntimeError):
                await actuation.run(lambda _: None)


class TestFaultsOfOtherClients:
    """What clients of these locks are known to do wrong, and this one does not."""

    @pytest.mark.parametrize("action", [Action.LOCK, Action.UNLOCK])
    async def test_no_cached_state_swallows_a_command(self, action):
        async with session_with(locked=action is Action.UNLOCK) as (session, twin, _):
            asked = tap(twin)
            await session.read()
            twin.lock.turn(TARGETS[action])
            assert isinstance(await act(session, action), Confirmed)
            assert len(operations(asked)) == 1
            assert len(twin.lock.movements) == 1

    async def test_an_acknowledgement_alone_is_no_success(self):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.faults.arm(Trouble.MUTE_AFTER_ACCEPTED)
            twin.lock.faults.arm(Trouble.JAM)
            outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.JAMMED

    @pytest.mark.parametrize("lost", range(6))
    async def test_whatever_frame_is_lost_the_command_is_sent_once_and_its_outcome_is_true(self, lost):
        async with session_with() as (session, twin, link):
            asked = tap(twin)
            actuation = await session.prepare(Action.UNLOCK, TAG)
            without(link, lost)
            outcome = await actuation.run(lambda _: None)
            assert isinstance(outcome, Confirmed)
            assert len(operations(asked)) == len(twin.lock.movements) == 1

    async def test_a_lost_acknowledgement_and_a_lost_result_send_nothing_again(self):
        async with session_with() as (session, twin, link):
            asked = tap(twin)
            actuation = await session.prepare(Action.UNLOCK, TAG)
            without(link, *range(100))
            outcome = await actuation.run(lambda _: None)
            await settle(twin)
            assert len(operations(asked)) == len(twin.lock.movements) == 1
        assert outcome == Unknown(Stage.WRITTEN, "The lock fell silent after the command was sent.")

    async def test_an_operation_takes_the_time_that_its_motor_takes(self):
        async with session_with(motor_time=55) as (session, _, _link):
            assert isinstance(await act(session, Action.UNLOCK), Confirmed)

    async def test_a_new_link_has_new_ciphers_and_what_was_recorded_on_another_is_of_no_use(self):
        async with living() as (twin, credential):
            written = []
            for life in (1, 2):
                with TwinLink.connect(twin) as link:
                    session = await DRIVER.open(link, credential, YaleOptions())
                    if life == 1:
                        link.on_write = lambda name, data: [written.append((name, data)) or data]
                        await act(session, Action.UNLOCK)
                    else:
                        for name, data in written:
                            if name == Uuid.WRITE:
                                await link.write(name, data)
                        await anyio.sleep(5)
                    await session.aclose()
            assert len(twin.lock.movements) == 1

    async def test_a_failure_that_is_no_jam_is_not_called_one(self):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.faults.arm(Trouble.LOW_VOLTAGE)
            outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.LOW_BATTERY
        assert outcome.snapshot is not None
        assert outcome.snapshot.lock_state is LockState.UNLOCKED

    async def test_a_lock_is_never_hurried(self):
        async with session_with() as (session, twin, _):
            for action in (Action.UNLOCK, Action.LOCK):
                await session.read()
                await act(session, action)
                await session.auto_lock()
                await session.take()
            assert twin.hurried == 0

    async def test_no_key_and_no_frame_is_logged(self, caplog):
        caplog.set_level(logging.DEBUG)
        async with session_with() as (session, twin, link):
            await session.read()
            link.deliver(Uuid.NOTIFY, b"\xaa" * 17)
            await act(session, Action.UNLOCK)
            assert twin.keys[1].hex() not in caplog.text
        assert not [each for each in caplog.records if each.name.startswith("drivers")]

    @pytest.mark.parametrize("stray", [b"", b"\xaa" * 17, b"\xbb" * 19, bytes(18), b"\xff" * 18])
    async def test_a_stray_notification_costs_no_outcome(self, stray):
        async with session_with() as (session, twin, link):
            actuation = await session.prepare(Action.UNLOCK, TAG)
            link.deliver(Uuid.NOTIFY, stray)
            twin.lock.watch(lambda: link.deliver(Uuid.NOTIFY, stray))
            assert isinstance(await actuation.run(lambda _: None), Confirmed)

    async def test_it_asks_for_no_adapter_and_no_connection_of_its_own(self):
        async with living() as (twin, credential):
            with TwinLink.connect(twin) as link:
                session = await DRIVER.open(link, credential, YaleOptions())
                twin.air.drop()
                with pytest.raises(LinkLost):
                    await session.read()
                assert twin.air.central is None
                await session.aclose()


class TestBrokenOff:
    async def test_after_an_action_whose_end_was_not_seen_only_reading_is_done(self):
        async with session_with() as (session, twin, link):
            actuation = await session.prepare(Action.UNLOCK, TAG)
            without(link, *range(3))
            with anyio.move_on_after(0.5):
                await actuation.run(lambda _: None)
            await settle(twin)
            assert (await session.read()).lock_state is LockState.UNLOCKED
            for refused in (lambda: session.prepare(Action.LOCK, TAG), session.take):
                with pytest.raises(LinkLost, match="connected again"):
                    await refused()
            assert len(twin.lock.movements) == 1

    async def test_after_an_unknown_outcome_only_reading_is_done(self):
        async with session_with(locked=False) as (session, twin, _):
            twin.lock.faults.arm(Trouble.STALL)
            assert isinstance(await act(session, Action.LOCK), Unknown)
            assert (await session.read()).lock_state is LockState.UNLOCKED
            with pytest.raises(LinkLost, match="connected again"):
                await session.prepare(Action.LOCK, TAG)

    async def test_a_link_that_ends_before_the_write_has_sent_nothing(self):
        async with session_with() as (session, twin, link):
            actuation = await session.prepare(Action.UNLOCK, TAG)
            link.drop()
            assert isinstance(await actuation.run(lambda _: None), Unknown)
            assert not twin.lock.movements

    async def test_a_failure_that_was_reported_before_the_link_ended_counts(self):
        async with session_with(locked=False) as (session, twin, _link):
            twin.lock.faults.arm(Trouble.JAM)
            finished = twin._finished

            def finish(*arguments):
                finished(*arguments)
                twin.air.hang_up()

            twin._finished = finish
            outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.JAMMED
