"""One bridge per adapter."""

from __future__ import annotations

import subprocess
import sys

import pytest
import structlog.testing

from bridge.ble.claim import AdapterTaken, Claim
from bridge.ble.radio import Cause

HOLD = """
import sys
from pathlib import Path
from bridge.ble.claim import Claim
claim = Claim(Path(sys.argv[1]))
claim.take("hci0")
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def adapters(tmp_path):
    for name in ("hci0", "hci1"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_an_adapter_is_one_bridges_until_it_gives_it_up(adapters):
    one, other = Claim(adapters), Claim(adapters)
    one.take("hci0")
    with pytest.raises(AdapterTaken, match=r"Another lock-bridge .* hci0: stop it") as refused:
        other.take("hci0")
    assert refused.value.cause is Cause.TAKEN
    other.take("hci1")
    one.release()
    other.release()
    other.take("hci0")
    other.release()


def test_a_claim_is_kept_when_it_is_made_again(adapters):
    one, other = Claim(adapters), Claim(adapters)
    one.take("hci0")
    one.take("hci0")
    with pytest.raises(AdapterTaken):
        other.take("hci0")
    one.release()
    one.release()


def test_an_adapter_that_was_plugged_in_anew_is_claimed_anew(adapters):
    one, other = Claim(adapters), Claim(adapters)
    one.take("hci0")
    (adapters / "hci0").rename(adapters / "gone")
    (adapters / "hci0").mkdir()
    one.take("hci0")
    with pytest.raises(AdapterTaken):
        other.take("hci0")
    one.release()


def test_an_adapter_that_is_out_of_sight_is_used_without_a_claim_and_that_is_told(adapters):
    claim = Claim(adapters)
    claim.take("hci0")
    with structlog.testing.capture_logs() as logs:
        claim.take("hci9")
    assert [entry["event"] for entry in logs] == ["radio.not_claimed"]
    other = Claim(adapters)
    other.take("hci0")
    other.release()


def test_a_claim_ends_with_its_process_however_that_ends(adapters):
    claim = Claim(adapters)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(adapters)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"taken\n"
        with pytest.raises(AdapterTaken):
            claim.take("hci0")
        process.kill()
        process.wait()
        claim.take("hci0")
        claim.release()
