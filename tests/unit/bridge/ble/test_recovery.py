"""The ladder of remedies."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ble import recovery
from bridge.ble.health import Ailment, Symptom
from bridge.ble.recovery import (
    BUSY_PATIENCE,
    CALM,
    LADDERS,
    LAST_ROUND,
    LIMIT,
    LONGEST_PAUSE,
    PATIENCE,
    ROUND_PAUSE,
    SETTLE,
    WILL,
    Decision,
    Record,
    Step,
    decide,
    observed,
    took,
)

LOCK = "54:D2:72:00:00:01"
NOW = 10_000.0
NEVER = Record()


def ailing(symptom: Symptom, since: float = NOW, lock: str | None = None) -> Ailment:
    return Ailment(symptom, since, "It ails.", lock)


def due(ailment: Ailment, record: Record = NEVER, now: float = NOW + 3600, **how) -> Step | None:
    return decide(ailment, record, **{"held": False, "busy": False, "now": now} | how).step


def climbed(symptom: Symptom, *, lock: str | None = None, until: float, possible=recovery.ALL):
    """Return the steps that are taken, with their times, while nothing helps."""
    ailment, record, now, taken = ailing(symptom, lock=lock), NEVER, NOW, []
    while now < NOW + until:
        decision = decide(ailment, record, held=False, busy=False, now=now, possible=possible)
        if decision.step is not None:
            taken.append((decision.step, now))
            record = took(record, ailment, decision.step, now)
        elif decision.at is None:
            break
        else:
            assert decision.at > now
            now = decision.at
    return taken


class TestClimbing:
    @pytest.mark.parametrize("symptom", Symptom)
    def test_a_symptom_may_pass_by_itself_first(self, symptom):
        decision = decide(ailing(symptom), NEVER, held=False, busy=False, now=NOW - 0.1)
        assert decision == Decision(at=NOW + PATIENCE[symptom])
        assert due(ailing(symptom), now=NOW + PATIENCE[symptom]) is LADDERS[symptom][0]

    @pytest.mark.parametrize("symptom", Symptom)
    def test_a_ladder_is_climbed_from_the_mildest_step_on(self, symptom):
        ladder = [step for step in LADDERS[symptom] if step is not Step.LEAVE]
        assert ladder == sorted(ladder)
        assert [step for step, _ in climbed(symptom, until=86_400)][: len(ladder)] == ladder

    def test_rounds_come_ever_more_slowly_and_never_cease(self):
        taken = [at for step, at in climbed(Symptom.DEAF, until=7 * 86_400) if step is Step.REPORT]
        pauses = [after - before for before, after in pairwise(taken)]
        assert pauses[0] >= ROUND_PAUSE
        assert pauses == sorted(pauses)
        assert pauses[-1] < 2 * LONGEST_PAUSE
        assert 28 <= len(taken) <= 40

    def test_the_bridge_ends_only_after_some_rounds_and_never_for_a_quiet_place(self):
        assert Step.LEAVE not in {step for step, _ in climbed(Symptom.DEAF, until=30 * 86_400)}
        steps = [step for step, _ in climbed(Symptom.HUNG, until=86_400)]
        assert steps[: steps.index(Step.LEAVE)].count(Step.REPORT) == LAST_ROUND + 1

    def test_a_step_that_cannot_be_taken_here_is_passed_over(self):
        possible = recovery.ALL - {Step.RESET, Step.LEAVE}
        assert {step for step, _ in climbed(Symptom.GONE, until=86_400, possible=possible)} == {Step.REPORT}

    def test_where_no_step_can_be_taken_there_is_nothing_to_decide(self):
        assert decide(ailing(Symptom.GHOST), NEVER, held=False, busy=False, now=NOW, possible=set()) == Decision()

    def test_nothing_is_done_while_a_bolt_may_be_moving(self):
        assert decide(ailing(Symptom.DEAF), NEVER, held=True, busy=False, now=NOW) == Decision(at=NOW)

    def test_one_locks_trouble_waits_a_while_for_other_links(self):
        ghost = ailing(Symptom.GHOST, lock=LOCK)
        assert due(ghost, busy=True, now=NOW + BUSY_PATIENCE - 1) is None
        assert due(ghost, busy=True, now=NOW + BUSY_PATIENCE) is Step.POWER_CYCLE
        assert due(ghost, now=NOW) is Step.POWER_CYCLE

    def test_one_locks_trouble_is_climbed_apart_from_the_adapters(self):
        record = took(NEVER, ailing(Symptom.GHOST, lock="other"), Step.POWER_CYCLE, NOW - 30)
        assert due(ailing(Symptom.STUCK, lock=LOCK), record, NOW) is Step.FORGET
        assert due(ailing(Symptom.DEAF), record, NOW) is Step.RESCAN
        assert due(ailing(Symptom.GHOST, lock=LOCK), record, NOW) is None, "the limit is the adapter's"

    def test_another_symptom_goes_on_where_the_one_before_stood(self):
        record = took(NEVER, ailing(Symptom.DEAF), Step.RESCAN, NOW - 30)
        assert due(ailing(Symptom.NO_SCAN, NOW - 20), record, NOW) is Step.POWER_CYCLE


class TestPowering:
    def test_whether_an_adapter_can_be_powered_on_is_known_from_the_last_try(self):
        failed = took(NEVER, ailing(Symptom.OFF), Step.POWER_ON, NOW, worked=False)
        assert failed.unpowered
        assert took(failed, ailing(Symptom.UNPOWERED), Step.RESET, NOW).unpowered
        assert not took(failed, ailing(Symptom.UNPOWERED), Step.POWER_CYCLE, NOW).unpowered
        assert not observed(failed, well=True, now=NOW).unpowered


class TestCalm:
    cured = took(NEVER, ailing(Symptom.DEAF), Step.RESCAN, NOW)

    def test_health_that_lasts_brings_back_to_the_foot(self):
        record = observed(observed(self.cured, well=True, now=NOW), well=True, now=NOW + CALM)
        assert due(ailing(Symptom.DEAF)) is due(ailing(Symptom.DEAF), record) is Step.RESCAN
        assert record.counts == {Step.RESCAN: 1}

    def test_health_that_does_not_last_does_not(self):
        record = observed(self.cured, well=True, now=NOW)
        record = observed(record, well=False, now=NOW + CALM - 1)
        record = observed(record, well=True, now=NOW + CALM + 1)
        assert due(ailing(Symptom.DEAF), record) is Step.POWER_CYCLE

    def test_the_limits_outlast_health(self):
        record = took(NEVER, ailing(Symptom.GHOST), Step.POWER_CYCLE, NOW)
        record = observed(observed(record, well=True, now=NOW - CALM), well=True, now=NOW)
        assert due(ailing(Symptom.GHOST), record, NOW + LIMIT[Step.POWER_CYCLE] - 1) is None
        assert due(ailing(Symptom.GHOST), record, NOW + LIMIT[Step.POWER_CYCLE]) is Step.POWER_CYCLE

    def test_a_lock_comes_back_to_the_foot_with_time(self):
        stuck = ailing(Symptom.STUCK, lock=LOCK)
        record = took(NEVER, stuck, Step.FORGET, NOW)
        assert due(stuck, observed(record, well=True, now=NOW + ROUND_PAUSE)) is Step.RESCAN
        assert due(stuck, observed(record, well=False, now=NOW + 2 * ROUND_PAUSE)) is Step.FORGET


class TestWill:
    @pytest.mark.parametrize(("symptom", "undoing"), [(Symptom.OFF, Step.POWER_ON), (Symptom.BLOCKED, Step.RESET)])
    def test_what_is_undone_once_and_done_again_within_the_hour_is_meant(self, symptom, undoing):
        record = took(NEVER, ailing(symptom), undoing, NOW)
        calm = replace(record, climbs={})
        for before in (record, calm):
            assert due(ailing(symptom, NOW + WILL - 1), before, NOW + 2 * WILL) is Step.REPORT
        assert due(ailing(symptom, NOW + WILL), calm, NOW + 2 * WILL) is undoing

    def test_what_could_not_be_undone_is_nobodys_will(self):
        record = took(NEVER, ailing(Symptom.BLOCKED, NOW - 100), Step.RESET, NOW)
        assert due(ailing(Symptom.BLOCKED, NOW - 100), replace(record, climbs={}), NOW + WILL) is Step.RESET

    @pytest.mark.parametrize("symptom", [Symptom.SWITCHED_OFF, Symptom.TAKEN, Symptom.FORBIDDEN])
    def test_what_only_a_person_can_undo_is_only_told(self, symptom):
        assert {step for step, _ in climbed(symptom, until=86_400)} == {Step.REPORT}


whole = st.sampled_from([None, *(symptom for symptom in Symptom if Step.REPORT in LADDERS[symptom])])
of_one = st.sampled_from([Symptom.STUCK, Symptom.GHOST])


@st.composite
def days(draw):
    """Moments: seconds passed, what ails, of which lock, whether held, busy."""
    lock = st.sampled_from(["A", "B"])
    ailment = st.one_of(st.tuples(whole, st.none()), st.tuples(of_one, lock))
    moment = st.tuples(st.floats(0.5, 4000), ailment, st.booleans(), st.booleans(), st.booleans())
    return draw(st.lists(moment, max_size=60))


@given(days())
def test_whatever_happens_the_rules_hold(days):
    record, now, since = NEVER, NOW, {}
    taken: list[tuple[Step, float]] = []
    rounds: dict[str | None, list[Step]] = {}
    for passed, (symptom, lock), held, busy, worked in days:
        now += passed
        calm_before = record.climbs
        record = observed(record, well=symptom is None or lock is not None, now=now)
        for key in calm_before.keys() - record.climbs.keys():
            rounds.pop(key, None)
        if symptom is None:
            since.clear()
            continue
        ailment = ailing(symptom, since.setdefault((symptom, lock), now - passed / 2), lock)
        decision = decide(ailment, record, held=held, busy=busy, now=now)
        step = decision.step
        if step is None:
            continue
        assert not held
        assert step in LADDERS[symptom]
        assert now >= ailment.since + PATIENCE[symptom]
        if taken:
            assert now >= taken[-1][1] + SETTLE[taken[-1][0]]
        assert all(now >= at + LIMIT[step] for earlier, at in taken if earlier is step)
        steps = rounds.setdefault(lock, [])
        if steps and step <= steps[-1]:
            assert now >= record.climbs[lock].at + ROUND_PAUSE
            rounds[lock] = steps = []
        steps.append(step)
        assert steps == sorted(set(steps))
        if step is Step.LEAVE:
            assert record.climbs[lock].round >= LAST_ROUND
        taken.append((step, now))
        record = took(record, ailment, step, now, worked=worked)
    assert sum(record.counts.values()) == len(taken)


@given(symptom=whole.filter(bool), look=st.floats(0.5, 30), held=st.lists(st.booleans(), max_size=20))
def test_what_nothing_helps_against_is_reported_in_the_end(symptom, look, held):
    ailment, record, now = ailing(symptom), NEVER, NOW
    for moment in [*held, *[False] * 5000]:
        step = decide(ailment, record, held=moment, busy=False, now=now).step
        if step is Step.REPORT:
            break
        if step is not None:
            record = took(record, ailment, step, now)
        now += look
    else:
        pytest.fail("never told")
    assert now < NOW + 1200 + 30 * 21
