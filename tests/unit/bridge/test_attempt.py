"""Which state may follow which."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.attempt import TABLE, State, Step, advance
from bridge.errors import IllegalStep

TERMINAL = {State.CONFIRMED, State.FAILED, State.UNKNOWN}
LEGAL = {
    (State.ACCEPTED, Step.COMMIT): State.COMMITTED,
    (State.ACCEPTED, Step.CONFIRM): State.CONFIRMED,
    (State.ACCEPTED, Step.FAIL): State.FAILED,
    (State.COMMITTED, Step.CONFIRM): State.CONFIRMED,
    (State.COMMITTED, Step.FAIL): State.FAILED,
    (State.COMMITTED, Step.LOSE): State.UNKNOWN,
}


@pytest.mark.parametrize(("state", "step"), LEGAL)
def test_a_legal_step_leads_to_its_state(state, step):
    assert advance(state, step) is LEGAL[state, step]


@pytest.mark.parametrize(("state", "step"), sorted(set(itertools.product(State, Step)) - set(LEGAL)))
def test_any_other_step_is_illegal_and_says_which(state, step):
    with pytest.raises(IllegalStep, match=f"an attempt that is {state} cannot {step}"):
        advance(state, step)


@pytest.mark.parametrize("state", State)
def test_only_an_outcome_is_terminal(state):
    assert state.terminal is (state in TERMINAL)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        TABLE[State.UNKNOWN, Step.CONFIRM] = State.CONFIRMED


@given(st.lists(st.sampled_from(Step)))
def test_an_attempt_has_at_most_one_outcome_and_is_committed_at_most_once(steps):
    state = State.ACCEPTED
    seen = [state]
    for step in steps:
        before = state
        try:
            state = advance(state, step)
        except IllegalStep:
            continue
        assert not before.terminal
        seen.append(state)
    assert seen.count(State.COMMITTED) <= 1
    assert len([state for state in seen if state.terminal]) <= 1
    assert State.UNKNOWN not in seen or State.COMMITTED in seen
