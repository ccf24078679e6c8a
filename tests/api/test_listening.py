"""Where and how the daemon listens: its socket's life, TLS, and its end."""

from __future__ import annotations

import socket
import stat
import threading

import anyio
import httpx
import pytest

from tests.support import api
from tests.support.api import FRONT
from tests.support.certificates import Authority
from tests.support.daemon import command_line


def test_a_second_bridge_at_the_same_place_is_refused_and_the_first_goes_on(tmp_path):
    with api.running(tmp_path, FRONT) as gateway:
        other = tmp_path / "other.toml"
        other.write_text(gateway.daemon.file.read_text().replace('"state"', '"other"'))
        ended = anyio.run(lambda: command_line("--config", str(other), "run"))
        assert ended.returncode == 1
        assert "a bridge is running already" in ended.stderr
        assert "Traceback" not in ended.stderr
        with gateway.here() as client:
            assert client.get("/bridge/status").json()["bridge_id"] == "g1"


def test_a_killed_bridge_leaves_a_socket_that_the_next_one_takes_and_a_stopped_one_leaves_none(tmp_path):
    with api.running(tmp_path, FRONT) as gateway:
        gateway.daemon.kill()
        assert gateway.socket.is_socket()
        anyio.run(gateway.daemon.start)
        assert stat.S_IMODE(gateway.socket.stat().st_mode) == 0o660
        with gateway.here() as client:
            assert client.get("/health").status_code == 200
        assert anyio.run(gateway.daemon.stop) == 0
        assert not gateway.socket.exists()


def test_over_tls_it_is_spoken_to_by_who_trusts_it_and_not_in_clear(tmp_path):
    authority = Authority(tmp_path)
    authority.issue("server")
    files = f'cert_file = "{tmp_path}/server.pem"\nkey_file = "{tmp_path}/server.key"'
    with api.running(tmp_path, FRONT, http=files) as gateway:
        url = f"https://127.0.0.1:{gateway.port}"
        with httpx.Client(base_url=url, verify=authority.trusting()) as client:
            assert client.get("/health").status_code == 200
            answer = client.get("/locks", headers={"authorization": f"Bearer {gateway.key()}", "origin": url})
            assert answer.status_code == 200
        with httpx.Client() as plain, pytest.raises(httpx.TransportError):
            plain.get(f"http://127.0.0.1:{gateway.port}/health")
        with gateway.here() as client:
            assert client.get("/health").status_code == 200


def test_a_client_that_waits_for_events_gets_the_next_one_and_does_not_hold_up_the_end(tmp_path):
    with api.running(tmp_path, FRONT) as gateway, gateway.here(timeout=60) as client:
        last = client.get("/bridge/events", params={"limit": 0}).json()["last"]
        found = []

        def follow():
            with gateway.here(timeout=60) as follower:
                found.append(follower.get("/bridge/events", params={"after": last, "wait": 30}).json())

        follower = threading.Thread(target=follow)
        follower.start()
        client.post(f"/locks/{FRONT}/actions", json={"action": "unlock"})
        follower.join(30)
        assert found[0]["events"][0]["event_type"] == "lock.action_completed"
        assert found[0]["last"] > last

        with socket.socket(socket.AF_UNIX) as waiter:
            waiter.connect(str(gateway.socket))
            waiter.sendall(b"GET /bridge/events?after=1000000&wait=60 HTTP/1.1\r\nHost: gateway\r\n\r\n")
            assert anyio.run(gateway.daemon.stop) == 0
        assert "Traceback" not in gateway.daemon.log


def test_many_requests_over_one_connection_are_answered_in_their_order(tmp_path):
    with api.running(tmp_path, FRONT) as gateway, gateway.bare() as bare:
        bare.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)
        said = b""
        while said.count(b"HTTP/1.1 200") < 20 or not said.endswith(b"}"):
            said += bare.recv(65536)
        assert said.count(b'"ok":true') == 20
