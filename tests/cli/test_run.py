import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import environment

BINARY = Path(sys.executable).with_name("lock-bridge")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_stop(config, signal_number):
    with subprocess.Popen(
        [BINARY, "--config", config, "run"], stderr=subprocess.PIPE, text=True, cwd="/", env=environment()
    ) as bridge:
        lines = iter(bridge.stderr.readline, "")
        assert next(line for line in lines if "event=ready" in line)
        bridge.send_signal(signal_number)
        rest = bridge.stderr.read()
    assert bridge.returncode == 0
    assert "Traceback" not in rest
    assert (config.parent / "state").is_dir()


def test_a_mistaken_configuration_ends_it_with_two(lock_bridge, config):
    config.write_text("[bridge]\nid = 1\n")
    ended = lock_bridge("run")
    assert ended.code == 2
    assert f"error: {config}:2: bridge.id: must be text in quotes" in ended.err


def test_a_state_folder_that_cannot_be_made_ends_it_with_two(lock_bridge, config):
    (config.parent / "state").write_text("")
    ended = lock_bridge("run")
    assert (ended.code, ended.err) == (
        2,
        f"error: {config}:3: bridge.state_dir: {config.parent}/state is not a folder\n",
    )


def test_the_daemon_does_not_carry_rich(config):
    code = "import sys; from bridge.cli import run; run._spare_rich(); import structlog; print('rich' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
