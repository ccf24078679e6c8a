import json
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.demo.scenes import SCENES, caption, kind_of

BINARY = Path(sys.executable).with_name("lock-bridge")


@pytest.fixture(scope="module")
def lines():
    done = subprocess.run([BINARY, "demo", "--json"], capture_output=True, timeout=30, check=True)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_scene_is_played_and_comes_to_its_end(lines):
    sent = [line["body"] for line in lines if "sent" in line]
    assert sent == [scene.command for scene in SCENES]
    ends = [
        kind_of(before["received"])
        for before, after in zip(lines, [*lines[1:], {"sent": ""}], strict=True)
        if "sent" in after and "received" in before
    ]
    assert ends == [scene.awaited for scene in SCENES]


def test_a_repeated_command_is_answered_and_not_carried_out(lines):
    replies = [line["body"] for line in lines if kind_of(line.get("received", "")) == "reply"]
    first, second = replies[:2]
    assert second == first | {"status": "success", "replayed": True}
    unlocked = [line for line in lines if kind_of(line.get("received", "")) == "lock.unlocked"]
    assert len(unlocked) == 1


def test_everything_that_is_shown_is_explained(lines):
    kinds = {kind_of(line["received"]) for line in lines if "received" in line}
    assert all(caption(kind) for kind in kinds)


def test_nobody_reading_on_is_no_fault_of_the_program():
    with subprocess.Popen([BINARY, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        demo.stdout.readline()
        demo.stdout.close()
        assert b"Traceback" not in demo.stderr.read()
    assert demo.returncode == 1
