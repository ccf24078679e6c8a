import ssl
import subprocess
import sys

import pytest

from bridge.config import ConfigError, load
from bridge.webhooks.settings import webhook_settings
from tests.support.certificates import Authority

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def configured(tmp_path):
    def configured(*lines):
        file = tmp_path / "config.toml"
        head = ['bridge.id = "g1"', 'mqtt.url = "mqtt://localhost"', "[webhooks]"]
        file.write_text("\n".join([*head, *lines]))
        return load(file, {})

    return configured


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return 'secret_file = "secret"'


def test_nothing_is_posted_unless_it_is_configured(configured):
    assert webhook_settings(configured()) is None


def test_a_url_with_tls_is_verified(configured, secret):
    settings = webhook_settings(configured('url = "https://hooks.example/x?token=T0K3N"', secret))
    assert settings.tls.verify_mode is ssl.CERT_REQUIRED
    assert settings.tls.check_hostname
    assert "T0K3N" not in repr(settings)
    assert "MfKQ" not in repr(settings)


def test_an_authority_of_ones_own_is_trusted_alone(configured, secret, tmp_path):
    Authority(tmp_path)
    settings = webhook_settings(configured('url = "https://hooks.example"', 'ca_file = "ca.pem"', secret))
    assert len(settings.tls.get_ca_certs()) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]:80/"])
def test_plaintext_within_the_machine_needs_no_leave(configured, secret, url):
    assert webhook_settings(configured(f'url = "{url}"', secret)).tls is None


def test_plaintext_to_another_machine_is_allowed_by_name(configured, secret):
    with pytest.raises(ConfigError, match=r"config.toml:4: webhooks.url: would tell another machine in clear"):
        configured('url = "http://hooks.example"', secret)
    assert webhook_settings(configured('url = "http://hooks.example"', "allow_plaintext = true", secret)).tls is None


@pytest.mark.parametrize("url", ["", "hooks.example", "ftp://hooks.example", "https://", "https://h x", "https://h:0/"])
def test_what_cannot_be_posted_to_is_refused(configured, url):
    with pytest.raises(ConfigError, match=r"webhooks.url: must be a URL such as https://"):
        configured(f'url = "{url}"')


def test_a_url_holds_no_login_and_none_is_repeated(configured, secret):
    with pytest.raises(ConfigError, match=r"must not hold a user") as refused:
        configured('url = "https://ada:hunter2@hooks.example"', secret)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("line", ['secret_file = "secret"', 'ca_file = "ca.pem"', "allow_plaintext = true"])
def test_what_is_of_no_use_without_a_url_is_refused(configured, line):
    with pytest.raises(ConfigError, match="is of use with url only"):
        configured(line)


def test_a_url_needs_a_secret_and_is_told_how_to_make_one(configured):
    with pytest.raises(ConfigError, match=r"needs secret_file too.*openssl rand"):
        webhook_settings(configured('url = "https://hooks.example"'))


def test_the_secret_may_be_a_systemd_credential(configured, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "webhook_secret").write_text(SECRET)
    assert webhook_settings(configured('url = "https://hooks.example"'))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "is not UTF-8 text"),
        (b"hunter2hunter2hunter2hunter2", 'does not begin with "whsec_"'),
        (b"whsec_aHVudGVyMg==", "holds 7 bytes"),
    ],
)
def test_a_file_without_a_secret_is_named_and_not_repeated(configured, tmp_path, content, reason):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"webhooks.secret_file: .*{reason}") as refused:
        webhook_settings(configured('url = "https://hooks.example"', 'secret_file = "secret"'))
    assert "hunter2" not in str(refused.value)
    assert "aHVud" not in str(refused.value)


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read"), ("none", "holds no PEM certificate")])
def test_authorities_that_cannot_be_used_are_named(configured, secret, tmp_path, content, reason):
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(ConfigError, match=rf"webhooks.ca_file: .*{reason}"):
        webhook_settings(configured('url = "https://hooks.example"', 'ca_file = "ca.pem"', secret))


def test_a_bridge_without_webhooks_does_not_load_what_posts_them():
    code = "import sys, bridge.app; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
