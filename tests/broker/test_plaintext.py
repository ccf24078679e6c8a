"""Nothing goes to another machine in clear unless that is allowed by name, whichever way the broker is named."""

from __future__ import annotations

import socket

import anyio
import pytest

from bridge.config import ConfigError, load
from bridge.mqtt.broker import BrokerUnreachable, Settings
from bridge.mqtt.dial import dial
from bridge.mqtt.settings import mqtt_settings
from tests.support.daemon import command_line

ELSEWHERE = [
    "mqtt://broker.example",
    "mqtt://192.168.1.5:1883",
    "mqtt://[fd00::5]",
    "mqtt://0.0.0.0",
    "mqtt://localhost.example",
    "mqtt://gateway.localhost",
    "mqtt://localhost.",
    "mqtt://127.1",
    "mqtt://127.0.0.1.example",
    "mqtt://[::ffff:10.0.0.1]",
]
NO_BROKERS = [
    "ws://localhost",
    "wss://broker",
    "tcp://broker",
    "http://localhost",
    "unix://broker/run/m.sock",
    "broker",
]
HERE = ["mqtt://localhost", "mqtt://127.0.0.1:1884", "mqtt://[::1]", "unix:///run/mosquitto.sock"]


@pytest.fixture
def configured(tmp_path):
    file = tmp_path / "config.toml"

    def configured(url, *lines, **environ):
        file.write_text("\n".join(['[bridge]\nid = "g1"\nstate_dir = "state"\n[mqtt]', f'url = "{url}"', *lines]))
        return load(file, environ)

    return configured


@pytest.mark.parametrize("url", ELSEWHERE)
def test_another_machine_is_not_reached_in_clear(configured, url):
    with pytest.raises(ConfigError, match="in clear; use mqtts://, or set allow_plaintext = true"):
        configured(url)
    assert configured(url.replace("mqtt:", "mqtts:")).mqtt.address.tls
    assert not mqtt_settings(configured(url, "allow_plaintext = true")).loopback_only


@pytest.mark.parametrize("url", ELSEWHERE)
def test_the_environment_is_no_way_around_it(configured, url):
    """Neither by the address nor by a leave that the file does not give."""
    with pytest.raises(ConfigError, match=r"in clear.*LOCK_BRIDGE__MQTT__URL"):
        configured("mqtt://localhost", LOCK_BRIDGE__MQTT__URL=url)
    with pytest.raises(ConfigError, match="in clear"):
        configured(url, LOCK_BRIDGE__MQTT__ALLOW_PLAINTEXT="false")
    assert configured(url, LOCK_BRIDGE__MQTT__ALLOW_PLAINTEXT="true")


@pytest.mark.parametrize("url", NO_BROKERS)
def test_there_is_no_other_kind_of_broker(configured, url):
    with pytest.raises(ConfigError, match=r"mqtt://HOST, mqtts://HOST or unix:///PATH|unix:///PATH with the absolute"):
        configured(url, "allow_plaintext = true")


@pytest.mark.parametrize("url", HERE)
def test_this_machine_needs_no_leave(configured, url):
    assert configured(url).mqtt.address.local
    settings = mqtt_settings(configured(url))
    assert settings.loopback_only
    assert not mqtt_settings(configured(url, "allow_plaintext = true")).loopback_only


async def test_a_name_of_this_machine_that_leads_elsewhere_is_not_followed(monkeypatch):
    """A hosts file without `localhost` leaves it to a name server, which may say anything."""
    asked = []

    async def lookup(host, port, **_options):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(anyio, "getaddrinfo", lookup)
    with pytest.raises(BrokerUnreachable, match="localhost is another machine, where nothing is sent in clear"):
        await dial(Settings(client_id="g1", loopback_only=True))
    assert asked == ["localhost"]


async def test_of_several_addresses_those_of_this_machine_are_tried(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = server.getsockname()[1]

        async def lookup(_host, port, **_options):
            addresses = ("192.0.2.1", "127.0.0.1")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

        monkeypatch.setattr(anyio, "getaddrinfo", lookup)
        with anyio.fail_after(5):
            sock = await dial(Settings(client_id="g1", port=there, loopback_only=True))
        with sock:
            assert sock.getpeername() == ("127.0.0.1", there)


async def test_the_command_line_says_so_with_the_line(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[bridge]\nid = "g1"\n[mqtt]\nurl = "mqtt://broker.example"\n')
    for command in (["check-config"], ["run"]):
        ended = await command_line("--config", str(file), *command)
        assert ended.returncode == 2
        assert "config.toml:4: mqtt.url: would send commands to another machine in clear" in ended.stdout + ended.stderr
