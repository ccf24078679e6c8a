"""The HTTP door, put together: its sockets, and at each the faces that are there."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import socket
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import structlog
from starlette.routing import Route

from bridge.config import Config
from bridge.http import sockets
from bridge.http.application import Application
from bridge.http.faces import gateway, maker, operator, seam
from bridge.http.guard import LocalGuard, NetworkGuard
from bridge.http.operation import Operation
from bridge.http.server import Server
from bridge.keys.api_keys import ApiKeys

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the bridge listens, before it answers."""

    here: socket
    tcp: list[socket]
    tls: ssl.SSLContext | None


@contextmanager
def listening(config: Config) -> Generator[Listeners]:
    """Listen on the Unix socket, and on TCP if the configuration says so.

    Raises:
        ConfigError: that is not possible, or a file of TLS cannot be used.
        SocketTaken: another bridge listens there.
    """
    tls = sockets.tls(config)
    here, place = sockets.listen_here(config)
    tcp: list[socket] = []
    try:
        tcp = sockets.listen_tcp(config)
        yield Listeners(here, tcp, tls)
    finally:
        for listener in (here, *tcp):
            listener.close()
        sockets.remove(place)


async def serve(
    bridge: Bridge, listeners: Listeners, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Answer until cancelled; started once requests are answered."""
    config = bridge.config.http
    faces = operations(bridge)
    here = Application(faces, LocalGuard(), bridge.progress, _local_routes(bridge))
    async with anyio.create_task_group() as group:
        await group.start(Server(here, [listeners.here]).run)
        if listeners.tcp:
            guard = NetworkGuard(ApiKeys(bridge.config.bridge.state_dir), [*config.hosts, _listen_host(config.listen)])
            there = Application([face for face in faces if not face.local], guard, bridge.progress)
            await group.start(Server(there, listeners.tcp, listeners.tls).run)
            log.info("listening", address=config.listen, tls=listeners.tls is not None)
        task_status.started()


def operations(bridge: Bridge) -> list[Operation]:
    """Return everything that can be asked for; at one path the first operation of a method is the one."""
    faces = (*maker.operations(bridge), *seam.operations(bridge), *gateway.operations(bridge))
    return [*faces, *operator.operations(bridge, faces)]


def _local_routes(bridge: Bridge) -> list[Route]:
    """Return what the command line needs besides."""
    from bridge.http import diagnostics, pairing, sandbox

    return [*pairing.routes(bridge), *sandbox.routes(bridge), *diagnostics.routes(bridge)]


def _listen_host(listen: str | None) -> str:
    """Return what clients may call the bridge because it listens there."""
    return (listen or "").rpartition(":")[0]
