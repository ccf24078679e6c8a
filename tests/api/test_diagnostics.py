"""How the running bridge is, by itself, by the doctor, and in the support bundle."""

from __future__ import annotations

import json
import subprocess
import tarfile

import pytest

from bridge.keys import keybox
from tests.support.api import BACK, FRONT
from tests.support.daemon import BINARY, environment


def command_line(gateway, *arguments):
    return subprocess.run(
        [BINARY, "--config", gateway.daemon.file, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_the_bridge_tells_how_it_is(here):
    told = here.get("/bridge/diagnostics").json()
    assert (told["bridge_id"], told["radio"], told["journal"]["writable"]) == ("g1", {"usable": True}, True)
    assert told["broker"]["trouble"]
    assert [(lock["lock_id"], lock["rssi"], lock["silent"]) for lock in told["locks"]] == [
        (FRONT, -60, False),
        (BACK, -60, False),
    ]


def test_nobody_else_is_told(there):
    assert there.get("/bridge/diagnostics").status_code == 404


@pytest.mark.timeout(120)
def test_the_doctor_and_the_bundle_ask_the_running_bridge(gateway, here, tmp_path):
    asked = here.post(f"/locks/{FRONT}/actions", json={"action": "lock", "custom_id": "chosen-by-the-sender"})
    assert asked.status_code == 200
    ended = command_line(gateway, "doctor", "--json")
    found = {each["check"]: each for each in json.loads(ended.stdout)["checks"]}
    assert ended.returncode == 1
    assert found["service.running"]["message"] == "the bridge runs"
    assert "not connected to its broker" in found["service.broker"]["message"]
    assert "open" in found["journal"]["message"]
    ended = command_line(gateway, "support-bundle", tmp_path / "bundle.tar.gz", "--json")
    assert ended.returncode == 0, ended.stderr
    assert "attempts.json" in json.loads(ended.stdout)["files"]
    with tarfile.open(tmp_path / "bundle.tar.gz") as archive:
        texts = {each.name: archive.extractfile(each).read().decode() for each in archive.getmembers()}
    attempts = json.loads(texts["lock-bridge-support/attempts.json"])
    assert asked.json()["action_id"] in {attempt["action_id"] for attempt in attempts}
    assert json.loads(texts["lock-bridge-support/bridge.json"])["bridge_id"] == "g1"
    assert not any("chosen-by-the-sender" in text for text in texts.values())


def test_a_running_bridge_uses_imported_keys_at_once(gateway, tmp_path):
    box = keybox.Keybox(
        bridge_id="old",
        made_at="2026-01-01T00:00:00Z",
        locks=[keybox.Kept(id="shed", driver="acme", credential={"key": "5ec2e7"})],
    )
    file, passphrase = tmp_path / "keys", tmp_path / "passphrase"
    file.write_bytes(keybox.seal(box, "correct horse battery", memory=8192, passes=1))
    passphrase.write_text("correct horse battery\n")
    passphrase.chmod(0o600)
    ended = command_line(gateway, "credentials", "import", file, "--passphrase-file", passphrase)
    assert ended.returncode == 0, ended.stderr
    assert "The running bridge was told of them." in ended.stderr
