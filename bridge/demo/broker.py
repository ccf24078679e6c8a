"""An MQTT broker in this process, for the demo: MQTT 3.1.1, loopback only, nothing kept."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from amqtt.broker import Broker  # pyright: ignore[reportMissingTypeStubs] # ships none

LOOPBACK = "127.0.0.1"
USUAL_PORT = 1883


@asynccontextmanager
async def embedded_broker() -> AsyncGenerator[int]:
    """Run a broker on the usual port, or on a free one if that is taken; yields the port."""
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    port = _free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    try:
        yield port
    finally:
        await broker.shutdown()


def _free_port() -> int:
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            bound: int = probe.getsockname()[1]
            return bound
    raise OSError(f"no free port on {LOOPBACK}")
