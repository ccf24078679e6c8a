import os
import pwd
import stat
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from bridge.config import ConfigError, load, preflight
from bridge.keys.credentials import Credentials
from bridge.keys.signing_keys import FILE, SigningKeys
from drivers.nuki import NukiCredential, NukiDriver

LOCK = '[[locks]]\nid = "a"\ndriver = "nuki"\naddress = "54:D2:72:00:00:01"\n'
KEY = NukiCredential(app_id=1, auth_id=2, key=SecretStr("00" * 32))


@pytest.fixture
def configured(tmp_path):
    def configured(text="", *, url="mqtt://localhost", bridge=""):
        file = tmp_path / "config.toml"
        file.write_text(f'[bridge]\nid = "g1"\nstate_dir = "state"\n{bridge}\n[mqtt]\nurl = "{url}"\n{text}')
        return load(file, {})

    return configured


def told(findings):
    return [(finding.key, finding.line, finding.message) for finding in findings]


@pytest.fixture
def denied(monkeypatch):
    """Be a user who may write nowhere, which root is not."""
    monkeypatch.setattr(os, "access", lambda *_args, **_options: False)


def test_a_state_folder_that_can_be_made_is_fine_and_is_not_made_by_looking(configured, tmp_path):
    assert preflight.check(configured()) == []
    assert not (tmp_path / "state").exists()


def test_the_state_folder_is_made_for_its_owner_alone(configured, tmp_path):
    preflight.make_state_dir(configured())
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    preflight.make_state_dir(configured())


@pytest.mark.parametrize(("root", "given"), [(True, True), (False, False)])
def test_made_by_root_the_state_folder_is_given_to_the_services_user(configured, tmp_path, monkeypatch, root, given):
    owners = []
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=123, pw_gid=456))
    monkeypatch.setattr(os, "chown", lambda path, *ids: owners.append((path, *ids)))
    preflight.make_state_dir(configured())
    preflight.make_state_dir(configured())  # what is there already is left as it is
    assert owners == ([(tmp_path / "state", 123, 456)] if given else [])


@pytest.mark.usefixtures("denied")
def test_a_state_folder_that_cannot_be_written_names_the_user_and_the_remedy(configured, tmp_path):
    user = pwd.getpwuid(os.geteuid()).pw_name
    config = configured()
    (mistake,) = preflight.check(config)
    assert (mistake.key, mistake.line) == ("bridge.state_dir", 3)
    assert mistake.message == (
        f"{tmp_path} cannot be written by the user {user}; as root do: install -d -m 700 -o {user} {tmp_path}/state"
    )
    (tmp_path / "state").mkdir()
    with pytest.raises(ConfigError, match=f"as root do: chown {user} {tmp_path}/state"):
        preflight.make_state_dir(config)


@pytest.mark.usefixtures("denied")
def test_a_user_without_a_name_is_told_by_number(configured, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711_4711)
    (mistake,) = preflight.check(configured())
    assert "the user 47114711;" in mistake.message


def test_a_file_in_place_of_the_state_folder_is_told(configured, tmp_path):
    (tmp_path / "state").write_text("")
    assert told(preflight.check(configured())) == [("bridge.state_dir", 3, f"{tmp_path}/state is not a folder")]
    with pytest.raises(ConfigError, match="is not a folder"):
        preflight.make_state_dir(configured())


def test_a_state_folder_that_the_system_refuses_to_make_is_told(configured, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(30, "Read-only file system")

    config = configured()
    monkeypatch.setattr(preflight.Path, "mkdir", refuse)
    with pytest.raises(ConfigError, match="cannot be made: Read-only file system"):
        preflight.make_state_dir(config)


def test_a_brokers_file_that_cannot_be_read_is_told(configured):
    (mistake,) = preflight.check(configured('username = "ada"\npassword_file = "none"\n'))
    assert mistake.key == "mqtt.password_file"


def test_a_lock_without_a_key_is_warned_of_and_is_no_mistake(configured):
    config = configured(LOCK)
    assert preflight.check(config) == []
    ((key, line, message),) = told(preflight.warnings(config))
    assert (key, line) == ("locks[0].id", 8)
    assert "has not been paired" in message


def test_a_key_that_others_can_read_is_a_mistake(configured, tmp_path):
    config = configured(LOCK)
    preflight.make_state_dir(config)
    Credentials(tmp_path / "state").store("a", NukiDriver(), KEY)
    assert preflight.check(config) == preflight.warnings(config) == []
    Credentials(tmp_path / "state").path("a").chmod(0o644)
    assert preflight.warnings(config) == []
    (mistake,) = preflight.check(config)
    assert "can be read by others" in mistake.message


def test_a_state_folder_on_a_read_only_disk_is_told_as_such(configured, tmp_path, monkeypatch):
    config = configured("")
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(preflight.os, "access", lambda *_, **__: False)
    monkeypatch.setattr(preflight.os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    (mistake,) = preflight.check(config)
    assert "mounted read-only" in mistake.message
    assert "chown" not in mistake.message


def test_virtual_locks_need_no_key(configured):
    assert preflight.warnings(configured(f'[bluetooth]\nradio = "virtual"\n{LOCK}')) == []


def test_virtual_locks_of_another_process_need_one(configured):
    (warning,) = preflight.warnings(configured(f'[bluetooth]\nradio = "virtual"\nvirtual_air = "air"\n{LOCK}'))
    assert "has not been paired" in warning.message


@pytest.mark.parametrize(
    ("text", "options", "warned"),
    [
        ("allow_plaintext = true\nusername = 'a'", {"url": "mqtt://broker"}, ["go to broker in clear"]),
        ("", {"url": "mqtts://broker"}, ["without a login"]),
        ("username = 'a'", {"url": "mqtts://broker"}, []),
        ('protocol = "3.1.1"', {}, ["knows no message expiry"]),
        ("[commands]\nrate_limit = 0", {}, ["nothing limits how often"]),
        ("", {"bridge": 'trust_clock = "always"'}, ["even while this machine's clock is wrong"]),
        ('[http]\nlisten = "127.0.0.1:80"', {}, []),
        ('[http]\nlisten = "0.0.0.0:80"\nallow_plaintext = true', {}, ["go over the network in clear"]),
        (f'{LOCK}connection = "always"\n', {}, ["empties the lock's battery", "has not been paired"]),
        (f'[bluetooth]\nradio = "virtual"\n{LOCK}connection = "always"\n', {}, []),
    ],
)
def test_what_is_unsafe_is_warned_of(configured, text, options, warned):
    findings = preflight.warnings(configured(text, **options))
    assert len(findings) == len(warned)
    for finding, words in zip(findings, warned, strict=True):
        assert words in finding.message
        assert finding.line is not None


def test_a_password_that_every_user_can_read_is_warned_of(configured, tmp_path):
    config = configured('username = "ada"\npassword_file = "password"\n')
    (tmp_path / "password").write_text("hunter2")
    (tmp_path / "password").chmod(0o640)
    assert preflight.warnings(config) == []
    (tmp_path / "password").chmod(0o644)
    ((key, _, message),) = told(preflight.warnings(config))
    assert key == "mqtt.password_file"
    assert f"chmod o= {tmp_path}/password" in message


def test_virtual_locks_in_the_systems_own_configuration_are_warned_of(configured, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "DEFAULT_FILE", tmp_path / "config.toml")
    ((key, _, message),) = told(preflight.warnings(configured('[bluetooth]\nradio = "virtual"\n')))
    assert (key, message) == ("bluetooth.radio", "all locks are virtual: no real door is moved")


SIGNED = '[commands]\nrequire_signature = true\n[bluetooth]\nradio = "virtual"\n[[locks]]\nid = "a"\ndriver = "nuki"\n'


def test_a_lock_that_wants_signatures_with_no_key_for_it_is_warned_of(configured, tmp_path):
    config = configured(SIGNED)
    ((key, line, message),) = told(preflight.warnings(config))
    assert (key, line is not None) == ("locks[0].require_signature", True)
    assert "lock-bridge signing-key create" in message
    preflight.make_state_dir(config)
    keys = SigningKeys(tmp_path / "state")
    keys.make("panel", "ed25519", ["another"])
    assert len(preflight.warnings(config)) == 1
    keys.make("panel", "ed25519", ["a"])
    assert preflight.warnings(config) == []
    (tmp_path / "state" / FILE).chmod(0o644)
    ((_, _, message),) = told(preflight.warnings(config))
    assert "chmod 600" in message


def test_a_lock_that_is_excepted_needs_no_key(configured):
    assert preflight.warnings(configured(f"{SIGNED}require_signature = false\n")) == []


def test_what_may_hold_a_token_is_better_not_in_the_environment(configured, tmp_path):
    configured('[bluetooth]\nradio = "virtual"\n')
    (tmp_path / "secret").write_text("whsec_" + "QUFB" * 10)
    environ = {
        "LOCK_BRIDGE__WEBHOOKS__URL": "https://hooks.example/t0ken",
        "LOCK_BRIDGE__WEBHOOKS__SECRET_FILE": "secret",
        "LOCK_BRIDGE__BRIDGE__TIMEZONE": "UTC",
    }
    ((key, _, message),) = told(preflight.warnings(load(tmp_path / "config.toml", environ)))
    assert key == "webhooks.url"
    assert "systemctl show" in message
    assert "t0ken" not in message
