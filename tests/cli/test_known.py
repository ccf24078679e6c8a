import json
import re
import subprocess
from contextlib import contextmanager

import pytest

from tests.support.daemon import BINARY, environment
from tests.support.terminal import Terminal

pytestmark = pytest.mark.usefixtures("bridge")


def test_the_locks_are_listed_with_what_they_said(lock_bridge):
    lock_bridge("lock", "front_door")
    header, row = lock_bridge("locks").out.splitlines()
    assert header.split() == ["LOCK", "NAME", "BOLT", "DOOR", "BATTERY", "SIGNAL", "REACHED", "SINCE"]
    assert row.startswith("front_door  front_door  locked  closed  100 %    -60 dBm  yes      2")


def test_the_locks_are_listed_for_programs(lock_bridge):
    lock_bridge("lock", "front_door")
    (lock,) = json.loads(lock_bridge("locks", "--json").out)
    assert (lock["lock_id"], lock["lock_state"], lock["online"]) == ("front_door", "locked", True)


def test_attempts_are_listed_the_latest_first(lock_bridge):
    assert lock_bridge("attempts").err == "Nothing was asked of the locks in the last 30 days.\n"
    lock_bridge("unlock", "front_door")
    lock_bridge("lock", "front_door")
    header, *rows = lock_bridge("attempts").out.splitlines()
    assert header.split() == ["ACCEPTED", "LOCK", "ACTION", "OUTCOME", "VIA", "TOOK", "ID"]
    assert [row.split()[2:6] for row in rows] == [
        ["front_door", action, "success", "bluetooth_key"] for action in ("lock", "unlock")
    ]
    assert len(lock_bridge("attempts", "--limit", "1", "--lock", "front_door").out.splitlines()) == 2
    told = json.loads(lock_bridge("attempts", "--json").out)
    assert [attempt["action"] for attempt in told] == ["lock", "unlock"]


def test_one_attempt_is_shown_in_full_by_either_id(lock_bridge):
    lock_bridge("sandbox", "front_door", "jam")
    attempt = json.loads(lock_bridge("unlock", "front_door", "--json").out)
    shown = lock_bridge("attempts", attempt["action_id"]).out
    assert lock_bridge("attempts", attempt["action_attempt_id"]).out == shown
    assert re.search(r"^Outcome: +LOCK_JAMMED$", shown, re.MULTILINE)
    assert re.search(r"^Why: +The lock is jammed", shown, re.MULTILINE)
    assert re.search(r"^What to do: +Look at the door", shown, re.MULTILINE)


def test_an_attempt_that_there_is_not_ends_with_one(lock_bridge):
    ended = lock_bridge("attempts", "act_nonsense")
    assert (ended.code, ended.err) == (
        1,
        "error: There is no such action attempt; attempts are kept for 30 days.\n",
    )


@pytest.mark.parametrize("command", ["attempts", "events"])
def test_of_an_unknown_lock_the_nearest_is_named(lock_bridge, command):
    ended = lock_bridge(command, "--lock", "front_dor")
    assert (ended.code, ended.err) == (1, 'error: there is no lock "front_dor"; did you mean "front_door"?\n')


def test_events_are_listed_the_latest_last(lock_bridge):
    lock_bridge("unlock", "front_door")
    header, *rows = lock_bridge("events").out.splitlines()
    assert header.split() == ["TIME", "EVENT", "LOCK"]
    kinds = [row.split()[2] for row in rows]
    assert kinds == ["lock.action_completed", "action_attempt.unlock_door.succeeded", "lock.unlocked"]
    assert rows[0].endswith("unlock success via bluetooth_key")
    told = json.loads(lock_bridge("events", "--json", "--limit", "2").out)
    assert [event["event_type"] for event in told] == kinds[1:]


@pytest.mark.parametrize(("since", "number"), [("1h", 3), ("2099-01-01", 0), ("2020-01-01T08:00:00+01:00", 3)])
def test_events_are_listed_from_a_time_on(lock_bridge, since, number):
    lock_bridge("unlock", "front_door")
    assert len(json.loads(lock_bridge("events", "--since", since, "--json").out)) == number


@pytest.mark.parametrize("since", ["yesterday", "5", "5w", ""])
def test_what_is_no_time_is_wrong_usage(lock_bridge, since):
    ended = lock_bridge("events", "--since", since)
    assert ended.code == 2
    assert "is neither a time" in ended.err


@contextmanager
def following(folder, *options):
    variables = environment({"RUNTIME_DIRECTORY": str(folder)})
    command = [BINARY, "events", "--follow", *options]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_following_tells_each_event_as_it_comes_and_ends_with_the_reader(lock_bridge, tmp_path):
    lock_bridge("unlock", "front_door")
    with following(tmp_path, "--json", "--limit", "1") as process:
        process.stdout.readline()
        lock_bridge("lock", "front_door")
        kinds = [json.loads(process.stdout.readline())["event_type"] for _ in range(3)]
        process.stdout.close()
        lock_bridge("unlock", "front_door")
        assert process.wait(30) == 1
        assert process.stderr.read() == b""
    assert kinds == ["lock.action_completed", "action_attempt.lock_door.succeeded", "lock.locked"]


def test_following_ends_with_the_bridge(lock_bridge, bridge, tmp_path):
    with following(tmp_path) as process:
        process.stdout.readline()
        bridge.kill()
        assert process.wait(30) in (1, 3)
        assert b"error: the bridge" in process.stderr.read()


def test_ctrl_c_ends_following_in_peace(tmp_path):
    with Terminal("events", "-f", RUNTIME_DIRECTORY=str(tmp_path)) as terminal:
        terminal.until("EVENT")
        terminal.interrupt()
        assert terminal.end() == 0
    assert "Traceback" not in terminal.shown


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_there_are_colours_on_a_terminal_unless_none_are_wanted(lock_bridge, tmp_path, more, coloured):
    lock_bridge("lock", "front_door")
    assert "\x1b" not in lock_bridge("locks").out
    with Terminal("locks", RUNTIME_DIRECTORY=str(tmp_path), **more) as terminal:
        assert terminal.end() == 0
    assert terminal.coloured is coloured
    assert "front_door  front_door  locked" in terminal.shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("manual-unlock",), "Somebody turns the knob: unlocked."),
        (("battery", "12"), "The battery has so much left."),
        (("keypad", "1234"), "Somebody types a code."),
    ],
)
def test_one_can_play_at_a_virtual_lock(lock_bridge, arguments, told):
    ended = lock_bridge("sandbox", "front_door", *arguments)
    assert (ended.code, ended.out, ended.err) == (0, f"front_door: {told}\n", "")
    assert json.loads(lock_bridge("sandbox", "front_door", *arguments, "--json").out)["ok"] is True


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("front_door", "jamm"), 'did you mean "jam"?'),
        (("front_door", "jam", "1"), "takes nothing"),
        (("front_door", "keypad"), "needs the code"),
        (("front_door", "battery", "101"), "from 0 to 100"),
        (("front_door", "battery", "-1"), "No such option"),
    ],
)
def test_a_wrong_play_is_wrong_usage(lock_bridge, arguments, told):
    ended = lock_bridge("sandbox", *arguments)
    assert ended.code == 2
    assert told in " ".join(ended.err.replace("│", " ").split())


def test_playing_at_an_unknown_lock_names_the_nearest(lock_bridge):
    ended = lock_bridge("sandbox", "front", "jam")
    assert (ended.code, ended.err) == (1, 'error: there is no lock "front"; did you mean "front_door"?\n')
