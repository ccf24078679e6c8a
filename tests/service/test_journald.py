"""A real systemd-journald, in a mount namespace of its own: what the bridge logs is found by its fields."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOGS = """
import os, sys
about = os.fstat(sys.stderr.fileno())
os.environ["JOURNAL_STREAM"] = f"{about.st_dev}:{about.st_ino}"
import structlog
from bridge.service import logs
logs.configure()
log = structlog.get_logger("bridge.worker")
log.info("attempt ended", lock_id="front_door", action_attempt_id="5f4e", reason="two\\nlines", pin=424242)
log.warning("lock not read", lock_id="back_door")
"""
SYSTEM_LOG = """
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald >&2 &
trap 'kill $!' EXIT
until [ -S /run/systemd/journal/socket ]; do sleep 0.02; done
"$PYTHON" -c "$LOGS"
until journalctl --sync 2>/dev/null; do sleep 0.02; done
journalctl --directory=/run/log/journal --output=json --no-pager "$@"
"""


def system_log(*match: str) -> list[dict[str, str]]:
    """Return the entries that match, of a system log to which the bridge has logged."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*namespace, "bash", "-c", SYSTEM_LOG, "bash", *match],
        env={**os.environ, "PYTHON": sys.executable, "LOGS": LOGS},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def entries():
    return system_log("SYSLOG_IDENTIFIER=lock-bridge")


def test_a_locks_entries_are_found_by_its_id():
    (entry,) = system_log("LOCK_ID=front_door")
    assert (entry["ACTION_ATTEMPT_ID"], entry["REASON"]) == ("5f4e", "two\nlines")
    assert entry["MESSAGE"].startswith("attempt ended lock_id=front_door")


def test_every_entry_has_its_priority(entries):
    assert [entry["PRIORITY"] for entry in entries] == ["6", "4"]


def test_no_secret_gets_there(entries):
    ours = [{name: value for name, value in entry.items() if not name.startswith("_")} for entry in entries]
    assert "424242" not in json.dumps(ours)  # the others tell of the process, which holds the test's own text
