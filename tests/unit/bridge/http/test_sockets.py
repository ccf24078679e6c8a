"""Where the HTTP interface listens."""

from __future__ import annotations

import socket
import stat

import pytest

from bridge.config import ConfigError, load
from bridge.http import sockets
from tests.support.certificates import Authority
from tests.support.mosquitto import free_port


@pytest.fixture
def config(tmp_path):
    def config(http='socket = "api.sock"'):
        (tmp_path / "state").mkdir(exist_ok=True)
        file = tmp_path / "config.toml"
        file.write_text(f'[bridge]\nid = "g1"\nstate_dir = "state"\n[mqtt]\nurl = "mqtt://127.0.0.1"\n[http]\n{http}\n')
        return load(file, {})

    return config


@pytest.fixture
def opened():
    made = []
    yield made.append
    for each in made:
        each.close()


def listen(config, opened, environ=None):
    listener, place = sockets.listen_here(config, environ or {})
    opened(listener)
    return place


def test_the_configuration_says_where_else_the_service_manager_else_there_are_two_places(config, tmp_path):
    assert sockets.places(config(), {"RUNTIME_DIRECTORY": "/run/a"}) == [tmp_path / "api.sock"]
    plain = config("")
    assert sockets.places(plain, {"RUNTIME_DIRECTORY": "/run/a:/run/b"}) == [sockets.Path("/run/a/api.sock")]
    assert sockets.places(plain, {}) == [sockets.Path("/run/lock-bridge/api.sock"), tmp_path / "state/api.sock"]


def test_only_owner_and_group_may_use_the_socket(config, opened):
    place = listen(config(), opened)
    assert stat.S_IMODE(place.stat().st_mode) == 0o660
    with sockets.connect(config(), {}):
        pass


def test_where_the_system_folder_cannot_be_made_it_is_in_the_state_folder(config, opened, tmp_path, monkeypatch):
    (tmp_path / "no folder").touch()
    monkeypatch.setattr(sockets, "SYSTEM_FOLDER", tmp_path / "no folder" / "run")
    assert listen(config(""), opened) == tmp_path / "state/api.sock"
    with sockets.connect(config(""), {}):
        pass


def test_a_place_with_a_long_path_serves_too(config, opened, tmp_path):
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    assert listen(config(""), opened, {"RUNTIME_DIRECTORY": str(folder)}) == folder / "api.sock"
    with sockets.connect(config(""), {"RUNTIME_DIRECTORY": str(folder)}):
        pass


def test_a_socket_that_a_killed_bridge_left_is_replaced(config, opened, tmp_path):
    listener, place = sockets.listen_here(config(), {})
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        sockets.connect(config(), {})
    assert listen(config(), opened) == place
    assert [file.name for file in tmp_path.glob("*.sock")] == ["api.sock"]
    assert not list(tmp_path.glob(".*.sock"))


def test_a_socket_that_a_bridge_listens_at_is_not_taken_from_it(config, opened):
    listen(config(), opened)
    with pytest.raises(sockets.SocketTaken, match="running already"):
        sockets.listen_here(config(), {})
    with sockets.connect(config(), {}):
        pass


def test_the_socket_goes_when_nobody_listens_any_more(config):
    listener, place = sockets.listen_here(config(), {})
    sockets.remove(place)
    assert place.exists()
    listener.close()
    sockets.remove(place)
    assert not place.exists()


def test_without_a_bridge_there_is_none_to_connect_to(config):
    with pytest.raises(FileNotFoundError):
        sockets.connect(config(), {})


def test_a_place_that_cannot_be_used_is_named(config, tmp_path):
    with pytest.raises(ConfigError, match=r"http\.socket: .*absent/api\.sock cannot be made: No such file"):
        sockets.listen_here(config('socket = "absent/api.sock"'), {})
    assert not list(tmp_path.glob("*.sock"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_tcp_is_listened_on_where_the_configuration_says(config, opened, host):
    assert sockets.listen_tcp(config()) == []
    port = free_port()
    listeners = sockets.listen_tcp(config(f'listen = "{host}:{port}"'))
    for each in listeners:
        opened(each)
        assert each.proto == socket.IPPROTO_TCP  # else asyncio lets Nagle hold back the second half of an answer
    with socket.create_connection((host.strip("[]"), port)):
        pass


def test_an_address_that_is_taken_is_named(config, opened):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"http\.listen: {address} cannot be listened on: Address already"):
            sockets.listen_tcp(config(f'listen = "{address}"'))


def test_a_certificate_that_cannot_be_used_is_named(config, tmp_path):
    certificate, key = Authority(tmp_path).issue("server")
    listen = 'listen = "127.0.0.1:1"\n'
    assert sockets.tls(config()) is None
    assert sockets.tls(config(f'{listen}cert_file = "server.pem"\nkey_file = "server.key"')) is not None
    for wrong in ('cert_file = "absent.pem"', 'cert_file = "server.pem"', 'cert_file = "server.key"'):
        with pytest.raises(ConfigError, match=r"http\.cert_file: .* cannot be used: "):
            sockets.tls(config(f"{listen}{wrong}"))
    both = certificate.with_name("both.pem")
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert sockets.tls(config(f'{listen}cert_file = "both.pem"')) is not None
