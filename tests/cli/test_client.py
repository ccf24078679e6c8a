"""The bridge at the other end: not there, not for us, not ours, or gone in the middle."""

import socket
import subprocess
import threading
from contextlib import contextmanager, nullcontext

import pytest

from tests.support.daemon import BINARY, environment


@contextmanager
def answering(folder, answer):
    """Something at the bridge's place that gives every request the same bytes and hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "api.sock"))
        listener.listen()

        def serve():
            while True:
                try:
                    taken, _ = listener.accept()
                except OSError:
                    return
                with taken, taken.makefile("rb") as asked:
                    head = list(iter(asked.readline, b"\r\n" if asked.peek() else b""))
                    if head:  # else it was only looked whether anybody is here
                        lengths = [int(line.split()[1]) for line in head if line.startswith(b"Content-Length:")]
                        asked.read(sum(lengths))
                        taken.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def response(status, body, kind="application/json"):
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


COMMANDS = [
    ("locks",),
    ("attempts",),
    ("events",),
    ("lock", "front_door"),
    ("unlock", "front_door"),
    ("unlatch", "front_door"),
    ("sandbox", "front_door", "jam"),
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_where_no_bridge_runs_a_command_ends_with_three_and_says_how_to_start_it(lock_bridge, config, arguments):
    ended = lock_bridge(*arguments)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("error: the bridge is not running; start it with `systemctl start lock-bridge`")


def test_a_socket_that_a_killed_bridge_left_is_no_bridge(lock_bridge, config, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "api.sock"))
    assert lock_bridge("locks").code == 3


@pytest.mark.parametrize("named", [True, False])
def test_who_may_not_use_the_socket_is_told_how_he_may(lock_bridge, config, monkeypatch, named):
    def refuse(_socket, _address):
        raise PermissionError(13, "Permission denied")

    if not named:
        monkeypatch.delenv("LOCK_BRIDGE_CONFIG")
    monkeypatch.setattr("socket.socket.connect", refuse)
    ended = lock_bridge("locks")
    assert (ended.code, ended.out) == (4, "")
    assert "sudo usermod -aG lock-bridge" in ended.err


def test_a_bridge_of_another_configuration_is_left_alone(lock_bridge, config, tmp_path):
    with answering(tmp_path, response(200, '{"bridge_id": "house"}')):
        ended = lock_bridge("unlock", "front_door")
    assert ended.code == 3
    assert ended.err == (f'error: the bridge "g1" of {config} is not running; the one that runs here is "house"\n')


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (b"", 3, "the bridge stopped while it was asked"),
        (b"nonsense\r\n\r\n", 3, "the bridge stopped while it was asked"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", 3, "the bridge stopped while it was asked"),
        (response(200, "<html>"), 1, "the bridge's answer is not JSON"),
        (response(500, "<html>"), 1, "the bridge answered with HTTP status 500"),
        (response(409, '{"error_code": "A", "message": "No."}'), 1, "error: No."),
        (response(404, '{"error": {"type": "a", "message": "Not so."}}'), 1, "error: Not so."),
    ],
)
def test_an_answer_that_is_none_is_told_in_a_sentence(lock_bridge, tmp_path, answer, code, told):
    with answering(tmp_path, answer):
        ended = lock_bridge("locks")
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err


@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        ('{"step": "looking", "message": "Looking"}\n', 3, "the bridge stopped while it was asked"),
        ('{"step": "looki', 1, "the bridge stopped in the middle of a sentence"),
        ("[1]\n", 1, "the bridge stopped in the middle of a sentence"),
        ('{"step": "failed", "message": "No.", "wrong_usage": false}\n', 1, "error: No.\n"),
        ('{"step": "failed", "message": "Not so.", "wrong_usage": true}\n', 2, "error: Not so.\n"),
    ],
)
def test_steps_that_come_to_no_end_are_told(lock_bridge, tmp_path, lines, code, told):
    with answering(tmp_path, response(200, lines, "application/x-ndjson")):
        ended = lock_bridge("pair", "nuki")
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err


@pytest.mark.parametrize(
    ("runs", "words", "found"),
    [
        (True, "lock-bridge unlock ga", ["garden"]),
        (False, "lock-bridge unlock fr", ["front_door"]),
        (False, "lock-bridge attempts --lock fr", ["front_door"]),
        (False, "lock-bridge sandbox front_door man", ["manual-lock", "manual-unlock"]),
        (False, "lock-bridge pair nu", ["nuki"]),
        (False, "lock-bridge unlock none", []),
    ],
)
def test_the_ids_of_locks_are_completed_from_the_bridge_or_the_configuration(config, tmp_path, runs, words, found):
    variables = {
        "_LOCK_BRIDGE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
    if not runs:
        variables["LOCK_BRIDGE_CONFIG"] = str(config)
    garden = response(200, '{"locks": [{"lock_id": "garden", "name": "Garden"}, {"lock_id": "x", "name": "X"}]}')
    with answering(tmp_path, garden) if runs else nullcontext():
        ended = subprocess.run(
            [BINARY], env=environment(variables), capture_output=True, text=True, check=False, timeout=30
        )
    assert ended.stdout.split() == found
    assert ended.stderr == ""
