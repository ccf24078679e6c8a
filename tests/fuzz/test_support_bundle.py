"""Secrets are planted wherever one may be, and searched for in the support bundle, however it is packed."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import tarfile
import zipfile
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.doctor import bundle as bundles
from bridge.doctor.bundle import Bundle, Leak
from bridge.doctor.scrub import HIDDEN, forms, leaks, names_a_secret, pattern, plain, scrub, secrets_in
from bridge.keys.api_keys import ApiKeys
from bridge.keys.credentials import Credentials
from drivers.nuki import NukiCredential, NukiDriver
from tests.support.daemon import BINARY, environment
from tests.support.fuzzing import effort

PASSWORD = "correct-horse-battery"
KEY = "5ec2e7c0de" * 6 + "abcd"
PIN = "64517"
CODE = "90210731"
SERVICE = "service-credential-5ec2"
WEBHOOK = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
HOOK_TOKEN = "T0K3Ninthepath"
ENVIRONMENT = "env1ronment-s3cret"
INLINE = "inl1ne-passw0rd"
LOGIN = "l0gin-in-url"
BEARER = "b3arer.token-value"
UNKNOWN_CODE = "83719204"
PRIVATE = base64.b64encode(bytes(range(100, 148))).decode()
DAMAGED = "dam4ged-key-material"

LOG = f"""\
2026-11-21T10:00:00 level=info event="attempt ended" lock_id=front_door action_id=act_0123456789abcdef code=LOCK_JAMMED
2026-11-21T10:00:01 level=info event="code {UNKNOWN_CODE} was entered at the keypad"
2026-11-21T10:00:02 level=info event=login password={PASSWORD} token="{BEARER}"
2026-11-21T10:00:03 GET /locks Authorization: Bearer {BEARER}
2026-11-21T10:00:04 mqtts://bridge:{LOGIN}@broker.example:8883 https://hooks.example/{HOOK_TOKEN}?x={HOOK_TOKEN}
2026-11-21T10:00:05 {{"pin": {PIN}, "code": "{CODE}", "key": "{KEY}"}}
2026-11-21T10:00:06 {bytes.fromhex(KEY)!r} {bytes.fromhex(KEY).hex(":")} {list(bytes.fromhex(KEY))} {KEY.upper()}
2026-11-21T10:00:07 {base64.b64encode(PASSWORD.encode()).decode()} {PASSWORD.encode().hex()} {quote(PASSWORD)}
2026-11-21T10:00:08 {ENVIRONMENT} {INLINE} {SERVICE} {WEBHOOK}
-----BEGIN PRIVATE KEY-----
{PRIVATE}
-----END PRIVATE KEY-----
2026-11-21T10:00:09 level=info event="the last line"
"""


@pytest.fixture
def house(tmp_path):
    """A bridge's folder with a secret wherever one may be."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    keys = Credentials(state)
    keys.store("front_door", NukiDriver(), NukiCredential(app_id=1, auth_id=2, key=KEY, pin=PIN, name="Bridge"))
    keys.put("damaged", {"driver": "nuki", "credential": {"key": DAMAGED}})
    made = ApiKeys(state).make("app", "operate")
    (tmp_path / "credentials").mkdir()
    for name, text in {
        "password": PASSWORD,
        "webhook_secret": WEBHOOK,
        "credentials/mqtt_password": SERVICE,
        "server.key": f"-----BEGIN PRIVATE KEY-----\n{PRIVATE}\n-----END PRIVATE KEY-----\n",
        "daemon.log": f"{LOG}key shown: {made.secret}\n",
    }.items():
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(0o600)
    journalctl = tmp_path / "bin" / "journalctl"
    journalctl.parent.mkdir()
    journalctl.write_text(f"#!/bin/sh\nexec cat {tmp_path / 'daemon.log'}\n")
    journalctl.chmod(0o755)
    (tmp_path / "config.toml").write_text(f"""
[bridge]
id = "g1"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:1"
username = "bridge"
password_file = "password"
[http]
socket = "api.sock"
[webhooks]
url = "https://hooks.example/{HOOK_TOKEN}?key={HOOK_TOKEN}"
secret_file = "webhook_secret"
[bluetooth]
radio = "virtual"
[[locks]]
id = "front_door"
driver = "nuki"
[locks.virtual]
pin_codes = {{ "{CODE}" = "Ann" }}
""")
    return tmp_path, made.secret


def bundle(folder, name, **more):
    """Make a bundle as a user does, and return its texts and what was printed."""
    ended = subprocess.run(
        [BINARY, "--config", folder / "config.toml", "support-bundle", folder / name, "--log", folder / "daemon.log"],
        env=environment(
            {
                "CREDENTIALS_DIRECTORY": str(folder / "credentials"),
                "SOME_API_TOKEN": ENVIRONMENT,
                "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
                "PROXY": f"http://me:{LOGIN}@proxy.example",
                **more,
            }
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert ended.returncode == 0, ended.stderr
    return unpacked((folder / name).read_bytes()), ended.stdout + ended.stderr


def unpacked(data):
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {each.name: archive.extractfile(each).read().decode() for each in archive.getmembers()}


def found(texts, *secrets):
    """Return which secrets are where: as they are, in hexadecimal, in base64 at any place, quoted."""
    written = {
        form.lower()
        for secret in secrets
        for form in (
            *forms(secret),
            *(base64.b64encode(b" " * pad + secret.encode())[4:-4].decode() for pad in (0, 1, 2)),
        )
        if len(form) > 3
    }
    return [(name, form) for name, text in texts.items() for form in written if form in f"{name}\n{text}".lower()]


EVERY = (PASSWORD, KEY, PIN, CODE, WEBHOOK, HOOK_TOKEN, ENVIRONMENT, LOGIN, BEARER, UNKNOWN_CODE, PRIVATE, SERVICE)


@pytest.mark.parametrize("name", ["bundle.tar.gz", "bundle.zip"])
def test_no_secret_is_in_the_bundle(house, name):
    folder, api_key = house
    texts, said = bundle(folder, name)
    secrets = (*EVERY, DAMAGED, api_key)
    assert found(texts, *secrets) == []
    assert found({"output": said}, *secrets) == []
    for source in ("given-1", "lock-bridge", "bluetooth"):
        log = texts[f"lock-bridge-support/log/{source}.txt"]
        assert "act_0123456789abcdef code=LOCK_JAMMED" in log
        assert "the last line" in log
    assert json.loads(texts["lock-bridge-support/configuration.json"])["mqtt"]["url"] == "mqtt://127.0.0.1:1"
    checks = json.loads(texts["lock-bridge-support/doctor.json"])["checks"]
    assert {"broker", "disk.space", "configuration"} <= {each["check"] for each in checks}
    assert json.loads(texts["lock-bridge-support/versions.json"])["lock-bridge"]
    assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_the_search_would_find_them(house):
    folder, _ = house
    for secret in (PASSWORD, KEY, PIN, CODE, BEARER, UNKNOWN_CODE, PRIVATE):
        assert found({"log": (folder / "daemon.log").read_text()}, secret)


def test_a_secret_in_a_configuration_with_mistakes_is_in_none_either(house):
    folder, api_key = house
    text = (folder / "config.toml").read_text().replace('password_file = "password"', f'password = "{INLINE}"')
    (folder / "config.toml").write_text(text.replace("mqtt://127", f"mqtt://bridge:{LOGIN}@127"))
    texts, said = bundle(folder, "bundle.tgz", **{f"LOCK_BRIDGE__LOCKS__0__VIRTUAL__PIN_CODES__{CODE}": "Ann"})
    assert found(texts, INLINE, LOGIN, CODE, api_key, ENVIRONMENT) == []
    assert found({"output": said}, INLINE, LOGIN, CODE) == []
    assert "configuration.json" in json.loads(texts["lock-bridge-support/contents.json"])["left_out"]


def test_a_bundle_that_would_leak_is_not_written(monkeypatch):
    monkeypatch.setattr(bundles.scrub, "scrub", lambda text, known: text)
    with pytest.raises(Leak, match="nothing was written") as told:
        bundles._clean(Bundle({"log.txt": f"x {PASSWORD} y"}), pattern([PASSWORD]))
    assert PASSWORD not in str(told.value)


@effort(200)
@given(st.text(min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_found_in_every_form(secret, before, after):
    known = pattern([secret])
    for form in forms(secret):
        text = f"{before} {form} {after}"
        assert leaks(text, known)
        assert not leaks(scrub(text, known), known) or HIDDEN.lower().find(secret.lower()) >= 0


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "mqtt_password",
        "PASSWORD",
        "secret",
        "api_key",
        "key",
        "token",
        "pin_codes",
        "pin",
        "SOME_API_TOKEN",
    ],
)
def test_a_name_tells_of_a_secret(name):
    assert names_a_secret(name)
    assert plain({name: "x"}) == {name: HIDDEN}
    assert secrets_in({name: "valuable"}) == {"valuable"}


@pytest.mark.parametrize("name", ["password_file", "key_file", "custom_id", "id", "url", "monkey", "keepalive", "name"])
def test_other_names_tell_of_none(name):
    assert not names_a_secret(name)
    assert plain({name: "x"}) == {name: "x"}
    assert secrets_in({name: "valuable"}) == set()


def test_codes_that_are_keys_of_a_table_are_hidden_with_it():
    assert plain({"pin_codes": {CODE: "Ann"}}) == {"pin_codes": f"{HIDDEN} (1)"}
    assert CODE in secrets_in({"virtual": {"pin_codes": {CODE: "Ann"}}})


def test_the_line_behind_a_code_keeps_its_date():
    text = "event=ended code=\ntimestamp=2026-11-21T10:00:00 event=ended code=\n"
    assert scrub(text, None) == text


def test_what_helps_is_left_in_place():
    text = "2026-11-21T10:00:00 lock 54:D2:72:00:00:01 error_code=LOCK_JAMMED exit code 1 seq=12345678"
    assert scrub(text, pattern([PASSWORD, "2026"])) == text.replace("2026", HIDDEN, 1)
