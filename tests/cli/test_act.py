import json

import pytest

from tests.support.terminal import Terminal

pytestmark = pytest.mark.usefixtures("bridge")


def test_an_action_is_waited_for_and_its_outcome_is_told(lock_bridge):
    ended = lock_bridge("unlock", "front_door")
    assert (ended.code, ended.out, ended.err) == (0, "front_door is unlocked, as it reports itself.\n", "")
    ended = lock_bridge("lock", "front_door")
    assert (ended.code, ended.out) == (0, "front_door is locked, as it reports itself.\n")


def test_what_is_so_already_is_told(lock_bridge):
    assert lock_bridge("lock", "front_door").out == "front_door is locked already, as it reports itself.\n"


def test_programs_are_told_the_attempt(lock_bridge):
    ended = lock_bridge("unlock", "front_door", "--custom-id", "mine", "--json")
    told = json.loads(ended.out)
    assert ended.code == 0
    assert (told["status"], told["changed"], told["custom_id"], told["performed_via"]) == (
        "success",
        True,
        "mine",
        "bluetooth_key",
    )


def test_a_failure_ends_with_one_and_says_what_to_do(lock_bridge):
    lock_bridge("sandbox", "front_door", "jam")
    ended = lock_bridge("unlock", "front_door", "--json")
    assert (ended.code, json.loads(ended.out)["error_code"]) == (1, "LOCK_JAMMED")
    what, advice = ended.err.splitlines()
    assert what == "error: The lock is jammed: its motor was blocked. [LOCK_JAMMED]"
    assert "Look at the door" in advice


def test_without_waiting_the_attempt_is_named(lock_bridge):
    ended = lock_bridge("unlock", "front_door", "--no-wait", "--json")
    taken = json.loads(ended.out)
    assert (ended.code, taken["status"]) == (0, "pending")
    ended = lock_bridge("unlock", "front_door", "--no-wait")
    assert ended.out.startswith("Taken as act_")


def test_an_own_id_given_twice_moves_the_bolt_once(lock_bridge):
    first = json.loads(lock_bridge("unlock", "front_door", "--custom-id", "once", "--json").out)
    lock_bridge("lock", "front_door")
    second = json.loads(lock_bridge("unlock", "front_door", "--custom-id", "once", "--json").out)
    assert second == first
    assert json.loads(lock_bridge("locks", "--json").out)[0]["lock_state"] == "locked"


@pytest.mark.parametrize(
    ("lock_id", "told"),
    [("fron_dor", 'did you mean "front_door"?'), ("kitchen", "there are: front_door")],
)
def test_an_unknown_lock_is_told_and_the_nearest_is_named(lock_bridge, lock_id, told):
    ended = lock_bridge("lock", lock_id)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f'error: there is no lock "{lock_id}"; {told}\n'


def test_what_the_configuration_does_not_allow_is_refused_with_the_remedy(lock_bridge):
    ended = lock_bridge("unlatch", "front_door")
    assert ended.code == 1
    assert "[ACTION_NOT_ALLOWED]" in ended.err
    assert "`actions`" in ended.err


def test_a_terminal_shows_that_it_goes_on(config, tmp_path):
    with Terminal("unlock", "front_door", LOCK_BRIDGE_CONFIG=str(config), RUNTIME_DIRECTORY=str(tmp_path)) as terminal:
        assert terminal.end() == 0
    assert "Unlocking front_door" in terminal.shown
    assert "front_door is unlocked, as it reports itself.\n" in terminal.shown


def test_who_stops_waiting_is_told_the_attempt_which_goes_on(lock_bridge, config, tmp_path):
    with Terminal("unlock", "front_door", LOCK_BRIDGE_CONFIG=str(config), RUNTIME_DIRECTORY=str(tmp_path)) as terminal:
        terminal.until("Unlocking")
        terminal.interrupt()
        assert terminal.end() == 1
    assert "The action goes on; `lock-bridge attempts act_" in terminal.shown
    action_id = terminal.shown.partition("attempts ")[2].partition("`")[0]
    lock_bridge("lock", "front_door")  # comes after it
    assert json.loads(lock_bridge("attempts", action_id, "--json").out)["status"] == "success"
