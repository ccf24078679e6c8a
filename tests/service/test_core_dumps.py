"""That nothing of the memory of what handles keys gets into a core dump, by the kernel's own word of how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.daemon import Daemon, configuration, environment
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

LOCK = "front_door"
DUMPS = """
import atexit, os, resource
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
os.chdir({folder!r})
"""
MAIN = "from bridge.cli import main; main()"


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture
def dumping(tmp_path):
    """What has a process' memory dumped if it may be."""
    return DUMPS.format(folder=str(tmp_path))


async def test_no_core_dump_is_written_of_the_bridge(tmp_path, dumping):
    async with (
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK), upstream, (sys.executable, "-c", dumping + MAIN)) as daemon,
    ):
        daemon.signal(signal.SIGABRT)
        assert how_it_ended(daemon.pid) == os.CLD_KILLED


def test_no_core_dump_is_written_of_a_command_that_makes_a_key(tmp_path, dumping):
    file = tmp_path / "config.toml"
    file.write_text(configuration(1, LOCK))
    told, end = ended(
        dumping + "atexit.register(os.abort)\n" + MAIN, "--config", file, "signing-key", "create", "panel"
    )
    assert "PRIVATE KEY" in told
    assert end == os.CLD_KILLED


def test_one_is_written_of_whatever_does_not_forbid_it(dumping):
    """Else nothing would have been shown."""
    assert ended(dumping + "os.abort()") == ("", os.CLD_DUMPED)


def ended(program, *arguments):
    """Run a program to its end; return what it printed and how the end came."""
    line = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        return process.stdout.read(), how_it_ended(process.pid)


def how_it_ended(pid):
    """Wait for a process' end and tell how it came, leaving the process to whoever started it."""
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert end is not None
    return end.si_code
