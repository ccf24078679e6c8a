import json
import stat
import subprocess

import pytest

from bridge.keys.signing_keys import FILE, Made, SigningKeys
from bridge.wire.maker import parse_request
from tests.support import signed


@pytest.fixture
def keys(config):
    return SigningKeys(config.parent / "state")


def is_good(keys, key_id, secret):
    """Whether what is signed with a key that was shown is taken."""
    kept = keys.good()[key_id]
    request = parse_request(signed.payload(Made(kept, secret), "front_door", "lock"))
    from bridge.keys.signing import Signers

    Signers("g1", keys.good()).check(request.signature, "front_door", "lock")
    return True


def test_a_key_is_shown_once_and_is_good(lock_bridge, keys):
    ended = lock_bridge("signing-key", "create", "panel", "--lock", "front_door")
    (kept,) = keys.list()
    assert ended.code == 0
    assert ended.out.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert f"Here is the key {kept.id}" in ended.err
    assert (kept.name, kept.algorithm, kept.locks) == ("panel", "ed25519", {"front_door"})
    assert is_good(keys, kept.id, ended.out)
    body = ended.out.splitlines()[1]
    for again in ((), ("--json",)):
        assert body not in lock_bridge("signing-key", "list", *again).out


@pytest.mark.parametrize("algorithm", ["ed25519", "hmac-sha256"])
def test_a_key_is_written_to_a_file_of_its_owner_alone(lock_bridge, keys, tmp_path, algorithm):
    file = tmp_path / "panel.key"
    ended = lock_bridge("signing-key", "create", "--algorithm", algorithm, "--out", file)
    assert (ended.code, ended.out) == (0, f"{keys.list()[0].id}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = file.read_text()
    assert secret.splitlines()[-1] not in ended.out + ended.err
    assert is_good(keys, keys.list()[0].id, secret)
    assert ("keeps this secret" in ended.err) is (algorithm == "hmac-sha256")


def test_a_file_that_is_there_is_not_written_over_and_no_key_is_made(lock_bridge, keys, tmp_path):
    file = tmp_path / "panel.key"
    file.write_text("mine")
    ended = lock_bridge("signing-key", "create", "--out", file)
    assert (ended.code, file.read_text(), keys.list()) == (2, "mine", [])
    assert "is there already" in ended.err
    assert lock_bridge("signing-key", "create", "--out", tmp_path / "nowhere" / "panel.key").code == 2


def test_what_could_not_be_kept_leaves_no_file_behind(lock_bridge, keys, tmp_path):
    lock_bridge("signing-key", "create")
    (keys_file := tmp_path / "state" / FILE).write_text("{")
    keys_file.chmod(0o600)
    ended = lock_bridge("signing-key", "create", "--out", tmp_path / "panel.key")
    assert ended.code == 1
    assert "is damaged" in ended.err
    assert not (tmp_path / "panel.key").exists()


def test_programs_are_told_the_key(lock_bridge, keys, tmp_path):
    told = json.loads(lock_bridge("signing-key", "create", "--json").out)
    assert set(told) == {"id", "algorithm", "key"}
    assert is_good(keys, told["id"], told["key"])
    told = json.loads(lock_bridge("signing-key", "create", "--json", "--out", tmp_path / "k").out)
    assert set(told) == {"id", "algorithm"}


def test_the_holder_may_keep_the_private_half_to_itself(lock_bridge, keys, tmp_path):
    private, public = tmp_path / "panel.pem", tmp_path / "panel.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    ended = lock_bridge("signing-key", "create", "panel", "--public-key", public)
    assert (ended.code, ended.out) == (0, f"{keys.list()[0].id}\n")
    assert is_good(keys, keys.list()[0].id, private.read_text())
    refused = lock_bridge("signing-key", "create", "--public-key", private)
    assert refused.code == 2
    assert "is no Ed25519 public key" in refused.err


def test_the_keys_are_listed_and_revoked(lock_bridge, keys):
    assert lock_bridge("signing-key", "list").err == "There are no keys; `lock-bridge signing-key create` makes one.\n"
    lock_bridge("signing-key", "create", "home")
    (key_id,) = keys.good()
    header, row = lock_bridge("signing-key", "list").out.splitlines()
    assert header.split() == ["ID", "NAME", "ALGORITHM", "LOCKS", "MADE"]
    assert row.split()[:4] == [key_id, "home", "ed25519", "all"]
    (told,) = json.loads(lock_bridge("signing-key", "list", "--json").out)
    assert set(told) == {"id", "name", "algorithm", "locks", "created_at"}
    ended = lock_bridge("signing-key", "revoke", key_id)
    assert (ended.code, ended.out) == (0, f"The key {key_id} is revoked.\n")
    assert keys.good() == {}
    assert lock_bridge("signing-key", "revoke", key_id).code == 1


def test_a_lock_that_wants_signatures_and_has_no_key_is_warned_of(lock_bridge, config):
    config.write_text(config.read_text() + "require_signature = true\n")
    warned = "locks[0].require_signature: there is no signing key for this lock"
    assert warned in lock_bridge("check-config").err + lock_bridge("check-config").out
    lock_bridge("signing-key", "create", "--lock", "front_door")
    assert warned not in lock_bridge("check-config").err + lock_bridge("check-config").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "--lock", "front"), 'there is no lock "front"; did you mean "front_door"?'),
        (("create", "--algorithm", "rsa"), "'rsa' is not one of 'ed25519', 'hmac-sha256'"),
        (("create", "--public-key", "a", "--out", "b"), "--public-key goes without --out"),
        (("create", "--public-key", "a", "--algorithm", "hmac-sha256"), "with ed25519"),
        (("create", "--public-key", "/nowhere"), "cannot be read"),
        (("create", "--public-key", "/bin/true"), "no public key in PEM"),
        (("create", " "), "must be 1 to 64 printable"),
        ((), "Usage: lock-bridge signing-key"),
    ],
)
def test_wrong_usage_makes_no_key(lock_bridge, config, arguments, told):
    ended = lock_bridge("signing-key", *arguments)
    assert ended.code == 2
    assert told in " ".join((ended.out + ended.err).replace("│", " ").split())
    assert not (config.parent / "state").exists()
