"""The HTTP door of a daemon that runs as a process of its own."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from bridge.keys.api_keys import ApiKeys
from tests.support.daemon import Daemon, configuration
from tests.support.mosquitto import free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

FRONT, BACK = "front_door", "back_door"
QUICK = "[locks.virtual]\nmotor_time = 0.1"
NOWHERE = 1
"""A port at which no broker is."""


@dataclass(frozen=True)
class Api:
    """A running daemon and how it is asked."""

    daemon: Daemon
    port: int

    @property
    def keys(self) -> ApiKeys:
        return ApiKeys(self.daemon.state_dir)

    @property
    def socket(self) -> Path:
        return self.daemon.file.with_name("api.sock")

    def key(self, scope: str = "operate", locks: Iterable[str] | None = None) -> str:
        """Make a key."""
        return self.keys.make("test", scope, locks).secret

    def here(self, **options: Any) -> httpx.Client:
        """Return a client on the Unix socket."""
        return httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://gateway", **options)

    def there(self, key: str | None, **options: Any) -> httpx.Client:
        """Return a client on TCP."""
        client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", **options)
        if key is not None:
            client.headers["authorization"] = f"Bearer {key}"
        return client

    @contextmanager
    def bare(self) -> Generator[socket.socket]:
        """Open a connection over TCP on which anything may be said."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            yield connection


@contextmanager
def running(directory: Path, *locks: str, broker: int = NOWHERE, **tables: str) -> Generator[Api]:
    """Run a daemon with virtual locks for the length of the context."""
    port = free_port()
    http = f'listen = "127.0.0.1:{port}"\n{tables.pop("http", "")}'
    config = configuration(broker, *(locks or (FRONT, BACK)), **{"lock": QUICK, "http": http, **tables})
    daemon = Daemon(directory, config, None)
    try:
        anyio.run(partial(daemon.start))
        yield Api(daemon, port)
    finally:
        daemon.kill()
