import base64
import json
import os
import stat

import pytest

from bridge.keys import keybox
from bridge.keys.credentials import Credentials
from drivers.nuki import NukiCredential, NukiDriver
from tests.cli.conftest import SMALLEST

KEY = "5ec2e7c0de" + "0" * 54
PIN = "64517"
PASSPHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(keybox.seal, "__kwdefaults__", {"memory": 8192, "passes": 1})


@pytest.fixture(autouse=True)
def no_bridge(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    return path


def credential(key=KEY):
    return NukiCredential(app_id=1, auth_id=2, key=key, pin=PIN, name="Bridge")


@pytest.fixture
def paired(config):
    """A bridge with a lock that is configured and paired, and one that is only paired."""
    (config.parent / "state").mkdir(mode=0o700)
    keys = Credentials(config.parent / "state")
    for lock_id in ("front_door", "side_door"):
        keys.store(lock_id, NukiDriver(), credential())
    return keys


@pytest.fixture
def elsewhere(tmp_path):
    """Another machine: a configuration without locks, and no state folder."""
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "config.toml"
    file.write_text(SMALLEST.partition("[[locks]]")[0])
    return file


@pytest.fixture
def exported(lock_bridge, paired, secret, tmp_path):
    file = tmp_path / "keys.txt"
    ended = lock_bridge("credentials", "export", file, "--passphrase-file", secret)
    assert (ended.code, ended.out) == (0, "")
    assert "front_door, side_door" in ended.err
    return file


def test_keys_come_to_another_machine_with_what_to_configure(lock_bridge, exported, elsewhere, secret):
    ended = lock_bridge("--config", elsewhere, "credentials", "import", exported, "--passphrase-file", secret)
    assert ended.code == 0
    keys = Credentials(elsewhere.parent / "state")
    assert keys.ids() == ["front_door", "side_door"]
    assert keys.load("front_door", NukiDriver()) == credential()
    assert stat.S_IMODE(keys.path("front_door").stat().st_mode) == 0o600
    assert stat.S_IMODE((elsewhere.parent / "state").stat().st_mode) == 0o700
    assert 'id = "front_door"\nname = "front_door"\ndriver = "nuki"\naddress = "54:D2:72:00:00:01"\n' in ended.out
    assert "front_door, side_door" in ended.err


def test_an_export_is_its_owners_alone_and_shows_no_key(exported):
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    text = exported.read_text()
    sealed = base64.b64decode(text.splitlines()[1])
    for secret in (KEY, PIN, PASSPHRASE, "front_door", bytes.fromhex(KEY).decode("latin-1")):
        assert secret not in text
        assert secret.encode("latin-1") not in sealed


def test_what_was_there_is_not_overwritten(lock_bridge, exported, secret):
    before = exported.read_bytes()
    ended = lock_bridge("credentials", "export", exported, "--passphrase-file", secret)
    assert (ended.code, exported.read_bytes()) == (2, before)
    assert "is there already" in ended.err


def test_without_a_key_nothing_is_exported(lock_bridge, config, secret, tmp_path):
    ended = lock_bridge("credentials", "export", tmp_path / "keys", "--passphrase-file", secret)
    assert ended.code == 1
    assert "no lock has been paired" in ended.err
    assert not (tmp_path / "keys").exists()


def test_a_key_that_cannot_be_read_fails_the_export(lock_bridge, paired, secret, tmp_path):
    paired.path("side_door").write_text('{"driver": "nuki"}')
    ended = lock_bridge("credentials", "export", tmp_path / "keys", "--passphrase-file", secret)
    assert ended.code == 1
    assert "side_door.json is damaged" in ended.err
    assert not (tmp_path / "keys").exists()


def test_the_same_keys_are_taken_over_again_and_again(lock_bridge, exported, secret):
    for _ in range(2):
        assert lock_bridge("credentials", "import", exported, "--passphrase-file", secret).code == 0


def test_another_key_is_replaced_only_when_told_to(lock_bridge, exported, paired, secret):
    newer = credential("ab" * 32)
    paired.store("side_door", NukiDriver(), newer)
    paired.remove("front_door")
    ended = lock_bridge("credentials", "import", exported, "--passphrase-file", secret)
    assert ended.code == 1
    assert "another key is stored for side_door" in ended.err
    assert "--replace" in ended.err
    assert paired.ids() == ["side_door"]
    assert paired.load("side_door", NukiDriver()) == newer
    assert lock_bridge("credentials", "import", exported, "--passphrase-file", secret, "--replace").code == 0
    assert paired.load("side_door", NukiDriver()) == paired.load("front_door", NukiDriver()) == credential()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-100], "damaged or cut off"),
        (lambda data: data.replace(b'"version": 1', b'"version": 2'), "newer version"),
        (lambda data: b"[bridge]\n", "no export of lock-bridge's credentials"),
        (lambda data: b"", "no export of lock-bridge's credentials"),
        (lambda data: data.replace(b'"passes": 1', b'"passes": 100'), "first line is damaged"),
        (lambda data: data.replace(b'"memory": 8192', b'"memory": 99999999999'), "first line is damaged"),
    ],
)
def test_each_kind_of_bad_file_has_its_own_words(*, lock_bridge, exported, elsewhere, secret, change, words):
    exported.write_bytes(change(exported.read_bytes()))
    ended = lock_bridge("--config", elsewhere, "credentials", "import", exported, "--passphrase-file", secret)
    assert ended.code == 1
    assert words in ended.err
    assert not (elsewhere.parent / "state").exists()


def test_a_wrong_passphrase_is_told_and_changes_nothing(lock_bridge, exported, elsewhere, secret):
    secret.write_text("correct horse battery stable\n")
    ended = lock_bridge("--config", elsewhere, "credentials", "import", exported, "--passphrase-file", secret)
    assert ended.code == 1
    assert "the passphrase is wrong" in ended.err
    assert "stable" not in ended.err
    assert not (elsewhere.parent / "state").exists()


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [("short\n", 1, "too short"), ("\n", 2, "is empty"), (None, 2, "cannot be read")],
)
def test_a_passphrase_that_is_none_is_refused(*, lock_bridge, paired, secret, tmp_path, text, code, words):
    secret.unlink() if text is None else secret.write_text(text)
    ended = lock_bridge("credentials", "export", tmp_path / "keys", "--passphrase-file", secret)
    assert ended.code == code
    assert words in ended.err


def test_a_passphrase_that_others_can_read_is_warned_of(lock_bridge, paired, secret, tmp_path):
    secret.chmod(0o644)
    ended = lock_bridge("credentials", "export", tmp_path / "keys", "--passphrase-file", secret)
    assert ended.code == 0
    assert f"warning: others can read {secret}" in ended.err


def test_without_a_terminal_nothing_is_asked(lock_bridge, paired, tmp_path, monkeypatch):
    with open(os.devnull) as nothing:  # noqa: PTH123 - a stream for standard input
        monkeypatch.setattr("sys.stdin", nothing)
        ended = lock_bridge("credentials", "export", tmp_path / "keys")
    assert ended.code == 2
    assert "--passphrase-file" in ended.err


def test_programs_are_told_which_locks_they_were(lock_bridge, paired, elsewhere, secret, tmp_path):
    file = tmp_path / "keys"
    told = {"file": str(file), "locks": ["front_door", "side_door"]}
    ended = lock_bridge("credentials", "export", file, "--passphrase-file", secret, "--json")
    assert json.loads(ended.out) == told
    arguments = ("--config", elsewhere, "credentials", "import", file, "--passphrase-file", secret, "--json")
    assert json.loads(lock_bridge(*arguments).out) == told


def test_a_key_that_its_driver_cannot_use_is_refused(lock_bridge, exported, elsewhere, secret):
    bad = keybox.Kept(id="front_door", driver="nuki", credential={"key": "5ec2e7"})
    exported.write_bytes(keybox.seal(box(bad), PASSPHRASE))
    ended = lock_bridge("--config", elsewhere, "credentials", "import", exported, "--passphrase-file", secret)
    assert ended.code == 1
    assert "is none that the driver nuki can use" in ended.err
    assert "5ec2e7" not in ended.err


def test_a_key_of_a_vendor_whose_driver_is_missing_is_kept(lock_bridge, exported, elsewhere, secret):
    other = keybox.Kept(id="shed", driver="acme", credential={"key": "5ec2e7"})
    exported.write_bytes(keybox.seal(box(other), PASSPHRASE))
    ended = lock_bridge("--config", elsewhere, "credentials", "import", exported, "--passphrase-file", secret)
    assert ended.code == 0
    assert 'there is no driver "acme" here' in ended.err
    assert Credentials(elsewhere.parent / "state").document("shed") == {
        "driver": "acme",
        "credential": {"key": "5ec2e7"},
    }


def box(*locks):
    return keybox.Keybox(bridge_id="g1", made_at="2026-01-01T00:00:00Z", locks=locks)
