"""Whatever happens to commands, clock, disk, lock and process, in whatever order: the promises hold.

P1 to P6, by a machine that makes up what happens and looks at the lock, which alone knows what moved.
`LOCK_BRIDGE_LONG=1` makes the run longer.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog
import trio
from hypothesis import HealthCheck, register_random, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.attempt import State
from bridge.errors import Code, Refused
from bridge.worker import TARGETS
from drivers.base import Action, LockState, Method
from tests.support.given import DAY, TTL, Given, alike, remembered
from tests.support.model_house import Died, ModelHouse
from tests.support.model_lock import Deed, Report
from tests.support.stepped_run import SteppedRun

if TYPE_CHECKING:
    from bridge.model import Attempt

LONG = "LOCK_BRIDGE_LONG" in os.environ
MEMORY = Path("/dev/shm")
"""Where a disk costs no time: this is about what is written, not about when it is synced."""
QUIET = 3600.0
"""Seconds in which everything comes to its end, if nothing more happens."""

trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # what fails once is to fail again
register_random(trio._core._run._r)


class Promises(RuleBasedStateMachine):
    """What may happen, and what must hold after each of it."""

    on_disk: bool
    figures: Counter[str]
    """What has happened in all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.world = SteppedRun()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None)
        self.given: list[Given] = []
        self.outcomes: dict[str, Any] = {}

    @initialize(
        has_log=st.booleans(), motor_time=st.sampled_from([0.0, 1.0, 7.0]), rate_limit=st.sampled_from([0, 0, 4])
    )
    def begin(self, has_log, motor_time, rate_limit):
        async def step():
            path = Path(self.folder.name) / "journal.db" if self.on_disk else None
            commands = {"ttl": TTL, "rate_limit": rate_limit}
            self.house = ModelHouse(self.world.nursery, path, commands, has_log, motor_time)
            await self.house.start()

        self.world.do(step)

    def go(self, step) -> Any:
        """Let the world go on until the step is done, or the process dies."""

        async def guarded():
            with self.house.attended():
                try:
                    return await step()
                except Died:
                    self.figures["died under way"] += 1
                    await self.house.die()
                    return None

        return self.world.do(guarded)

    @property
    def alive(self) -> bool:
        return self.house.process.alive

    # What senders do

    @precondition(lambda self: self.alive)
    @rule(
        action=st.sampled_from(Action),
        custom_id=st.sampled_from([None, "a", "b"]),
        expires_in=st.sampled_from([None, None, 60.0, 5.0, 0.4, 0.0]),
        reply_key=st.sampled_from([None, "r"]),
        packet=st.integers(1, 3),
        oddity=st.sampled_from([{}] * 9 + [{"retained": True}, {"perhaps_queued": True}, {"unremembered": True}]),
        then=st.sampled_from(
            [0.6, 0.0, 0.01, 3.0, 20.0, "it dies", "the disk fails", "the disk is slow", "it is lost", "a hand does it"]
        ),
    )
    def give(self, *, action, custom_id, expires_in, reply_key, packet, oddity, then):
        """A command comes."""
        body = {"action": action.value} | ({"custom_id": custom_id} if custom_id else {})
        keys = {"request_key": reply_key, "packet_key": f"{packet} {sorted(body.items())}"}
        if then in ("it is lost", "a hand does it"):
            self.house.lock.course = Deed.NEVER_HEARS, Report.LINK_IS_LOST
        self.submit(body, {"expires_in": expires_in, **keys, **oddity})
        if then == "it dies":
            self.kill()
        elif then in ("it is lost", "a hand does it"):
            self.wait(0.6)
            if then == "a hand does it" and action in TARGETS:
                self.turn_by_hand(TARGETS[action])
            self.wait(31.0)
        elif isinstance(then, float):
            self.wait(then)
        elif self.alive:
            self.have_the_storage_be(broken=then == "the disk fails", delay=6.0 * (then == "the disk is slow"))
            self.wait(31.0)

    @precondition(lambda self: self.alive and self.given)
    @rule(data=st.data(), redelivered=st.sampled_from([True, True, False]))
    def give_again(self, data, redelivered):
        """A command comes again: its sender repeats it, or the broker delivers it again."""
        earlier = data.draw(st.sampled_from(self.given))
        self.submit(earlier.body, earlier.fields | {"redelivered": redelivered})

    @precondition(lambda self: self.alive)
    @rule(seconds=st.sampled_from([-5.0, 2.0, 20.0, DAY]), action=st.sampled_from(Action))
    def give_until(self, seconds, action):
        """A command comes with a deadline by wall time."""

        async def at():
            return (self.house.clock.wall() + timedelta(seconds=seconds)).isoformat()

        self.submit({"action": action.value, "expires_at": self.go(at)}, {})

    @precondition(lambda self: self.alive)
    @rule(
        given=st.sampled_from(
            [({}, {}), ({"action": "open"}, {}), ({"action": "lock"}, {"lock_id": "attic"}), ({"action": 1}, {})]
        )
    )
    def give_nonsense(self, given):
        self.submit(*given)

    def submit(self, body, fields):
        async def step():
            house = self.house
            before = len(house.attempts)
            made = Given(body, fields, anyio.current_time(), house.clock.boot_id, house.clock.boottime())
            expected = remembered(self.given, made)
            try:
                receipt = await house.submit(body, **fields)
            except Refused as refusal:
                self.refused(refusal, expected, len(house.attempts) - before)
                return
            except Died:
                self.given.append(made)
                raise
            action_id = receipt.attempt.action_id
            self.figures["replayed" if receipt.replayed else "accepted"] += 1
            assert len(house.attempts) - before == (0 if receipt.replayed else 1)
            assert expected is None or (receipt.replayed and action_id == expected)
            if receipt.replayed:
                assert {action_id, None} & {each.action_id for each in alike(self.given, made)}
            elif fields.get("expires_in") is not None:
                assert receipt.attempt.deadline <= made.arrived + min(TTL, fields["expires_in"])
            self.given.append(replace(made, action_id=action_id, replayed=receipt.replayed))

        self.go(step)

    def refused(self, refusal, expected, rows):
        """A refusal leaves nothing; what is remembered is never refused, unless memory itself is out of reach."""
        self.figures["refused"] += 1
        assert rows == 0
        assert expected is None or refusal.code in (Code.RETAINED_COMMAND, Code.STORAGE_UNAVAILABLE)

    # What time does

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.5, 1.0, 5.0, 9.0, 31.0, 100.0]))
    def wait(self, seconds):
        self.go(lambda: anyio.sleep(seconds))

    @rule(
        wall=st.sampled_from([0.0, -2 * DAY, -100.0, 1.0, 100.0, DAY]),
        suspended=st.sampled_from([0.0, 1.0, 40.0, 4000.0]),
        known=st.booleans(),
    )
    def meddle_with_time(self, wall, suspended, known):
        """The clock is set, the machine sleeps without its programs noticing, the time is lost or found."""
        self.house.clock.step_wall(wall)
        self.house.clock.suspend(suspended)
        self.house.clock.synchronised = known

    # What the lock and the radio do

    @rule(deed=st.sampled_from(Deed), report=st.sampled_from(Report))
    def have_the_next_action_go_otherwise(self, deed, report):
        self.house.lock.course = deed, report

    @rule(
        lost_after=st.none() | st.integers(0, 8),
        patience=st.sampled_from([0.0, 0.3, 10.0]),
        trouble=st.sampled_from(["none", "none", "none", "out of reach", "no adapter"]),
    )
    def have_the_link_be(self, lost_after, patience, trouble):
        lock = self.house.lock
        lock.lost_after, lock.patience = lost_after, patience
        lock.reachable, lock.usable = trouble != "out of reach", trouble != "no adapter"

    @rule(state=st.sampled_from([LockState.LOCKED, LockState.UNLOCKED, LockState.UNCALIBRATED]))
    def turn_by_hand(self, state):
        self.house.lock.turn(state)

    # What the process and its disk do

    @precondition(lambda self: self.alive)
    @rule(after=st.integers(0, 60))
    def have_the_process_die(self, after):
        """It dies at one of its next steps."""
        self.house.process.steps_left = after

    @precondition(lambda self: self.alive)
    @rule()
    def kill(self):
        self.go(self.house.die)

    @rule(
        another_boot=st.booleans(),
        away=st.sampled_from([0.0, 0.5, 8.0, 40.0]),
        gently=st.booleans(),
        steps=st.sampled_from([None, None, 0, 1, 2, 5, 10]),
    )
    def restart(self, another_boot, away, gently, steps):
        async def step():
            await (self.house.stop() if gently else self.house.die())
            await anyio.sleep(away)
            if another_boot:
                self.house.clock.reboot()
            await self.house.start(steps)

        self.go(step)
        self.figures["lives"] += 1

    @precondition(lambda self: self.alive)
    @rule(broken=st.booleans(), delay=st.sampled_from([0.0, 0.0, 0.5, 6.0]))
    def have_the_storage_be(self, broken, delay):
        self.house.disk_delay = delay
        self.go(lambda: self.now(lambda: self.house.break_storage(broken=broken)))

    @precondition(lambda self: self.alive)
    @rule()
    def reach_the_broker(self):
        self.go(lambda: self.now(self.house.connect))

    @rule()
    def be_quiet(self):
        """Nothing more happens: everything comes to its end, and is told."""

        async def step():
            house = self.house
            house.lock.reachable = house.lock.usable = True
            house.lock.lost_after, house.lock.patience, house.disk_delay = None, 0.0, 0.0
            if house.process.alive:
                house.process.steps_left = None
                house.break_storage(broken=False)
            else:
                await house.start()
            house.connect()
            with anyio.fail_after(QUIET):
                await house.done()
            assert {str(event.event_id) for event in house.events} <= set(house.published)

        self.go(step)
        assert self.alive

    @staticmethod
    async def now(work):
        work()

    # What must hold

    @invariant()
    def promises_are_kept(self):
        if not hasattr(self, "house") or not self.alive:
            return
        attempts = {attempt.action_id: attempt for attempt in self.house.attempts}
        told: dict[str, list[Any]] = {}
        for event in self.house.events:
            if event.attempt_id is not None:
                told.setdefault(str(event.attempt_id), []).append(event)
        for each in self.given:
            assert each.action_id is None or each.action_id in attempts, "P1"
        assert len(attempts) <= len(self.given)
        tags = Counter(movement.tag for movement in self.house.lock.movements)
        assert all(count == 1 for count in tags.values()), "P2"
        for movement in self.house.lock.movements:
            attempt = attempts[movement.tag.decode()]
            assert movement.boot_id == attempt.boot_id, "P3"
            assert movement.at < attempt.deadline, "P3"
            assert attempt.state is not State.ACCEPTED
        for attempt in attempts.values():
            self.tells_the_truth(attempt, told.get(str(attempt.attempt_id), []))
        assert all(len(payloads) == 1 for payloads in self.house.published.values()), "P5"

    def tells_the_truth(self, attempt: Attempt, told: list[Any]) -> None:
        known = self.outcomes.get(attempt.action_id)
        if not attempt.state.terminal:
            assert not told
            assert known is None, "P5"
            return
        outcome = attempt, [event.event_id for event in told]
        assert self.outcomes.setdefault(attempt.action_id, outcome) == outcome, "P5"
        kinds = [event.event_type.rpartition(".")[0] for event in told]
        assert kinds[:1] == ["lock"], "P5"
        assert kinds[1:2] in (["action_attempt.lock_door"], ["action_attempt.unlock_door"]), "P5"
        assert told[0].event_type == "lock.action_completed"
        assert len(told) == 2 + (attempt.state is State.CONFIRMED and attempt.changed is not False)
        if known is None:
            self.figures[attempt.state] += 1
            self.is_proven(attempt)

    def is_proven(self, attempt: Attempt) -> None:
        """P6: what the bridge says of an attempt is what the lock knows, or told it."""
        lock = self.house.lock
        moved = any(movement.tag == attempt.tag for movement in lock.movements)
        match attempt.state:
            case State.CONFIRMED if attempt.changed is True:
                assert attempt.tag in lock.reported or lock.succeeded(attempt.tag), "P6"
            case State.CONFIRMED:
                since = min(each.at for each in self.given if each.action_id in (attempt.action_id, None))
                target = TARGETS[attempt.action]
                assert any(at >= since and state is target for at, state in lock.shown), "P6"
                assert attempt.changed is None or not moved, "P6"
                assert attempt.changed is False or moved or attempt.method is Method.UNKNOWN, "P6: not our doing"
            case State.FAILED:
                assert not lock.succeeded(attempt.tag), "P6"
            case State.UNKNOWN:
                assert attempt.code is Code.OUTCOME_UNKNOWN, "P6"

    def teardown(self):
        try:
            if hasattr(self, "house") and not self.world.over:
                self.be_quiet()
                self.promises_are_kept()
                self.figures["moved"] += len(self.house.lock.movements)
                self.go(self.house.stop)
        finally:
            self.world.close()
            self.folder.cleanup()


class InMemory(Promises):
    on_disk = False


class OnDisk(Promises):
    on_disk = True


@pytest.fixture
def quiet_log():
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("quiet_log")
@pytest.mark.parametrize("machine", [InMemory, OnDisk])
@pytest.mark.timeout(3600 if LONG else 300)
def test_p1_to_p6_the_promises_hold_whatever_happens(machine, figures):
    machine.figures = Counter()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=2000 if LONG else 150,
            stateful_step_count=80 if LONG else 50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    figures |= {str(name): number for name, number in machine.figures.items()}
    outcomes = {State.CONFIRMED, State.FAILED, State.UNKNOWN}
    assert {"accepted", "replayed", "refused", "moved", *outcomes} <= {*+machine.figures}


@pytest.mark.usefixtures("quiet_log")
def test_a_lock_is_given_no_time_rather_than_less_once_the_deadline_of_who_waits_for_it_passed():
    InMemory.figures = Counter()
    machine = InMemory()
    fields = {"action": Action.LOCK, "custom_id": None, "oddity": {}, "packet": 1, "reply_key": None}
    try:
        machine.begin(has_log=False, motor_time=0.0, rate_limit=0)
        machine.have_the_link_be(lost_after=None, patience=0.0, trouble="out of reach")
        machine.give(expires_in=None, then="the disk is slow", **fields)
        machine.give(expires_in=5.0, then=0.6, **fields)
        machine.promises_are_kept()
    finally:
        machine.teardown()
