"""The promises of the bridge, each with a group of its own, as far as virtual time can prove them.

The oracle is what the virtual locks' motors really did. Whatever goes wrong is chosen by hypothesis: the lock, the
link, the disk, people at the door, and the bridge's own end at any moment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
import trio.testing
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.attempt import State
from bridge.errors import Refused
from bridge.readback import BUDGET
from bridge.worker import ACTUATION_TIME
from drivers.base import LockState
from drivers.virtual.faults import Trouble
from drivers.virtual.operation import Completion
from tests.support.fake_connection import Sent
from tests.support.house import BACK, BASE, FRONT, TTL, House, check, until

ENOUGH = TTL + ACTUATION_TIME + 2 * BUDGET
"""Seconds in which every attempt has its outcome."""


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@dataclass(frozen=True)
class Mishap:
    """A link that ends at a write of the bridge, counted over all links."""

    write: int
    arrives: bool


@dataclass(frozen=True)
class Plan:
    """Everything that happens to a house."""

    actions: list[str] = field(default_factory=lambda: ["unlock"])
    expiry: float = TTL
    locked: bool = True
    motor_time: float = 1.0
    troubles: list[tuple[Trouble, int]] = field(default_factory=list)
    mishaps: list[Mishap] = field(default_factory=list)
    refusals: int = 0
    delays: list[float] = field(default_factory=list)
    disk_delay: float = 0.0
    deaths: list[float] = field(default_factory=list)
    """Seconds after which the bridge dies, in one life after the other."""
    reboots: bool = False
    hands: list[tuple[float, LockState]] = field(default_factory=list)
    """When somebody turns the knob to where."""
    unwritable: tuple[float, float] = (0, 0)
    """From when to when in its first life nothing can be written."""


seconds = st.floats(0, 40, allow_nan=False)
plans = st.builds(
    Plan,
    actions=st.lists(st.sampled_from(["lock", "unlock", "unlatch"]), min_size=1, max_size=3),
    expiry=st.floats(0.1, TTL),
    locked=st.booleans(),
    motor_time=st.sampled_from([0, 0.5, 1, 3, 10]),
    troubles=st.lists(st.tuples(st.sampled_from(Trouble), st.integers(0, 12)), max_size=4),
    mishaps=st.lists(st.builds(Mishap, st.integers(1, 12), st.booleans()), max_size=3),
    refusals=st.integers(0, 5),
    delays=st.lists(st.sampled_from([0.0, 0.5, 5.0, 29.9, 30.0, 40.0]), max_size=4),
    disk_delay=st.sampled_from([0.0, 0.0, 0.05, 2.0]),
    deaths=st.lists(st.one_of(seconds, st.floats(0, 2)), max_size=3),
    reboots=st.booleans(),
    hands=st.lists(st.tuples(seconds, st.sampled_from([LockState.LOCKED, LockState.UNLOCKED])), max_size=2),
    unwritable=st.tuples(seconds, seconds),
)
however_it_goes = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


def play(plan):
    """Let a plan happen under virtual time."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    with TemporaryDirectory() as path:
        anyio.run(_play, plan, Path(path), backend="trio", backend_options={"clock": clock})


async def _play(plan, path):
    async with House.standing(path, locked=plan.locked, motor_time=plan.motor_time) as house:
        _arm(house, plan)
        async with anyio.create_task_group() as people:
            for at, target in plan.hands:
                people.start_soon(_turn, house, at, target)
            receipts = await _first_life(house, plan)
            for death in plan.deaths[1:]:
                await _life(house, plan, death)
            await _last_life(house, plan, receipts)
            people.cancel_scope.cancel()


def _arm(house, plan):
    for trouble, after in plan.troubles:
        house.lock.faults.arm(trouble, after=after)
    house.radio.refusals = plan.refusals
    house.radio.delays.extend(plan.delays)
    mishaps = {mishap.write: mishap for mishap in plan.mishaps}
    writes = iter(range(1, 10**9))

    def meet(link):
        def write(_characteristic, data):
            mishap = mishaps.get(next(writes))
            if mishap is None or mishap.arrives:
                yield data
            if mishap is not None:
                link.drop()

        link.on_write = write

    house.radio.on_link = meet


async def _turn(house, at, target):
    await anyio.sleep(at)
    house.lock.turn(target)


async def _first_life(house, plan):
    """Give the commands; return those that were taken."""
    receipts = []
    async with house.life() as life, anyio.create_task_group() as disk:
        disk.start_soon(_fail, life, *plan.unwritable)
        house.disk_delay = plan.disk_delay
        with anyio.move_on_after(plan.deaths[0] if plan.deaths else ENOUGH):
            for action in plan.actions:
                try:
                    receipts.append(await life.submit(action, expires_in=plan.expiry))
                except Refused as refusal:
                    assert refusal.code == "STORAGE_UNAVAILABLE"  # noqa: PT017 - any other number of refusals is fine
            await anyio.sleep_forever()
        disk.cancel_scope.cancel()
        life.unlock_journal()
    return receipts


async def _fail(life, start, end):
    await anyio.sleep(start)
    if end > start:
        life.lock_journal()
        await anyio.sleep(end - start)
        life.unlock_journal()


async def _life(house, plan, length):
    house.disk_delay = 0
    if plan.reboots:
        house.clock.boot_id += "+"
    async with house.life():
        await anyio.sleep(length)


async def _last_life(house, plan, receipts):
    house.disk_delay = 0
    if plan.reboots:
        house.clock.boot_id += "+"
    async with house.life() as life:
        with anyio.fail_after(4 * ENOUGH):
            for receipt in receipts:
                check(house, life, await life.ended(receipt))
        assert life.rows("SELECT count(*) FROM attempt") == [(len(receipts),)]
        assert all(event["event_type"] for event in life.events)
        tags = [movement.tag for movement in house.movements if movement.tag]
        assert len(tags) == len(set(tags))
        assert set(tags) <= {receipt.attempt.tag for receipt in receipts}


class TestP1AnAcknowledgedCommandIsNeverLost:
    @given(plans)
    @however_it_goes
    def test_whatever_happens_every_command_that_was_taken_has_its_outcome(self, plan):
        play(plan)

    async def test_its_puback_comes_after_it_is_on_disk(self, house):
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            house.disk_delay = 3
            connection.deliver(f"{BASE}/locks/{FRONT}/actions", {"action": "unlock"})
            await until(lambda: connection.acked)
            assert life.rows("SELECT count(*) FROM attempt") == [(1,)]
        house.disk_delay = 0
        async with house.life() as life:
            await until(lambda: State(life.rows("SELECT state FROM attempt")[0][0]).terminal)


class TestP2ACommandMovesTheBoltAtMostOnce:
    @given(
        trouble=st.sampled_from(Trouble),
        after=st.integers(0, 20),
        death=st.one_of(st.none(), st.floats(0, 4)),
        mishap=st.builds(Mishap, st.integers(1, 8), st.booleans()),
    )
    @however_it_goes
    def test_however_the_link_or_the_bridge_ends(self, trouble, after, death, mishap):
        deaths = [] if death is None else [death, 0.5, 0.5]
        play(Plan(["unlatch"], troubles=[(trouble, after)], mishaps=[mishap], deaths=deaths))

    @pytest.mark.parametrize("times", [1, 2, 3])
    async def test_however_often_it_is_given(self, house, times):
        async with house.life() as life:
            for _ in range(times):
                await life.perform("unlatch", custom_id="req_1")
        assert len(house.movements) == 1

    async def test_a_write_that_may_have_arrived_is_never_repeated(self, house):
        house.lock.faults.arm(Trouble.DROP_BEFORE_WRITE)
        async with house.life() as life:
            attempt = await life.perform()
            check(house, life, attempt)
            assert attempt.state == "unknown"
            await anyio.sleep(600)
        assert not house.movements


class TestP3NothingMovesAfterItsDeadline:
    @given(
        expiry=st.floats(0.05, 12),
        delays=st.lists(st.floats(0, 13), max_size=4),
        refusals=st.integers(0, 8),
        disk_delay=st.floats(0, 6),
        troubles=st.lists(st.tuples(st.sampled_from(Trouble), st.integers(0, 6)), max_size=3),
        mishaps=st.lists(st.builds(Mishap, st.integers(1, 6), st.booleans()), max_size=2),
        motor_time=st.floats(0, 12),
    )
    @example(expiry=2.0, delays=[], refusals=0, disk_delay=1.0, troubles=[], mishaps=[], motor_time=1.0)
    @however_it_goes
    def test_however_long_everything_takes(self, **chosen):
        play(Plan(["unlatch", "unlatch", "lock"], **chosen))

    @given(hundredths=st.integers(0, 400))
    @however_it_goes
    def test_whenever_it_runs_out(self, hundredths):
        """Connecting takes 1 s, each commit 0.5 s: with the acceptance, the write is at 2.0 s."""
        play(Plan(expiry=0.01 + hundredths / 100, delays=[1.0, 1.0], disk_delay=0.5))


class TestP4StaleAndRepeatedCommandsAreRefusedAndTheRefusalIsTold:
    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"retain": True}, "RETAINED_COMMAND"),
            ({"expires_in": 0}, "COMMAND_EXPIRED"),
            ({}, "COMMAND_EXPIRED"),
            ({"topic": f"{BASE}/locks/cellar/actions"}, "LOCK_NOT_FOUND"),
        ],
    )
    async def test_the_refusal_is_answered_counted_and_told_and_nothing_moves(self, house, fields, code):
        async with house.life():
            pass
        async with house.life() as life:
            connection = life.connect(session_present=True)
            fields = {"topic": f"{BASE}/locks/{FRONT}/actions", **fields}
            connection.deliver(fields.pop("topic"), {"action": "unlock"}, **fields)
            told = f"{BASE}/events/bridge.command_refused"
            await until(lambda: connection.on(told) and connection.acked)
            replies = [one.body for one in connection.done if isinstance(one, Sent) and one.topic.endswith("reply")]
            assert [reply["error_code"] for reply in replies] == [code]
            assert connection.on(told)[0].body["error_code"] == code
            await anyio.sleep(60)
        assert not house.movements

    async def test_a_forbidden_action_is_refused(self, house):
        house.lock_fields["actions"] = ["lock", "unlock"]
        async with house.life() as life:
            with pytest.raises(Refused) as refusal:
                await life.submit("unlatch")
            assert refusal.value.code == "ACTION_NOT_ALLOWED"

    async def test_a_replayed_command_has_its_first_reply_and_moves_nothing(self, house):
        async with house.life() as life:
            first = await life.perform("unlock", custom_id="req_1")
            await life.perform("lock")
            again = await life.submit("unlock", custom_id="req_1")
            assert (again.attempt.action_id, again.replayed) == (first.action_id, True)
            await anyio.sleep(60)
        assert len(house.movements) == 2
        assert house.lock.state is LockState.LOCKED


class TestP5EveryAcceptedCommandHasExactlyOneOutcomeDeliveredAtLeastOnce:
    @given(
        cuts=st.lists(st.floats(0, 6), max_size=4),
        held=st.sets(st.integers(0, 8)),
        refused=st.sets(st.integers(0, 8)),
        death=st.one_of(st.none(), st.floats(0, 6)),
    )
    @however_it_goes
    def test_however_often_the_broker_goes(self, cuts, held, refused, death):
        clock = trio.testing.MockClock(autojump_threshold=0)
        with TemporaryDirectory() as path:
            anyio.run(
                _deliver, Path(path), cuts, held, refused, death, backend="trio", backend_options={"clock": clock}
            )


async def _deliver(path, cuts, held, refused, death):
    """Have two commands told over connections that are cut, and by a bridge that dies."""
    heard = []
    receipts = []
    numbers = iter(range(10**9))

    def puback(sent):
        number = next(numbers)
        if number in refused:
            return False
        heard.append(sent.body)
        return None if number in held else True

    async def connections(life):
        for cut in cuts:
            connection = life.connect(session_present=True)
            connection.puback = puback
            await anyio.sleep(cut)
            connection.lose()
        life.connect(session_present=True).puback = puback

    async with House.standing(path) as house:
        async with house.life() as life, anyio.create_task_group() as broker:
            broker.start_soon(connections, life)
            receipts += [await life.submit("unlock"), await life.submit("lock")]
            await anyio.sleep(10 if death is None else death)
            broker.cancel_scope.cancel()
        async with house.life() as life:
            for receipt in receipts:
                check(house, life, await life.ended(receipt))
            held.clear()
            life.connect(session_present=True).puback = puback
            await anyio.sleep(200)
            assert not life.rows("SELECT * FROM event WHERE sent = 0")
            _check_delivery(heard, life.events, ordered=not refused)


def _check_delivery(heard, events, *, ordered):
    """Everything was heard, each event with one body, and the first hearing of each in order."""
    firsts = {}
    for body in heard:
        assert firsts.setdefault(body["event_id"], body) == body
    assert sorted(firsts) == sorted(event["event_id"] for event in events)
    if ordered:
        assert list(firsts) == [event["event_id"] for event in events]
    outcomes = [event["action_id"] for event in firsts.values() if event["event_type"] == "lock.action_completed"]
    assert len(outcomes) == len(set(outcomes)) == 2


class TestP6WhatIsNotKnownIsReportedAsUnknown:
    @pytest.mark.parametrize(
        "trouble", [Trouble.FALSE_SUCCESS, Trouble.STALL, Trouble.DROP_BEFORE_WRITE, Trouble.NONCE_REFUSED]
    )
    @pytest.mark.parametrize("action", ["lock", "unlock", "unlatch"])
    async def test_an_end_that_nothing_proves_is_unknown(self, tmp_path, trouble, action):
        async with House.standing(tmp_path, locked=action != "lock") as house, house.life() as life:
            house.lock.faults.arm(trouble)
            attempt = await life.perform(action)
            check(house, life, attempt)
            if trouble is Trouble.FALSE_SUCCESS and action == "unlatch":
                return  # its log is all that ever proves an unlatch
            assert (attempt.state, attempt.code) == ("unknown", "OUTCOME_UNKNOWN")
            assert life.told(attempt)[0]["was_confirmed_by_device"] is False
            assert life.device()["lock_state"] == ("unlocked" if action == "lock" else "locked")

    async def test_a_lock_that_is_gone_after_the_write_is_neither_locked_nor_unlocked(self, house):
        house.lock.faults.arm(Trouble.DROP_AFTER_WRITE)
        async with house.life() as life:
            receipt = await life.submit()
            await until(lambda: house.movements)
            house.lock.offline()
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert attempt.state == "unknown"
            assert (life.device()["online"], life.device()["lock_state"]) == (False, "unknown")

    @given(plans)
    @however_it_goes
    def test_no_state_is_published_that_the_lock_did_not_have(self, plan):
        clock = trio.testing.MockClock(autojump_threshold=0)
        with TemporaryDirectory() as path:
            anyio.run(_watch, plan, Path(path), backend="trio", backend_options={"clock": clock})

    async def test_a_lock_that_was_never_read_is_unknown(self, tmp_path):
        async with House.standing(tmp_path, FRONT, BACK) as house:
            house.radio.stuck |= set(house.radio.twins)
            async with house.life() as life:
                connection = life.connect()
                await anyio.sleep(100)
                states = [one.body for one in connection.on(f"{BASE}/locks/")]
                assert {state["lock_id"] for state in states} == {FRONT, BACK}
                assert {(state["online"], state["lock_state"]) for state in states} == {(False, "unknown")}


OUTWARD = {"unlatching": "unlocking", "uncalibrated": "unknown", "partially_locked": "unknown"}


async def _watch(plan, path):
    """Check that every published state is one that the lock really had at some time before."""
    async with House.standing(path, locked=plan.locked, motor_time=plan.motor_time) as house:
        had = {"unknown"}
        house.lock.watch(lambda: had.add(OUTWARD.get(house.lock.state, house.lock.state.value)))
        had.add(house.lock.state.value)
        _arm(house, plan)
        async with house.life() as life:
            connection = life.connect()
            for action in plan.actions:
                await life.submit(action, expires_in=plan.expiry)
            await anyio.sleep(2 * ENOUGH)
            published = [json.loads(one.payload)["lock_state"] for one in connection.on(f"{BASE}/locks/{FRONT}/state")]
            assert set(published) <= had
            ended = [
                await life.bridge.journal.search.attempt(row[0]) for row in life.rows("SELECT action_id FROM attempt")
            ]
            assert all(attempt.state.terminal for attempt in ended)
            confirmed = [attempt for attempt in ended if attempt.state is State.CONFIRMED and attempt.changed]
            done = [entry.tag for entry in house.lock.log if entry.completion is Completion.SUCCESS]
            assert all(attempt.tag in done for attempt in confirmed)
