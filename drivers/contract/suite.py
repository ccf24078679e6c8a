"""What holds of every driver, whatever its vendor's protocol is like."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import anyio
import pytest
import trio.testing
from pydantic import SecretStr

from drivers.base import (
    Action,
    Advertisement,
    AutoLock,
    AutoLocking,
    Capabilities,
    Confirmed,
    DoorState,
    Driver,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LockState,
    Unknown,
    capabilities,
)
from drivers.contract.bench import ADDRESS, TAG, TARGETS, OpenBench, Reach, bench, in_process
from drivers.contract.keys import PATIENCE, KeyContract
from drivers.virtual.faults import TRAVEL_TROUBLES, Trouble

CUTS = 40
"""Points of an action at which it is called off."""
TOLD = {
    Trouble.BUSY: {Fault.REFUSED},
    Trouble.JAM: {Fault.JAMMED},
    Trouble.OBSTRUCTION: {Fault.OBSTRUCTED, Fault.JAMMED},
    Trouble.LOW_VOLTAGE: {Fault.LOW_BATTERY},
    Trouble.CLUTCH: {Fault.MECHANISM},
    Trouble.MOTOR_POWER: {Fault.MECHANISM},
}
"""What a trouble is told as by a lock that can tell it; one that cannot leaves the outcome unknown."""
LINK_TROUBLES = (
    Trouble.DROP_BEFORE_WRITE,
    Trouble.DROP_AFTER_WRITE,
    Trouble.DROP_AFTER_ACCEPTED,
    Trouble.MUTE_AFTER_ACCEPTED,
    Trouble.LOSE_INDICATION,
    Trouble.DUPLICATE_INDICATION,
    Trouble.DELAY_INDICATION,
    Trouble.REORDER_INDICATION,
)
STRANGERS = (
    Advertisement(ADDRESS),
    Advertisement(ADDRESS, name="Lamp", rssi=-70, manufacturer_data={0x0006: bytes(27)}),
    Advertisement(ADDRESS, manufacturer_data={0x004C: b"\x02\x15" + bytes(21)}),
    Advertisement(ADDRESS, service_data={"0000fe9f-0000-1000-8000-00805f9b34fb": bytes(20)}),
    Advertisement(ADDRESS, service_uuids=("0000180f-0000-1000-8000-00805f9b34fb",)),
)


class DriverContract(KeyContract):
    """Subclass it, name the driver, and pytest does the rest."""

    @pytest.fixture
    def anyio_backend(self) -> Any:  # noqa: ANN401 - as anyio's plugin takes it
        """Under virtual time."""
        return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})

    @pytest.fixture
    def reach(self) -> Reach:
        """Over a link in the same process."""
        return in_process

    @pytest.fixture
    def motor_time(self) -> float:
        """Seconds of a travel."""
        return 1.0

    @pytest.fixture
    def at(self, reach: Reach, motor_time: float) -> OpenBench:
        """The way to a session."""
        return partial(bench, self.driver, reach, self.options, motor_time=motor_time)

    @pytest.fixture(params=Action)
    def action(self, request: pytest.FixtureRequest) -> Action:
        """Each of the lock's actions; for one that it does not have, nothing needs to hold."""
        action: Action = request.param
        return action if action in self.can.actions else Action.UNLOCK

    @property
    def can(self) -> Capabilities:
        """What the lock can do."""
        _, key = self.twin()
        return capabilities(self.driver, self.options or self.driver.options(), key)

    async def arrival(self) -> None:
        """Let all that the lock has said arrive; for a class whose link takes time over it."""

    def test_it_has_what_a_driver_has(self) -> None:
        assert isinstance(self.driver, Driver)
        assert self.driver.name.isidentifier()
        assert {Action.LOCK, Action.UNLOCK} <= self.driver.capabilities.actions

    def test_no_lock_can_do_what_its_driver_cannot(self) -> None:
        every = self.driver.capabilities
        assert {Action.LOCK, Action.UNLOCK} <= self.can.actions
        for each in (self.can, capabilities(self.driver, self.options or self.driver.options(), None)):
            assert each.actions <= every.actions
            assert all(value <= getattr(every, name) for name, value in asdict(each).items() if name != "actions")

    def test_it_knows_its_own_lock_on_the_air_and_no_other(self) -> None:
        twin, _ = self.twin()
        advertisement = twin.advertisement()
        assert advertisement is not None
        sighting = self.driver.sight(advertisement)
        assert sighting is not None
        assert sighting.model
        assert [self.driver.sight(each) for each in STRANGERS] == [None] * len(STRANGERS)

    def test_its_key_can_be_stored_and_is_not_shown(self) -> None:
        _, key = self.twin()
        stored = key.stored()
        assert self.driver.credential.model_validate(stored) == key
        secrets = [value.get_secret_value() for _, value in key if isinstance(value, SecretStr)]
        assert secrets
        assert not [secret for secret in secrets if secret in repr(key) or secret in str(key)]

    async def test_an_action_moves_the_bolt_once_and_is_confirmed_by_the_locks_own_report(
        self, at: OpenBench, action: Action
    ) -> None:
        async with at(locked=action is not Action.LOCK) as bench:
            outcome = await bench.act(action)
            assert [movement.action for movement in bench.lock.movements] == [action]
            assert isinstance(outcome, Confirmed)
            assert outcome.snapshot.lock_state is TARGETS[action]
            assert all(seen.lock_state in (TARGETS[action], *_ON_THE_WAY[action]) for seen in bench.seen)

    async def test_unlocking_does_not_unlatch(self, at: OpenBench) -> None:
        async with at() as bench:
            await bench.act(Action.UNLOCK)
            await bench.settle()
            assert bench.lock.state is LockState.UNLOCKED
            assert [movement.action for movement in bench.lock.movements] == [Action.UNLOCK]

    async def test_asked_of_a_bolt_that_is_there_already_it_does_not_fail(self, at: OpenBench) -> None:
        async with at(locked=False) as bench:
            assert (await bench.session.read()).lock_state is LockState.UNLOCKED
            bench.lock.manual_lock()
            outcome = await bench.act(Action.LOCK)
            await bench.settle()
            assert isinstance(outcome, Confirmed | Unknown)
            assert bench.lock.state is LockState.LOCKED
            assert len(bench.lock.movements) <= 1

    async def test_one_action_after_another_each_has_its_own_outcome(self, at: OpenBench) -> None:
        async with at() as bench:
            for action in (Action.UNLOCK, Action.LOCK, Action.UNLOCK):
                outcome = await bench.act(action)
                assert isinstance(outcome, Confirmed)
                assert outcome.snapshot.lock_state is TARGETS[action]
            assert len(bench.lock.movements) == 3  # noqa: PLR2004 - one each

    async def test_what_was_made_ready_once_moves_the_bolt_once(self, at: OpenBench) -> None:
        async with at() as bench:
            actuation = await bench.session.prepare(Action.UNLOCK, TAG)
            await actuation.run(bench.seen.append)
            bench.lock.manual_lock()
            with suppress(Exception), anyio.move_on_after(PATIENCE):
                await actuation.run(bench.seen.append)
            await bench.settle()
            assert len(bench.lock.movements) == 1

    async def test_every_read_is_fresh(self, at: OpenBench) -> None:
        async with at() as bench:
            assert (await bench.session.read()).lock_state is LockState.LOCKED
            bench.lock.manual_unlock()
            await self.arrival()
            assert (await bench.session.read()).lock_state is LockState.UNLOCKED
            bench.lock.manual_lock()
            await self.arrival()
            assert (await bench.session.read()).lock_state is LockState.LOCKED

    async def test_it_tells_what_it_says_it_can_tell_and_nothing_else(self, at: OpenBench) -> None:
        can = self.can
        async with at() as bench:
            bench.lock.battery(12)
            bench.lock.open_door()
            read = await bench.session.read()
            assert read.door_state is (DoorState.OPEN if can.door else DoorState.UNKNOWN)
            assert (read.battery_level == 12) if can.battery_level else (read.battery_level is None)  # noqa: PLR2004

    async def test_nothing_moves_before_the_action_is_run(self, at: OpenBench, action: Action) -> None:
        async with at(locked=action is not Action.LOCK) as bench:
            for _ in range(3):
                await bench.session.prepare(action, TAG)
            await bench.session.read()
            assert not bench.lock.movements

    async def test_what_its_caller_checks_last_can_keep_it_from_being_sent(self, at: OpenBench) -> None:
        def too_late() -> None:
            raise TimeoutError

        async with at() as bench:
            actuation = await bench.session.prepare(Action.UNLOCK, TAG)
            with suppress(TimeoutError):
                await actuation.run(bench.seen.append, too_late)
            assert (await bench.session.read()).lock_state is LockState.LOCKED
            assert not bench.lock.movements
            assert isinstance(await bench.act(Action.UNLOCK), Confirmed)

    @pytest.mark.parametrize("trouble", [Trouble.BUSY, *TRAVEL_TROUBLES])
    async def test_a_trouble_at_the_lock_is_never_told_as_success(self, at: OpenBench, trouble: Trouble) -> None:
        async with at(locked=False) as bench:
            bench.lock.faults.arm(trouble)
            with anyio.fail_after(PATIENCE):
                outcome = await bench.act(Action.LOCK)
                await bench.settle()
            assert len(bench.lock.movements) <= 1
            if isinstance(outcome, Confirmed):
                assert bench.lock.state is LockState.LOCKED
            if isinstance(outcome, Failed):
                assert outcome.fault in TOLD.get(trouble, set(Fault))
            if trouble in TOLD:
                assert not isinstance(outcome, Confirmed)

    @pytest.mark.parametrize("after", range(6))
    @pytest.mark.parametrize("trouble", LINK_TROUBLES)
    async def test_a_bad_link_never_moves_the_bolt_twice_nor_gives_a_wrong_outcome(
        self, at: OpenBench, trouble: Trouble, after: int
    ) -> None:
        async with at() as bench:
            actuation = await bench.session.prepare(Action.UNLOCK, TAG)
            bench.lock.faults.arm(trouble, after=after)
            with anyio.fail_after(PATIENCE):
                outcome = await actuation.run(bench.seen.append)
                await bench.settle()
            assert len(bench.lock.movements) <= 1
            assert isinstance(outcome, Confirmed | Unknown)
            if isinstance(outcome, Confirmed):
                assert bench.lock.state is LockState.UNLOCKED

    @pytest.mark.parametrize("cut", range(CUTS))
    async def test_called_off_at_any_point_it_moves_the_bolt_at_most_once(
        self, at: OpenBench, motor_time: float, cut: int
    ) -> None:
        async with at() as bench:
            with anyio.move_on_after(2 * motor_time * cut / CUTS):
                await bench.act(Action.UNLOCK)
            await bench.settle()
            assert len(bench.lock.movements) <= 1

    @pytest.mark.parametrize("cut", range(0, CUTS, 4))
    async def test_a_read_that_is_called_off_leaves_the_session_fit_for_use(
        self, at: OpenBench, motor_time: float, cut: int
    ) -> None:
        async with at() as bench:
            with anyio.move_on_after(motor_time * cut / CUTS / 10):
                await bench.session.read()
            assert (await bench.session.read()).lock_state is LockState.LOCKED

    async def test_waiting_for_news_can_be_called_off(self, at: OpenBench, motor_time: float) -> None:
        async with at() as bench:
            for turn, state in (
                (bench.lock.manual_unlock, LockState.UNLOCKED),
                (bench.lock.manual_lock, LockState.LOCKED),
            ):
                with anyio.move_on_after(motor_time):
                    await bench.session.changed()
                turn()
                assert (await bench.session.read()).lock_state is state

    async def test_when_it_locks_itself_is_set_where_the_driver_says_that_it_can_be(self, at: OpenBench) -> None:
        async with at() as bench:
            session = bench.session
            if not self.can.auto_lock:
                return
            assert isinstance(session, AutoLocking)
            for wanted, after in ((AutoLock(enabled=True, delay=30), 30), (AutoLock(enabled=False), None)):
                before = bench.lock.auto_lock
                setting = await session.prepare_auto_lock(wanted)
                assert bench.lock.auto_lock == before
                assert isinstance(await setting.run(bench.seen.append), Confirmed)
                assert bench.lock.auto_lock == after
                assert wanted.met_by(await session.auto_lock())
            assert not bench.lock.movements

    async def test_a_log_that_would_be_consumed_is_left_alone(self, at: OpenBench) -> None:
        async with at() as bench:
            bench.lock.manual_unlock()
            if self.can.log:
                first = await bench.session.log(None, 8)
                assert first
                assert await bench.session.log(None, 8) == first
            else:
                with pytest.raises(DriverError):
                    await bench.session.log(None, 8)

    async def test_without_a_link_it_says_so_and_moves_nothing(self, at: OpenBench) -> None:
        async with at() as bench:
            actuation = await bench.session.prepare(Action.UNLOCK, TAG)
            bench.lock.offline()
            with anyio.fail_after(PATIENCE):
                assert isinstance(await actuation.run(bench.seen.append), Unknown)
                with pytest.raises(LinkLost):
                    await bench.session.read()
                with pytest.raises(LinkLost):
                    await bench.session.prepare(Action.UNLOCK, TAG)
            assert not bench.lock.movements
            await bench.session.aclose()

    async def test_what_it_did_is_found_by_its_tag_and_what_others_did_is_not(self, at: OpenBench) -> None:
        async with at() as bench:
            tells = bench.session.has_log
            assert tells == self.can.tagged_log
            bench.lock.fob()
            await bench.settle()
            assert await bench.session.find(TAG) is None
            await bench.act(Action.LOCK)
            record = await bench.session.find(TAG)
            if not tells:
                assert record is None
                return
            assert record is not None
            assert (record.action, record.succeeded, record.ours) == (Action.LOCK, True, True)


_ON_THE_WAY = {
    Action.LOCK: (LockState.LOCKING, LockState.UNLOCKED),
    Action.UNLOCK: (LockState.UNLOCKING, LockState.LOCKED),
    Action.UNLATCH: (LockState.UNLATCHING, LockState.UNLOCKING, LockState.LOCKED, LockState.UNLOCKED),
}
