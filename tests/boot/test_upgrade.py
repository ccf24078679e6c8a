"""A version is installed over a running one while commands come."""

from __future__ import annotations

import shutil
from itertools import count

import anyio
import pytest

from tests.support.gateway import INSTALLING, ROOT
from tests.support.oracle import is_true

PACE = 4.0
"""Seconds between two commands; the lock takes less over one."""
VERSION = 'version = "'


@pytest.fixture
def another(tmp_path):
    """A checkout of a version that is not installed."""
    for name in ("bridge", "drivers", "systemd"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock", "config.example.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(VERSION, f"{VERSION}99.", 1))
    return tmp_path


async def test_p1_p2_p5_upgraded_under_load_it_loses_no_command_and_does_none_twice(door, another, figures):
    sent: list[str] = []

    async def load() -> None:
        for number in count():
            sent.append(f"load-{number}")
            await door.command(sent[-1], ("unlock", "lock")[number % 2])
            await anyio.sleep(PACE)

    before = len(door.moved)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(load)
        await door.outcome("load-0", INSTALLING)
        await door.install(another)
        assert "99." in await door.machine.run("lock-bridge --version")
        await door.outcome(sent[-1], INSTALLING)
        tasks.cancel_scope.cancel()
    outcomes = [await door.outcome(custom_id, INSTALLING) for custom_id in sent]
    moved = {tag: door.moved[before:].count(tag) for tag in door.moved[before:]}
    assert all(is_true(outcome, moved) for outcome in outcomes)
    assert set(moved.values()) == {1}, "none is done twice"
    assert moved.keys() <= {outcome["action_id"] for outcome in outcomes}, "nothing moves that was not commanded"
    for custom_id in sent:
        assert (
            len({told["event_id"] for told in door.having("events/lock.action_completed/+", custom_id=custom_id)}) == 1
        )
    figures["commands"] = len(sent)
    figures["of them successes"] = sum(outcome["status"] == "success" for outcome in outcomes)
