import ssl

import pytest

from bridge.config import ConfigError, load
from bridge.mqtt.broker import Will
from bridge.mqtt.settings import mqtt_settings, password
from tests.support.certificates import Authority


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def configured(tmp_path):
    def configured(*lines, url="mqtt://localhost"):
        file = tmp_path / "config.toml"
        file.write_text(
            "\n".join(['bridge.id = "g1"', "[commands]", "max_ttl = 45", "[mqtt]", f'url = "{url}"', *lines])
        )
        return load(file, {})

    return configured


def test_a_plain_broker_needs_only_its_address(configured):
    settings = mqtt_settings(configured(url="mqtt://localhost:1884"))
    assert (settings.host, settings.port, settings.unix_path, settings.tls) == ("localhost", 1884, None, None)
    assert (settings.client_id, settings.protocol, settings.username, settings.password) == (
        "lockbridge-g1",
        5,
        None,
        None,
    )


def test_the_broker_forgets_commands_after_the_longest_time_to_live(configured):
    assert mqtt_settings(configured()).session_expiry == 45


def test_the_will_is_handed_on(configured):
    will = Will("lockbridge/g1/status", b"{}")
    assert mqtt_settings(configured(), will).will is will


def test_a_unix_socket_is_reached_by_its_path(configured):
    assert mqtt_settings(configured(url="unix:///run/m.sock")).unix_path == "/run/m.sock"


def test_the_older_protocol_is_level_four(configured):
    assert mqtt_settings(configured('protocol = "3.1.1"')).protocol == 4


@pytest.mark.parametrize(("content", "secret"), [("hunter2\n", "hunter2"), ("hunter2", "hunter2"), (" a \r\n", " a ")])
def test_the_password_is_the_files_first_line(configured, tmp_path, content, secret):
    (tmp_path / "password").write_bytes(content.encode())
    config = configured('username = "ada"', 'password_file = "password"')
    found = password(config)
    assert found is not None
    assert found.get_secret_value() == secret
    settings = mqtt_settings(config)
    assert (settings.username, settings.password) == ("ada", secret)
    assert secret not in repr(settings) + repr(config) + repr(found)


def test_a_systemd_credential_stands_in_for_the_file(configured, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert mqtt_settings(configured('username = "ada"')).password is None
    (tmp_path / "mqtt_password").write_text("hunter2\n")
    assert mqtt_settings(configured('username = "ada"')).password == "hunter2"
    assert mqtt_settings(configured()).password is None


def test_the_file_wins_over_the_credential(configured, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "mqtt_password").write_text("credential")
    (tmp_path / "own").write_text("own")
    assert mqtt_settings(configured('username = "ada"', 'password_file = "own"')).password == "own"


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read: No such file"), (b"\n", "is empty"), (b"\xff", "is not UTF-8 text")]
)
def test_a_password_that_cannot_be_read_is_told_by_its_key_and_line(configured, tmp_path, content, told):
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        mqtt_settings(configured('username = "ada"', 'password_file = "password"'))
    (mistake,) = caught.value.mistakes
    assert (mistake.key, mistake.line) == ("mqtt.password_file", 7)


def test_tls_verifies_the_broker_by_this_machines_authorities(configured):
    tls = mqtt_settings(configured(url="mqtts://localhost")).tls
    assert tls is not None
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname


def test_tls_trusts_the_named_authority_alone_and_carries_our_certificate(configured, tmp_path):
    authority = Authority(tmp_path)
    authority.issue("bridge")
    config = configured(
        'ca_file = "ca.pem"', 'cert_file = "bridge.pem"', 'key_file = "bridge.key"', url="mqtts://localhost"
    )
    tls = mqtt_settings(config).tls
    assert tls is not None
    assert [dict(pair[0] for pair in ca["subject"])["commonName"] for ca in tls.get_ca_certs()] == ["Test authority"]


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read: No such file"), (b"x", "PEM certificate")])
def test_a_certificate_that_is_none_is_told_by_its_key_and_line(configured, tmp_path, key, content, told):
    if content is not None:
        (tmp_path / "file.pem").write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        mqtt_settings(configured(f'{key} = "file.pem"', url="mqtts://localhost"))
    (mistake,) = caught.value.mistakes
    assert (mistake.key, mistake.line) == (f"mqtt.{key}", 6)


def test_a_key_that_does_not_fit_its_certificate_is_told(configured, tmp_path):
    authority = Authority(tmp_path)
    authority.issue("bridge")
    authority.issue("other")
    with pytest.raises(ConfigError, match="no matching PEM certificate and unencrypted key"):
        mqtt_settings(configured('cert_file = "bridge.pem"', 'key_file = "other.key"', url="mqtts://localhost"))
