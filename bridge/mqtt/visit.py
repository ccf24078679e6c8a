"""A look at a broker from outside: what it grants, what it shows, what it keeps.

Rules:
1. The visitor has client ids of its own, so that a running bridge is not thrown out, and leaves no session behind.
2. It publishes one message: empty and to a barrier of its own, which no broker stores and every bridge ignores.
3. It publishes as another client than it listens as: in bridge mode a broker hands nobody back what it sent itself.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from bridge.mqtt.broker import HandshakeFailed, MqttError, PublishRefused, SubscribeRefused, Subscription, first_of
from bridge.mqtt.client import VERSION_5
from bridge.mqtt.connection import Connection

if TYPE_CHECKING:
    from bridge.mqtt.broker import Settings
    from bridge.mqtt.topics import Topics

ECHO = 3.0
"""Seconds in which the broker must hand the visitor its own message."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a broker was seen to do."""

    retain: bool
    """Whether it takes retained messages, such as the locks' states."""
    packet_size: int
    """Bytes of the longest packet that it takes."""
    session_expiry: int
    """Seconds for which it says to keep the session; 0 on MQTT 3.1.1."""
    resumed: bool
    """Whether it still had the session when the visitor came back."""
    denied: str | None
    """Why the visitor was not let to subscribe as the bridge does."""
    answered: float | None
    """Seconds from the visitor's message to its coming back; None if it did not."""
    shows_retained: bool | None
    """Whether it shows that a message was published with retain set; None if that was not seen."""


async def visit(settings: Settings, topics: Topics) -> Visit:
    """Look at the broker.

    Raises:
        BrokerUnreachable: network, name or TLS.
        BrokerRefused: and why.
        ConnectionLost: it hung up in the middle.
    """
    try:
        return await _visit(settings, topics)
    except* MqttError as group:
        trouble = first_of(group)
    raise trouble


async def _visit(settings: Settings, topics: Topics) -> Visit:
    first = replace(settings, client_id=f"{settings.client_id}-doctor", will=None)
    again = replace(first, session_expiry=0)
    if settings.protocol != VERSION_5:
        return await _look(await _plain_or_bridge(first), again, topics, 0)
    connection = await Connection.open(first, generation=0, clean=True)
    granted = connection.terms.session_expiry
    await connection.run(_nothing)
    kept = settings.session_expiry if granted is None else granted
    return await _look(await Connection.open(again, generation=1, clean=False), again, topics, kept)


async def _plain_or_bridge(settings: Settings) -> Connection:
    """Connect as the bridge does on MQTT 3.1.1: in bridge mode, if the broker knows it."""
    try:
        return await Connection.open(settings, generation=0, clean=True, bridge_mode=True)
    except HandshakeFailed:
        return await Connection.open(settings, generation=0, clean=True)


async def _look(connection: Connection, settings: Settings, topics: Topics, kept: int) -> Visit:
    mark = topics.barrier(f"doctor-{secrets.token_hex(8)}")
    denied: str | None = None
    answered: float | None = None
    shown: bool | None = None

    async def listen(connection: Connection) -> None:
        nonlocal denied
        try:
            await connection.subscribe([Subscription(topics.actions, no_local=True), Subscription(mark)])
            sender = await Connection.open(
                replace(settings, client_id=f"{settings.client_id}-sender"), generation=2, clean=True
            )
            await sender.run(send)
        except SubscribeRefused as error:
            denied = error.reason

    async def send(sender: Connection) -> None:
        nonlocal denied, answered, shown
        begun = anyio.current_time()
        try:
            await sender.publish(mark, b"", retain=sender.terms.retain)
        except PublishRefused as error:
            denied = error.reason
            return
        with anyio.move_on_after(ECHO):
            async for message in connection.messages:
                connection.ack(message)
                if message.topic == mark:
                    answered, shown = anyio.current_time() - begun, message.retain
                    return

    resumed = connection.session_present
    await connection.run(listen)
    return Visit(
        retain=connection.terms.retain,
        packet_size=connection.terms.packet_size,
        session_expiry=kept,
        resumed=resumed,
        denied=denied,
        answered=answered,
        shows_retained=shown if connection.terms.retain else None,
    )


async def _nothing(_connection: Connection) -> None: ...
