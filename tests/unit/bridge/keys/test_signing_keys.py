"""Keys that commands are signed with."""

from __future__ import annotations

import stat

import pytest
from structlog.testing import capture_logs

from bridge.errors import Refused
from bridge.keys import signing_keys
from bridge.keys.signing import Signers
from bridge.keys.signing_keys import FILE, SigningKeyError, SigningKeys
from bridge.wire.maker import parse_request
from tests.support import signed


@pytest.fixture
def keys(tmp_path):
    return SigningKeys(tmp_path)


def good(keys, made, **fields):
    request = parse_request(signed.payload(made, "front_door", **fields))
    try:
        Signers("g1", keys.good()).check(request.signature, "front_door", request.action)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("algorithm", ["ed25519", "hmac-sha256"])
def test_what_is_signed_with_a_key_that_was_made_is_good(keys, algorithm):
    made, other = keys.make("a", algorithm), keys.make("b", algorithm)
    assert good(keys, made)
    assert good(keys, other)
    assert not good(keys, signing_keys.Made(made.kept, other.secret))


def test_the_private_key_is_kept_nowhere(keys, tmp_path):
    made = keys.make("a", "ed25519")
    (line,) = [line for line in made.secret.splitlines() if not line.startswith("-")]
    import base64

    seed = base64.b64decode(line)[-32:]
    kept = (tmp_path / FILE).read_text()
    assert seed.hex() not in kept
    assert line not in kept
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("algorithm", ["ed25519", "hmac-sha256"])
def test_no_key_is_shown(keys, algorithm):
    made = keys.make("a", algorithm)
    shown = f"{made!r} {made} {made.kept!r} {keys.list()!r}"
    assert made.secret.strip() not in shown
    assert made.kept.key not in shown


def test_a_key_is_replaced_without_a_moment_in_which_none_is_good(keys, tmp_path):
    daemon = SigningKeys(tmp_path)
    first = keys.make("a", "ed25519")
    second = keys.make("a", "ed25519")
    assert (good(daemon, first), good(daemon, second)) == (True, True)
    assert keys.revoke(first.kept.id) is True
    assert (good(daemon, first), good(daemon, second)) == (False, True)
    assert keys.revoke(first.kept.id) is False
    assert [key.id for key in keys.list()] == [second.kept.id]


def test_a_public_key_is_taken_under_an_id_of_its_own_each_time(keys):
    made = keys.make("a", "ed25519")
    again = keys.take("b", bytes.fromhex(made.kept.key), ["front_door"])
    assert again.id != made.kept.id
    assert (again.key, again.locks) == (made.kept.key, frozenset(["front_door"]))
    assert good(keys, signing_keys.Made(again, made.secret))


@pytest.mark.parametrize("damage", [lambda file: file.write_text("{"), lambda file: file.chmod(0o640)])
def test_a_store_that_cannot_be_used_makes_no_key_good_and_says_so(keys, tmp_path, damage):
    made = keys.make("a", "ed25519")
    damage(tmp_path / FILE)
    with capture_logs() as logs:
        assert not good(keys, made)
    assert [entry["event"] for entry in logs] == ["no signing key is good"]
    with pytest.raises(SigningKeyError, match=r"chmod 600|is damaged"):
        keys.list()


def test_there_are_not_more_keys_than_there_may_be(keys, monkeypatch):
    monkeypatch.setattr(signing_keys, "MOST", 1)
    keys.make("a", "ed25519")
    with pytest.raises(SigningKeyError, match="signing-key revoke"):
        keys.take("b", bytes(32))
