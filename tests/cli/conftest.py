"""The command line in this process: what it prints and how it ends."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import structlog

from bridge.cli import main
from tests.support.daemon import BINARY, environment

STARTING = 30.0
"""Seconds that the bridge has for starting."""

SMALLEST = """\
[bridge]
id = "g1"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:1883"
[bluetooth]
radio = "virtual"
[[locks]]
id = "front_door"
driver = "nuki"
address = "54:D2:72:00:00:01"
"""


@dataclass
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _of_its_own(tmp_path, monkeypatch):
    """Whatever bridge and whatever terminal there are besides are left alone."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("LOCK_BRIDGE_CONFIG", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The smallest configuration, in a file that the command line uses by default."""
    file = tmp_path / "config.toml"
    file.write_text(SMALLEST)
    monkeypatch.setenv("LOCK_BRIDGE_CONFIG", str(file))
    return file


@pytest.fixture
def lock_bridge(capfd):
    """Run the command line."""

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        told = capfd.readouterr()
        return Ended(int(ended.value.code or 0), told.out, told.err)

    yield run
    logging.disable(logging.NOTSET)
    structlog.reset_defaults()


@contextmanager
def daemon(file):
    """Run the bridge as a process of its own; its broker is not there, which keeps nothing else from working."""
    place = file.parent / "api.sock"
    with (
        (file.parent / "daemon.log").open("w") as log,
        subprocess.Popen(
            [BINARY, "--config", file, "run"],
            stderr=log,
            cwd="/",
            env=environment({"RUNTIME_DIRECTORY": str(file.parent)}),
        ) as process,
    ):
        try:
            deadline = time.monotonic() + STARTING
            while not listens(place):
                assert process.poll() is None, (file.parent / "daemon.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def listens(place):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place)) == 0


@pytest.fixture
def bridge(config):
    """A bridge with the virtual lock `front_door`, which takes 0.2 s to move."""
    config.write_text(config.read_text() + "[locks.virtual]\nmotor_time = 0.2\n")
    with daemon(config) as process:
        yield process
