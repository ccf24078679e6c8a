import json
import stat

import pytest

from bridge.keys.api_keys import ApiKeys


@pytest.fixture
def keys(config):
    return ApiKeys(config.parent / "state")


def test_a_key_is_shown_once_and_is_good(lock_bridge, keys):
    ended = lock_bridge("api-key", "create", "panel", "--scope", "read", "--lock", "front_door")
    secret = ended.out.strip()
    found = keys.find(secret)
    assert ended.code == 0
    assert found is not None
    assert (found.name, found.scope, found.locks) == ("panel", "read", {"front_door"})
    assert secret not in ended.err
    assert secret not in lock_bridge("api-key", "list").out
    assert secret.rpartition("_")[2] not in lock_bridge("api-key", "list", "--json").out


def test_programs_are_told_the_key(lock_bridge, keys, config):
    told = json.loads(lock_bridge("api-key", "create", "--json").out)
    found = keys.find(told["key"])
    assert set(told) == {"id", "key"}
    assert (found.id, found.scope, found.locks) == (told["id"], "operate", None)
    assert stat.S_IMODE((config.parent / "state" / "api_keys.json").stat().st_mode) == 0o600


def test_the_keys_are_listed(lock_bridge, config):
    assert lock_bridge("api-key", "list").err == "There are no keys; `lock-bridge api-key create` makes one.\n"
    key_id = json.loads(lock_bridge("api-key", "create", "home", "--json").out)["id"]
    header, row = lock_bridge("api-key", "list").out.splitlines()
    assert header.split() == ["ID", "NAME", "SCOPE", "LOCKS", "MADE"]
    assert row.split()[:4] == [key_id, "home", "operate", "all"]
    (told,) = json.loads(lock_bridge("api-key", "list", "--json").out)
    assert {key: told[key] for key in ("id", "name", "scope", "locks")} == {
        "id": key_id,
        "name": "home",
        "scope": "operate",
        "locks": None,
    }


def test_a_key_can_be_revoked(lock_bridge, keys):
    told = json.loads(lock_bridge("api-key", "create", "--json").out)
    ended = lock_bridge("api-key", "revoke", told["id"])
    assert (ended.code, ended.out) == (0, f"The key {told['id']} is revoked.\n")
    assert keys.find(told["key"]) is None
    assert lock_bridge("api-key", "revoke", told["id"]).code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "--lock", "front"), 'there is no lock "front"; did you mean "front_door"?'),
        (("create", "--scope", "admin"), "'admin' is not one of 'read', 'operate'"),
        (("create", " "), "must be 1 to 64 printable"),
        ((), "Usage: lock-bridge api-key"),
    ],
)
def test_wrong_usage_makes_no_key(lock_bridge, config, arguments, told):
    ended = lock_bridge("api-key", *arguments)
    assert ended.code == 2
    assert told in " ".join((ended.out + ended.err).replace("│", " ").split())
    assert not (config.parent / "state").exists()
