"""Who must not get in, and what must not keep the door from its work."""

from __future__ import annotations

import contextlib
import select
import socket
import time

import httpx
import pytest

from bridge.http import connection, server
from tests.support.api import BACK, FRONT

COMMAND = b'{"action":"unlock"}'


BEGINNINGS = (
    b"",
    b"GET /health HT",
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    (
        b"POST /locks/front_door/actions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer KEY\r\nContent-Length: 8000\r\n\r\n{"
    ),
)


def moved(here):
    return [
        each["action_attempt_id"] for each in here.get("/bridge/attempts", params={"limit": 500}).json()["attempts"]
    ]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "evil@127.0.0.1"}, 403),
        ({"host": ""}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/jsonp"}, 415),
    ],
)
def test_no_web_page_moves_the_bolt_even_with_a_key(there, here, headers, status):
    before = moved(here)
    answer = there.post(
        f"/locks/{FRONT}/actions", content=COMMAND, headers={"content-type": "application/json", **headers}
    )
    assert answer.status_code == status
    assert answer.json()["error_code"]
    assert "access-control-allow-origin" not in answer.headers
    assert moved(here) == before


def test_no_web_page_moves_the_bolt_by_a_proxy_to_the_unix_socket(here):
    answer = here.post(f"/locks/{FRONT}/actions", json={"action": "unlock"}, headers={"origin": "http://x.example"})
    assert answer.status_code == 403


def test_a_body_without_a_declared_type_is_not_read_as_a_command(gateway, key):
    with gateway.bare() as bare:
        bare.sendall(
            b"POST /locks/front_door/actions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (key.encode(), len(COMMAND), COMMAND)
        )
        assert said(bare).startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_the_bridge_answers_to_its_own_names(gateway, there, name):
    own = {"host": f"{name}:{gateway.port}"}
    assert there.get("/locks", headers=own).status_code == 200
    assert there.get("/locks", headers={**own, "origin": f"http://{name}:{gateway.port}"}).status_code == 200


def said(bare):
    """Return what is said until the connection ends."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := bare.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_who_sends_a_request_by_drops_is_cut_off(gateway, key, here):
    before = moved(here)
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        dripping = [stack.enter_context(gateway.bare()) for _ in BEGINNINGS]
        for bare, beginning in zip(dripping, BEGINNINGS, strict=True):
            bare.sendall(beginning.replace(b"KEY", key.encode()))
        while dripping and time.monotonic() < begun + 3 * connection.REQUEST_TIME:
            for bare in select.select(dripping, [], [], 0.2)[0]:
                with contextlib.suppress(ConnectionError):
                    assert not bare.recv(1)
                dripping.remove(bare)
            for bare in dripping[1:]:
                with contextlib.suppress(ConnectionError):
                    bare.sendall(b" ")
        assert not dripping
    assert moved(here) == before


@pytest.mark.parametrize(
    ("size", "path", "status"),
    [
        (10**6, f"/locks/{FRONT}/actions", 400),
        (10**6, "/locks/lock_door", 413),
        (10**7, "/action_attempts/list", 413),
    ],
)
def test_a_body_that_is_too_long_is_refused_unread(gateway, key, size, path, status):
    with gateway.there(key) as client:
        parts = (b" " * 65536 for _ in range(size // 65536))
        answer = client.post(path, content=parts, headers={"content-type": "application/json"})
        assert answer.status_code == status
        assert client.get("/locks").status_code == 200
    assert gateway.daemon.resident < 120


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"POST /locks/lock_door HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"GET /health HTTP/1.1\r\n" + b"X: " + b"y" * 70000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_in_json_or_not_at_all(gateway, here, request_line):
    with gateway.bare() as bare:
        bare.sendall(request_line)
        bare.shutdown(socket.SHUT_WR)
        answer = said(bare)
    assert not answer or (answer.startswith(b"HTTP/1.1 4") and b"application/json" in answer)
    assert here.get("/health").status_code == 200


def test_more_connections_than_there_are_places_are_closed_and_the_command_line_has_its_own(gateway, here):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(gateway.bare()) for _ in range(server.MOST_FROM_ONE + 8)]
        for refused in held[server.MOST_FROM_ONE :]:
            assert said(refused) == b""
        assert here.post(f"/locks/{BACK}/actions", json={"action": "lock"}).status_code == 200
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", transport=httpx.HTTPTransport(retries=5)) as client:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                assert client.get("/health").status_code == 200
                break
