"""The command line in this process: what it prints and how it ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
import structlog

from bridge.cli import main

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
