"""Keys for the HTTP interface."""

from __future__ import annotations

import re
import stat
from multiprocessing.pool import ThreadPool

import pytest

from bridge.keys import api_keys
from bridge.keys.api_keys import FILE, ApiKeyError, ApiKeys


@pytest.fixture
def keys(tmp_path):
    return ApiKeys(tmp_path)


def test_a_key_is_taken_by_seams_clients_and_by_nothing_that_wants_another_token(keys):
    secrets = [keys.make("a", "read").secret for _ in range(20)]
    assert len(set(secrets)) == 20
    for secret in secrets:
        assert re.fullmatch(r"seam_lb_[0-9a-f]{8}_[0-9a-f]{64}", secret)
        assert not secret.startswith(("seam_at", "seam_cst", "seam_pk", "ey"))


def test_a_key_is_found_by_itself_alone(keys):
    made, other = keys.make("a", "operate", ["front_door"]), keys.make("b", "read")
    assert keys.find(made.secret) == made.kept
    assert keys.find(other.secret) == other.kept
    mixed = made.secret[: len("seam_lb_00000000_")] + other.secret[len("seam_lb_00000000_") :]
    for wrong in ("", "seam_", mixed, made.secret[:-1], made.secret + "0", made.secret.upper(), "\udcff"):
        assert keys.find(wrong) is None


def test_what_a_key_allows(keys):
    reader, operator = keys.make("a", "read").kept, keys.make("b", "operate", ["front_door"]).kept
    assert (reader.allows("read"), reader.allows("operate")) == (True, False)
    assert (operator.allows("read"), operator.allows("operate")) == (True, True)
    assert (reader.locks, operator.locks) == (None, frozenset(["front_door"]))


def test_a_revoked_key_is_found_no_more_by_anyone_who_looks_at_the_same_folder(keys, tmp_path):
    daemon = ApiKeys(tmp_path)
    made = keys.make("a", "read")
    assert daemon.find(made.secret) == made.kept
    assert keys.revoke(made.kept.id) is True
    assert daemon.find(made.secret) is None
    assert keys.revoke(made.kept.id) is False


def test_keys_that_are_made_at_the_same_time_are_all_kept(tmp_path):
    with ThreadPool(8) as pool:
        made = pool.map(lambda number: ApiKeys(tmp_path).make(str(number), "read"), range(24))
    keys = ApiKeys(tmp_path)
    assert all(keys.find(each.secret) for each in made)
    assert {key.id for key in keys.list()} == {each.kept.id for each in made}


def test_nothing_of_the_key_is_kept_or_shown(keys, tmp_path):
    made = keys.make("a", "read")
    shown = repr(made) + repr(made.kept) + (tmp_path / FILE).read_text()
    assert made.secret.rpartition("_")[2] not in shown
    assert made.kept.sha256 not in repr(made)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{", "is damaged"), (b'{"keys": [{"id": "x"}]}', "is damaged"), (b"\xff", "is damaged")],
)
def test_a_damaged_store_makes_no_key_good_and_says_what_to_do(keys, tmp_path, content, told):
    file = tmp_path / FILE
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ApiKeyError, match=told):
        keys.find("seam_lb_00000000_")


def test_a_store_that_others_can_reach_is_refused(keys, tmp_path):
    keys.make("a", "read")
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(ApiKeyError, match="chmod 600"):
        keys.list()


def test_a_store_that_is_no_file_is_refused(keys, tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(ApiKeyError, match="cannot be read"):
        keys.list()


def test_without_a_state_folder_there_is_no_key_and_none_can_be_made(tmp_path):
    keys = ApiKeys(tmp_path / "absent")
    assert keys.list() == []
    with pytest.raises(ApiKeyError, match="cannot be written"):
        keys.make("a", "read")


def test_there_are_not_more_keys_than_there_may_be(keys, monkeypatch):
    monkeypatch.setattr(api_keys, "MOST", 2)
    keys.make("a", "read")
    keys.make("b", "read")
    with pytest.raises(ApiKeyError, match="api-key revoke"):
        keys.make("c", "read")
