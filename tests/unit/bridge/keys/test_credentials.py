import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bridge.keys import credentials as module
from bridge.keys.credentials import CredentialError, CredentialMissing, Credentials
from drivers.nuki import NukiCredential, NukiDriver

SECRET = "5ec7e7" * 10 + "5ec7"
NUKI = NukiDriver()
KEY = NukiCredential(app_id=1, auth_id=2, key=SecretStr(SECRET), name="bridge", pin=SecretStr("4711"))


@pytest.fixture
def keys(tmp_path):
    return Credentials(tmp_path)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_stored_key_is_loaded_as_it_was(keys):
    path = keys.store("front_door", NUKI, KEY)
    assert path == keys.path("front_door")
    assert keys.load("front_door", NUKI) == KEY


@given(st.binary(min_size=32, max_size=32), st.text(max_size=32))
@settings(max_examples=20)
def test_any_key_survives_storing(tmp_path_factory, key, name):
    keys = Credentials(tmp_path_factory.mktemp("state"))
    credential = NukiCredential(app_id=1, auth_id=2, key=SecretStr(key.hex()), name=name)
    keys.store("a", NUKI, credential)
    assert keys.load("a", NUKI) == credential


def test_only_the_owner_can_read_a_key_whatever_the_umask(keys):
    before = os.umask(0)
    try:
        path = keys.store("a", NUKI, KEY)
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


def test_a_folder_that_others_could_read_is_closed(keys):
    folder = keys.path("a").parent
    folder.mkdir(mode=0o755)
    keys.store("a", NUKI, KEY)
    assert mode(folder) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_run_as_root_it_leaves_the_key_to_the_owner_of_the_state_folder(keys, tmp_path):
    os.chown(tmp_path, 4711, 4712)
    path = keys.store("a", NUKI, KEY)
    for place in (path, path.parent):
        assert (place.stat().st_uid, place.stat().st_gid) == (4711, 4712)


def test_run_as_the_owner_it_gives_nothing_away(keys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "fchown", None)
    assert keys.store("a", NUKI, KEY).exists()


def test_a_new_key_takes_the_place_of_the_old_one_and_no_copy_is_kept(keys):
    keys.store("a", NUKI, KEY)
    other = KEY.model_copy(update={"auth_id": 3})
    path = keys.store("a", NUKI, other)
    assert keys.load("a", NUKI) == other
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_key_that_cannot_be_written_leaves_the_old_one(keys, monkeypatch, step):
    path = keys.store("a", NUKI, KEY)

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    if step == "write":
        monkeypatch.setattr(os, "fchmod", fail)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(CredentialError, match="No space left on device"):
        keys.store("a", NUKI, KEY.model_copy(update={"auth_id": 3}))
    monkeypatch.undo()
    assert keys.load("a", NUKI) == KEY
    assert list(path.parent.iterdir()) == [path]


def test_the_file_and_its_folder_are_flushed(keys, monkeypatch):
    flushed = []
    sync = os.fsync
    monkeypatch.setattr(module.os, "fsync", lambda fd: flushed.append(stat.S_IFMT(os.fstat(fd).st_mode)) or sync(fd))
    keys.store("a", NUKI, KEY)
    assert flushed == [stat.S_IFREG, stat.S_IFDIR]


def test_a_key_is_not_written_through_a_link(keys, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    keys.path("a").parent.symlink_to(elsewhere)
    with pytest.raises(CredentialError, match="cannot be written"):
        keys.store("a", NUKI, KEY)
    assert not list(elsewhere.iterdir())


def test_without_a_state_folder_nothing_can_be_stored(tmp_path):
    with pytest.raises(CredentialError, match="No such file or directory; run this as the owner of"):
        Credentials(tmp_path / "none").store("a", NUKI, KEY)


def test_a_lock_without_a_key_has_not_been_paired(keys):
    with pytest.raises(CredentialMissing, match='the lock "a" has not been paired'):
        keys.load("a", NUKI)


@pytest.mark.parametrize("others", [0o640, 0o604, 0o610, 0o606])
def test_a_key_that_others_may_read_is_refused(keys, others):
    path = keys.store("a", NUKI, KEY)
    path.chmod(others)
    with pytest.raises(CredentialError, match=f"can be read by others .mode {others:04o}.*chmod 600"):
        keys.load("a", NUKI)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xff",
        json.dumps({"driver": "nuki"}).encode(),
        json.dumps({"driver": "nuki", "credential": {"key": SECRET, "app_id": "x"}}).encode(),
        json.dumps({"driver": "nuki", "credential": {"key": SECRET + "00", "app_id": 1, "auth_id": 2}}).encode(),
    ],
)
def test_a_damaged_key_is_refused_and_not_repeated(keys, content):
    path = keys.store("a", NUKI, KEY)
    path.write_bytes(content)
    with pytest.raises(CredentialError, match="is damaged; restore it") as caught:
        keys.load("a", NUKI)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert SECRET not in str(caught.value)


def test_another_drivers_key_is_refused(keys):
    path = keys.store("a", NUKI, KEY)
    path.write_text(path.read_text().replace('"nuki"', '"yale"'))
    with pytest.raises(CredentialError, match='no key for the driver "nuki"') as caught:
        keys.load("a", NUKI)
    assert SECRET not in str(caught.value)


def test_a_link_in_place_of_a_key_is_not_followed(keys, tmp_path):
    path = keys.store("a", NUKI, KEY)
    path.rename(tmp_path / "b")
    path.symlink_to(tmp_path / "b")
    with pytest.raises(CredentialError, match="cannot be read"):
        keys.load("a", NUKI)


def test_a_pipe_in_place_of_a_key_does_not_hang(keys):
    path = keys.store("a", NUKI, KEY)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CredentialError, match="is not a file"):
        keys.load("a", NUKI)


def test_a_removed_key_is_gone(keys):
    keys.store("a", NUKI, KEY)
    assert keys.remove("a")
    assert not keys.remove("a")
    with pytest.raises(CredentialMissing):
        keys.load("a", NUKI)


def test_a_key_that_cannot_be_removed_is_told(keys):
    keys.path("a").mkdir(parents=True)
    with pytest.raises(CredentialError, match="cannot be removed"):
        keys.remove("a")
