"""Connections: how many, how slow, and their end."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import anyio
import pytest

from bridge.http import connection, server
from bridge.http.server import Server
from tests.support.eventually import eventually

HEALTH = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LONG = 8 * 2**20


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Page:
    """Answers with so many bytes, once it may."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = anyio.Event()
        self.may = anyio.Event()
        self.left = 0

    async def __call__(self, scope, receive, send) -> None:
        self.asked.set()
        await self.may.wait()
        try:
            headers = [(b"content-length", str(self.size).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"x" * self.size})
        finally:
            self.left += 1


@pytest.fixture
def page():
    page = Page(2)
    page.may.set()
    return page


@asynccontextmanager
async def serving(app, tmp_path):
    """Serve, and give what opens a connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(64)
    listener.setblocking(False)
    opened = []

    async def connect():
        stream = await anyio.connect_unix(tmp_path / "s")
        opened.append(stream)
        return stream

    async with anyio.create_task_group() as group:
        served = Server(app, [listener])
        await group.start(served.run)
        connect.connections = served._state.connections
        try:
            with anyio.fail_after(20):
                yield connect
        finally:
            for stream in opened:
                await stream.aclose()
            group.cancel_scope.cancel()


async def rest(stream) -> bytes:
    """Return what comes until the connection ends."""
    came = b""
    with anyio.fail_after(20):
        try:
            while True:
                came += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return came


async def test_a_connection_is_kept_for_the_next_request(page, tmp_path):
    async with serving(page, tmp_path) as connect:
        stream = await connect()
        for _ in range(3):
            await stream.send(HEALTH)
            answer = await stream.receive()
            while not answer.endswith(b"xx"):
                answer += await stream.receive()
    assert page.left == 3


async def test_who_takes_no_answer_is_cut_off(page, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_TIME", 0.2)
    page.size = LONG
    async with serving(page, tmp_path) as connect:
        stream = await connect()
        await stream.send(HEALTH)
        await eventually(lambda: page.left and not connect.connections)
        assert len(await rest(stream)) < LONG


async def test_who_sends_no_request_is_cut_off(page, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "REQUEST_TIME", 0.2)
    async with serving(page, tmp_path) as connect:
        silent, slow = await connect(), await connect()
        await slow.send(HEALTH[:9])
        assert await rest(silent) == b""
        assert await rest(slow) == b""


async def test_a_long_body_after_its_refusal_is_not_listened_to_for_ever(page, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "REQUEST_TIME", 0.3)
    async with serving(page, tmp_path) as connect:
        stream = await connect()
        await stream.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        with pytest.raises(anyio.BrokenResourceError):
            await _drip(stream)


async def _drip(stream):
    while True:
        await stream.send(b"x")
        await anyio.sleep(0.02)


async def test_an_answer_that_takes_its_time_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "REQUEST_TIME", 0.1)
    page = Page(2)
    async with serving(page, tmp_path) as connect:
        stream = await connect()
        await stream.send(HEALTH)
        await page.asked.wait()
        with anyio.move_on_after(0.5):
            await rest(stream)
        page.may.set()
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_there_are_only_so_many_at_a_time_and_a_place_that_is_free_is_given_away(page, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
    async with serving(page, tmp_path) as connect:
        first, _second, third = [await connect() for _ in range(3)]
        assert await rest(third) == b""
        await first.aclose()
        answered = b""
        while not answered:
            stream = await connect()
            try:
                await stream.send(HEALTH)
                answered = await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                await anyio.sleep(0.01)
        assert answered.startswith(b"HTTP/1.1 200")


async def test_what_is_no_http_is_answered_in_json_and_closed(page, tmp_path):
    async with serving(page, tmp_path) as connect:
        stream = await connect()
        await stream.send(b"\x16\x03\x01 nonsense\r\n\r\n")
        answer = await rest(stream)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request")
        assert b"seam-request-id: " in answer
        assert b'"type":"invalid_http"' in answer
    assert not page.asked.is_set()


async def test_at_the_end_an_answer_under_way_still_goes_out_and_one_that_takes_too_long_does_not(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(server, "LAST_WORDS", 0.3)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(8)
    listener.setblocking(False)
    page, never = Page(2), Page(2)

    async def app(scope, receive, send):
        await (never if scope["path"] == "/never" else page)(scope, receive, send)

    async with anyio.create_task_group() as group:
        await group.start(Server(app, [listener]).run)
        soon, late = await anyio.connect_unix(tmp_path / "s"), await anyio.connect_unix(tmp_path / "s")
        await soon.send(HEALTH)
        await late.send(HEALTH.replace(b"GET /", b"GET /never"))
        await page.asked.wait()
        await never.asked.wait()
        group.cancel_scope.cancel()
        page.may.set()
    async with soon, late:
        assert (await rest(soon)).startswith(b"HTTP/1.1 200")
        assert await rest(late) == b""
