import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mqtt.address import Address, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://broker", Address("broker", 1883)),
        ("mqtt://broker:1884/", Address("broker", 1884)),
        ("mqtts://Broker.Example", Address("broker.example", 8883, tls=True)),
        ("MQTTS://10.0.0.1:443", Address("10.0.0.1", 443, tls=True)),
        ("mqtt://[::1]:1883", Address("::1", 1883)),
        ("unix:///run/mosquitto/mosquitto.sock", Address("", 0, path="/run/mosquitto/mosquitto.sock")),
    ],
)
def test_a_url_says_where_the_broker_is(url, address):
    assert parse(url) == address


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "must begin with mqtt://"),
        ("broker", "must begin with mqtt://"),
        ("broker:1883", "must begin with mqtt://"),
        ("http://broker", "must begin with mqtt://"),
        ("mqtt://", "must name a host"),
        ("mqtt://:1883", "must name a host"),
        ("mqtt://a b", "must name a host"),
        ("mqtt://broker:0", "must name a host"),
        ("mqtt://broker:65536", "is no address"),
        ("mqtt://broker:x", "is no address"),
        ("mqtt://[::1", "is no address"),
        ("mqtt://broker/topic", "must end after the host"),
        ("mqtt://broker?x=1", "must end after the host"),
        ("unix://run/mosquitto.sock", "must be unix:///PATH"),
        ("unix:///", "must be unix:///PATH"),
    ],
)
def test_what_is_no_brokers_url_is_refused_with_what_to_write(url, told):
    with pytest.raises(ValueError, match=told):
        parse(url)


@pytest.mark.parametrize(
    "url", ["mqtt://ada:hunter2@broker", "mqtt://ada@broker", "mqtt://:hunter2@broker", "unix://ada:hunter2@/x"]
)
def test_a_login_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match="use username and password_file") as caught:
        parse(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_this_machine_is_local(host):
    assert parse(f"mqtt://{host}").local


@pytest.mark.parametrize(
    "host", ["broker", "10.0.0.1", "[fe80::1]", "localhost.example", "a.localhost", "localhost.", "127.1", "0.0.0.0"]
)
def test_another_machine_is_not_local(host):
    assert not parse(f"mqtt://{host}").local


def test_a_unix_socket_is_local():
    assert parse("unix:///x").local


TOLD = {
    "is no address; write mqtt://HOST, mqtts://HOST or unix:///PATH, with a port from 1 to 65535 if needed",
    "must not hold a user or a password; use username and password_file instead",
    "must name a host; write mqtt://HOST, mqtts://HOST or unix:///PATH",
    "must end after the host and port; write mqtt://HOST, mqtts://HOST or unix:///PATH",
}


def refusal(url):
    try:
        parse(url)
    except ValueError as error:
        return str(error)
    return None


@given(st.text())
def test_nonsense_is_told_and_not_repeated(text):
    assert refusal(f"mqtt://{text}") in TOLD | {None}
