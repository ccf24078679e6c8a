"""Whatever comes over the virtual air's socket: it ends that connection, and nothing else."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.ble import airsocket
from bridge.ble.airsocket import AirServer, SocketAir
from drivers.base import Advertisement
from drivers.virtual.peripheral import AttError
from tests.support.echo_twin import ADDRESS, ECHO, NAME, EchoTwin
from tests.support.fuzzing import effort

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of what fails: the lines are long

PATIENCE = 20.0
"""Seconds after which whoever still waits hangs."""
LONG = 70_000

names = st.sampled_from(["listen", "connect", "id", "read", "write", "data", "notify", "gatt", "mtu", "refused", "att"])
uuids = st.sampled_from([ECHO, NAME, ADDRESS])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=8), uuids, st.just("00ff")
)
values = st.recursive(
    scalars, lambda each: st.lists(each, max_size=2) | st.dictionaries(names | uuids, each, max_size=4), max_leaves=8
)
requests = st.one_of(
    st.fixed_dictionaries({"id": scalars, "read": uuids | scalars}),
    st.fixed_dictionaries(
        {"id": scalars, "write": uuids | scalars, "data": st.binary(max_size=9).map(bytes.hex) | scalars}
    ),
)
replies = st.one_of(
    st.fixed_dictionaries({"gatt": values, "mtu": scalars}),
    st.just({"gatt": {ADDRESS: {ECHO: ["write"]}}, "mtu": 23}),
    st.fixed_dictionaries({"id": st.integers(0, 2) | scalars, "data": scalars}),
    st.fixed_dictionaries({"id": st.integers(0, 2) | scalars, "att": scalars}),
    st.fixed_dictionaries({"notify": uuids | scalars, "data": scalars}),
    st.fixed_dictionaries({"refused": scalars}),
    st.fixed_dictionaries(
        dict.fromkeys(["address", "name", "rssi", "manufacturer_data", "service_data", "service_uuids"], values)
    ),
)
noise = st.one_of(
    st.binary(max_size=40),
    values.map(lambda value: json.dumps(value).encode() + b"\n"),
    st.just(b"[" * LONG + b"\n"),
    st.just(b"x" * LONG),
    st.just(b"9" * 5000 + b"\n"),
)


def lines(messages):
    return messages.map(lambda message: json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def folder() -> AsyncGenerator[str]:
    """Make a folder whose name is short, as a Unix socket's path must be."""
    path = tempfile.mkdtemp()
    try:
        yield f"{path}/air"
    finally:
        shutil.rmtree(path)


class Quiet:
    """A receiver that keeps nothing."""

    def notified(self, characteristic: str, data: bytes) -> None:
        assert isinstance(characteristic, str)
        assert isinstance(data, bytes)

    def dropped(self) -> None:
        pass


CONNECT = json.dumps({"connect": ADDRESS}).encode() + b"\n"
LISTEN = b'{"listen": true}\n'
CONNECTED = b'{"gatt": {}, "mtu": 23}\n'


@effort(80)
@given(st.sampled_from([b"", CONNECT, LISTEN]), st.lists(lines(requests) | noise, max_size=4))
@example(CONNECT, [b"[" * LONG + b"\n"])
@example(CONNECT, [b"x" * LONG])
@example(CONNECT, [b"{}\n"])
@example(CONNECT, [b'{"id": 1, "read": []}\n'])
@example(CONNECT, [b'{"id": 1, "write": 5, "data": "zz"}\n'])
@example(b"", [b'{"connect": 5}\n', b"{\n"])
@example(LISTEN, [b"x" * LONG] * 4)
def test_no_client_harms_the_server(first, rest):
    anyio.run(partial(_harm_the_server, first, rest), backend="trio")


async def _harm_the_server(first: bytes, rest: list[bytes]) -> None:
    async with folder() as path, anyio.create_task_group() as group:
        with anyio.fail_after(PATIENCE):
            twin = EchoTwin()
            await group.start(AirServer({ADDRESS: twin}, path).run)
            async with await anyio.connect_unix(path) as client:
                try:
                    for part in (first, *rest):
                        await client.send(part)
                except anyio.BrokenResourceError:
                    pass  # the server has hung up, which is its right
            await _serves(path, twin)
        group.cancel_scope.cancel()


async def _serves(path: str, twin: EchoTwin) -> None:
    """Check that the server still serves an honest client, once the other one's connection is over."""
    async with anyio.create_task_group() as group:
        air = SocketAir(path)
        await group.start(air.run, lambda _: None)
        while twin.central is not None:  # noqa: ASYNC110 - the twin has no event for it
            await anyio.sleep(0.001)
        connection = await air.connect(ADDRESS, Quiet())
        assert await connection.read(NAME) == b"Echo"
        await connection.close()
        group.cancel_scope.cancel()


@effort(80)
@given(st.lists(lines(replies) | noise, max_size=4), st.booleans())
@example([b"{\n"], True)
@example([b'{"gatt": 5}\n'], True)
@example([CONNECTED, b"{}\n"], True)
@example([CONNECTED, b'{"notify": 5, "data": "zz"}\n'], True)
@example([CONNECTED, b'{"id": 0, "data": "zz"}\n'], True)
@example([CONNECTED, b'{"id": 0}\n'], True)
@example([CONNECTED, b'{"id": 0, "data": ""}\n{"id": 0, "data": ""}\n'], True)
@example([CONNECTED, b"[" * LONG + b"\n"], False)
@example([b'{"gatt": {}, "mtu": "x"}\n'], False)
def test_no_server_harms_the_client(parts, hangs_up):
    anyio.run(partial(_harm_the_client, parts, hangs_up=hangs_up), backend="trio")


async def _harm_the_client(parts: list[bytes], *, hangs_up: bool) -> None:
    """Whatever the server says, the client's calls end in a value or in its own errors; listening goes on."""
    heard: list[Advertisement] = []
    over = anyio.Event()

    async def serve(stream) -> None:
        async with stream:
            try:
                await stream.receive()
                for part in parts:
                    await stream.send(part)
                if not hangs_up:
                    await over.wait()
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                pass  # the client has hung up, which is its right

    async with folder() as path, await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as group:
        with anyio.fail_after(PATIENCE), pytest.MonkeyPatch.context() as patch:
            patch.setattr(airsocket, "_RETRY", 0.0)
            group.start_soon(listener.serve, serve)
            air = SocketAir(path)
            await group.start(air.run, heard.append)
            with anyio.move_on_after(0.05):  # a server that falls silent is not the client's fault
                await _use(air)
            over.set()
            assert all(isinstance(each, Advertisement) for each in heard)
        group.cancel_scope.cancel()


async def _use(air: SocketAir) -> None:
    try:
        connection = await air.connect(ADDRESS, Quiet())
    except ConnectionError:
        return
    for ask in (lambda: connection.read(NAME), lambda: connection.write(ECHO, b"x")):
        with suppress(AttError, ConnectionError):
            await ask()
    await connection.close()
