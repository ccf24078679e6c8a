"""What the bridge and a broker say to each other, and what can go wrong between them.

`MqttError`
├── `BrokerUnreachable`   no connection: name, network, TLS, or no answer in time
│   └── `HandshakeFailed` reached, but CONNECT was answered by something else than a CONNACK that can be read
├── `BrokerRefused`       the broker answered CONNECT with a no: bad login, not authorised, ...
├── `ConnectionLost`      an open connection ended and not by us
│   └── `Misspoken`       it ended because what the broker sent could not be read
├── `PublishRefused`      this message will not go: the broker's reason code, or a limit that it has announced
└── `SubscribeRefused`    this filter is not granted, or not at QoS 1

Errors of paho, sockets and TLS are mapped to these in `dial` and `connection` and go no further.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import anyio

from bridge.errors import BridgeError

if TYPE_CHECKING:
    import ssl


class MqttError(BridgeError):
    """The root of what can go wrong with a broker. `reason` is one short sentence without secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BrokerUnreachable(MqttError):
    """There is no connection to the broker."""


class HandshakeFailed(BrokerUnreachable):
    """The broker was reached but did not answer CONNECT with a CONNACK that can be read."""

    def __init__(self, reason: str, *, refused_level: bool) -> None:
        super().__init__(reason)
        self.refused_level = refused_level
        """Whether it said so (a broker that does not know the protocol level) rather than just hung up."""


class BrokerRefused(MqttError):
    """The broker was reached and does not want this client."""


class ConnectionLost(MqttError):
    """An open connection has ended and not by us. What was in flight may or may not have arrived."""


class Misspoken(ConnectionLost):
    """The connection was given up because what the broker sent could not be read."""


class PublishRefused(MqttError):
    """A message was not taken, and sending it again would not help."""


class SubscribeRefused(MqttError):
    """A subscription was not granted at QoS 1."""

    def __init__(self, topic_filter: str, reason: str) -> None:
        super().__init__(f"{topic_filter}: {reason}")
        self.topic_filter = topic_filter


def first_of(group: BaseExceptionGroup[MqttError]) -> MqttError:
    """Return the first error in a group of groups, as task groups make them."""
    error: BaseExceptionGroup[MqttError] | MqttError = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says when the bridge is gone: retained, QoS 1, after `delay` seconds (MQTT 5 only)."""

    topic: str
    payload: bytes
    delay: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach a broker and what to agree with it.

    Attributes:
        host: name or address; not used if there is a `unix_path`.
        port: TCP port.
        unix_path: the broker's Unix socket.
        loopback_only: whether a name that leads to another machine is not followed.
        tls: for TLS, the context that verifies the broker (and carries our certificate, if any).
        username: login name.
        password: login secret, in no `repr`.
        client_id: unique at this broker; a second client of the same id takes the session over.
        protocol: 5 for MQTT 5, 4 for MQTT 3.1.1 (the protocol level of CONNECT).
        keepalive: seconds; a dead connection is noticed within two of them.
        session_expiry: seconds for which the broker keeps the session, MQTT 5 only.
        receive_maximum: how many commands the broker may have unacknowledged, MQTT 5 only.
        maximum_packet_size: bytes, the longest packet that the broker may send, MQTT 5 only.
        will: what the broker says when the bridge is gone.
    """

    client_id: str
    host: str = "localhost"
    port: int = 1883
    unix_path: str | None = None
    loopback_only: bool = False
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    protocol: Literal[5, 4] = 5
    keepalive: int = 15
    session_expiry: int = 60
    receive_maximum: int = 16
    maximum_packet_size: int = 65536
    will: Will | None = None

    @property
    def address(self) -> str:
        """Where the broker is, for people."""
        return self.unix_path or f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter to subscribe to at QoS 1; `no_local` leaves out what the bridge itself publishes."""

    topic_filter: str
    no_local: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One PUBLISH of the broker.

    Attributes:
        topic: where it was published.
        payload: its body.
        retain: on MQTT 5, and on 3.1.1 where the broker honours bridge mode: whether it was published with
            retain set, live or stored; else only whether it was stored.
        dup: whether the broker may have delivered it before.
        packet_id: its identifier in this session until it is acknowledged; 0 if it was published at QoS 0.
        response_topic: where the sender wants the reply.
        correlation_data: what the sender wants in the reply.
        expires_in: what remains of its Message Expiry, in seconds.
        generation: of the connection that brought it.
        received: when it was read, by anyio's clock in seconds.
    """

    topic: str
    payload: bytes = field(repr=False)
    retain: bool
    dup: bool
    packet_id: int
    generation: int
    response_topic: str | None = None
    correlation_data: bytes | None = field(default=None, repr=False)
    expires_in: int | None = None
    received: float = field(default_factory=anyio.current_time)


@dataclass(frozen=True, slots=True)
class PublishProperties:
    """What goes with a message on MQTT 5 and is left out on 3.1.1; `message_expiry` in seconds."""

    content_type: str | None = None
    correlation_data: bytes | None = field(default=None, repr=False)
    message_expiry: int | None = None
    user: tuple[tuple[str, str], ...] = ()
