"""Every command of the README is run, in its order, as a newcomer would run it.

What would change the machine is run on a machine of its own (tests/install/test_install_readme.py).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.checkout import copy_to
from tests.support.mosquitto import BINARY as MOSQUITTO

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
SMALLEST = re.search(r"^```toml\n(\[bridge\].*?)^```", README, re.MULTILINE | re.DOTALL)[1]
USUAL_PORT = 1883
CLOCK = {"LOCK_BRIDGE__BRIDGE__TRUST_CLOCK": "always"}
"""The machine that runs the tests may not know that its clock is right; what is signed wants one that is."""

DEMO, TESTS = COMMANDS[:2]
DAEMON = [line for line in COMMANDS if line.endswith(" run")]
SUBSCRIBER = [line for line in COMMANDS if line.startswith("mosquitto_sub")]
PUBLISHER = [line for line in COMMANDS if line.startswith("mosquitto_pub")]
QUESTION = [line for line in COMMANDS if line.startswith("mosquitto_rr")]
SIGNING = [line for line in COMMANDS if "panel.pem" in line]
SET_UP = ("check-config", "scan", "pair")
BRIDGE = [line for line in COMMANDS if re.match(rf"lock-bridge (--config \S+ )?({'|'.join(SET_UP)})\b", line)]
AT_THE_GATEWAY = next(block for block in BLOCKS if "lock-bridge doctor" in block).splitlines()
INSTALL = [line for line in COMMANDS if line.startswith(("sudo ", "systemd/"))]


@pytest.mark.parametrize("number", range(1, 7))
def test_each_promise_names_exactly_the_files_that_have_its_tests(number):
    (row,) = re.findall(rf"^\| P{number} \|.*$", README, re.MULTILINE)
    named = set(re.findall(r"\]\((tests/\S+?)\)", row))
    test = re.compile(rf"def test_(?:p\d_)*p{number}_(?!to_)")
    having = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if test.search(path.read_text())
    }
    assert named == having


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What a newcomer has: the files of the repository and nothing else."""
    return copy_to(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def home(tmp_path):
    """A folder with the smallest configuration, and this environment's commands on the path."""
    (tmp_path / "config.toml").write_text(SMALLEST)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:/usr/sbin:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LOCK_BRIDGE_CONFIG": str(home / "config.toml"), "RUNTIME_DIRECTORY": str(home)}


def run(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=environment(folder) | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_each_command_is_one_of_those_below():
    known = [DEMO, TESTS, *DAEMON, *SUBSCRIBER, *PUBLISHER, *QUESTION, *SIGNING, *BRIDGE, *AT_THE_GATEWAY, *INSTALL]
    assert sorted(known) == sorted(COMMANDS)


@pytest.mark.timeout(600)
def test_the_first_command_shows_the_demo_on_a_clean_checkout(checkout):
    done = run(DEMO, checkout)
    assert done.returncode == 0, done.stderr
    for told in ("LOCK_JAMMED", '"replayed": true', "ACTION_NOT_ALLOWED", '"changed": false', "COMMAND_EXPIRED"):
        assert told in done.stdout


def test_the_second_command_is_what_continuous_integration_runs():
    assert os.access(ROOT / TESTS, os.X_OK)
    assert TESTS in (ROOT / ".ci" / "run").read_text()


@pytest.mark.timeout(120)
def test_a_lock_is_found_paired_and_commanded(home):
    with ExitStack() as running:
        _usual_broker(home, running)
        for command in BRIDGE:
            quick = f"{command} --seconds 1" if command.endswith("scan") else command
            done = run(quick, home)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        _started(DAEMON[0], home, running, until="connected to the broker", **CLOCK)
        heard = _started(SUBSCRIBER[0], home, running, until="/status ")
        assert run(PUBLISHER[0], home).returncode == 0
        seen = _until(heard, "events/lock.unlocked/front_door")
        answer = run(QUESTION[0], home)
        shutil.copytree(ROOT / "examples", home / "examples")
        for command in SIGNING:
            done = run(command, home)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        _until(heard, "events/lock.locked/front_door")
        for command in AT_THE_GATEWAY:
            done = run(command, home)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert '"performed_via":"manual_turn"' in _until(heard, "manual_turn")
    assert '"locked":false' in answer.stdout, answer.stderr
    assert '"status":"pending"' in seen
    assert "events/lock.action_completed/front_door" in seen
    assert "events/action_attempt.unlock_door.succeeded/front_door" in seen


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "signing").iterdir()), ids=lambda file: file.name)
def test_the_examples_are_quoted_as_they_are(file):
    assert f"\n{file.read_text()}```\n" in README


def _usual_broker(home: Path, running: ExitStack) -> None:
    """Have a broker at the port that the README's commands go to: the machine's own, or else one for the test."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", USUAL_PORT)) == 0:
            return
    broker = running.enter_context(
        subprocess.Popen([MOSQUITTO, "-p", str(USUAL_PORT)], stderr=subprocess.PIPE, text=True)
    )
    running.callback(broker.terminate)
    _until(broker.stderr, "running")


def _started(command: str, home: Path, running: ExitStack, *, until: str, **more: str):
    process = running.enter_context(
        subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=home,
            env=environment(home) | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )
    running.callback(process.terminate)
    _until(process.stdout, until)
    return process.stdout


def _until(stream, what: str) -> str:
    """Read up to the line that has it; the test's time limit bounds it."""
    seen = ""
    while what not in seen:
        line = stream.readline()
        assert line, f"it ended before {what!r}: {seen}"
        seen += line
    return seen
