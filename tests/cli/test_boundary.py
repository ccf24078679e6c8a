import subprocess
import sys
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli import boundary, main
from bridge.cli.boundary import Exit, Stop
from bridge.errors import StorageUnavailable
from drivers.base import LinkLost

BINARY = Path(sys.executable).with_name("lock-bridge")


def test_the_version_is_told(lock_bridge):
    ended = lock_bridge("--version")
    assert (ended.code, ended.out) == (0, f"lock-bridge {__version__}\n")


def test_help_names_every_command(lock_bridge):
    ended = lock_bridge("--help")
    assert ended.code == 0
    for command in ("run", "check-config", "scan", "pair"):
        assert f" {command} " in ended.out


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("scan", "--nonsense"), ("pair",), ("scan", "--adapter", "hci0")]
)
def test_wrong_usage_ends_with_two(lock_bridge, arguments):
    assert lock_bridge(*arguments).code == 2


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (Stop("it is so", Exit.NOT_RUNNING), (3, "it is so")),
        (StorageUnavailable("the disk is full"), (1, "the disk is full")),
        (LinkLost("gone"), (1, "gone")),
        (PermissionError(13, "no", "/x"), (4, "no permission for /x; run it as a user who has, or with sudo")),
        (ExceptionGroup("g", [ExceptionGroup("h", [Stop("one"), Stop("two")])]), (1, "one")),
    ],
)
def test_what_a_person_can_cause_ends_in_a_sentence_and_a_code(lock_bridge, config, monkeypatch, error, end):
    def fail(*_arguments):
        raise error

    monkeypatch.setattr("bridge.config.load", fail)
    ended = lock_bridge("check-config")
    assert (ended.code, ended.err, ended.out) == (end[0], f"error: {end[1]}\n", "")


def test_a_fault_of_the_program_is_not_hidden(monkeypatch, config):
    def fail(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("bridge.config.load", fail)
    with pytest.raises(ZeroDivisionError):
        main(["check-config"])


def test_colours_can_be_turned_off(monkeypatch):
    assert boundary.colour("red") == "red"
    monkeypatch.setenv("NO_COLOR", "1")
    assert boundary.colour("red") is None


def test_a_reader_that_goes_away_ends_it_without_a_traceback():
    with subprocess.Popen([BINARY, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        told = process.stderr.read()
    assert b"Traceback" not in told


@pytest.mark.parametrize(("shell", "words"), [("bash", "lock-bridge ch"), ("zsh", "lock-bridge ch")])
def test_commands_are_completed(shell, words):
    environment = {"_LOCK_BRIDGE_COMPLETE": f"complete_{shell}", "COMP_WORDS": words, "COMP_CWORD": "1"}
    environment["_TYPER_COMPLETE_ARGS"] = words
    ended = subprocess.run([BINARY], env=environment, capture_output=True, text=True, check=False)
    assert "check-config" in ended.stdout
    assert "scan" not in ended.stdout
