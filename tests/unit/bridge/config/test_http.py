"""`[http]`: what fits together."""

import pytest

from bridge.config import ConfigError, load

PLAIN = '[bridge]\nid = "g1"\n[mqtt]\nurl = "mqtt://127.0.0.1"\n[http]\n'


@pytest.fixture
def http(tmp_path):
    def http(text):
        file = tmp_path / "config.toml"
        file.write_text(PLAIN + text)
        return load(file, {}).http

    return http


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('listen = "127.0.0.1:8080"', ("127.0.0.1", 8080)),
        ('listen = "localhost:8080"', ("localhost", 8080)),
        ('listen = "[::1]:8080"', ("::1", 8080)),
        ('listen = "0.0.0.0:443"\ncert_file = "a.pem"', ("0.0.0.0", 443)),
        ('listen = "0.0.0.0:80"\nallow_plaintext = true', ("0.0.0.0", 80)),
    ],
)
def test_it_listens_on_loopback_or_by_tls_or_in_clear_by_name(http, text, address):
    assert http(text).address == address


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('listen = "0.0.0.0:8080"', "http.listen: would show keys and commands to everyone on the network"),
        ('listen = "bridge.local:8080"', "http.listen: would show keys"),
        ('listen = "127.0.0.1:1"\nkey_file = "a.key"', "http.key_file: needs cert_file too"),
        ('hosts = ["a"]', "http.hosts: is of use with listen only"),
        ('cert_file = "a.pem"', "http.cert_file: is of use with listen only"),
        ("allow_plaintext = true", "http.allow_plaintext: is of use with listen only"),
        ('listen = "127.0.0.1:1"\nhosts = ["a:8080"]', "http.hosts[0]: must be a name or an address without a port"),
        ('listen = "127.0.0.1:1"\nhosts = ["http://a"]', "http.hosts[0]: must be a name"),
    ],
)
def test_what_does_not_fit_is_named(http, text, told):
    with pytest.raises(ConfigError) as caught:
        http(text)
    assert told in str(caught.value)
