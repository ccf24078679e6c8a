"""Paho, reduced to what a connection needs of it: a codec with a keepalive, over a socket that is open already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge.mqtt import properties
from bridge.mqtt.broker import Message, PublishRefused, SubscribeRefused

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from paho.mqtt.client import MQTTMessage, SocketLike

    from bridge.mqtt.broker import Settings, Subscription

VERSION_5: Literal[5] = 5

_MAX_IN_FLIGHT = 64  # where the broker agrees to more, or names no limit
_MAX_PACKET = 268_435_455  # MQTT 5.0, section 1.5.5


class Packed(Properties):
    """A set of properties that is bytes already; paho only ever packs what it sends."""

    def __init__(self, packed: bytes) -> None:
        object.__setattr__(self, "packed", packed)

    def __str__(self) -> str:
        """Return the length; paho asks when something listens to its log."""
        return f"[{len(self.pack())} bytes]"

    def pack(self) -> bytes:
        """Return the bytes."""
        packed: bytes = object.__getattribute__(self, "packed")
        return packed


@dataclass(frozen=True, slots=True)
class Terms:
    """What the broker said in its CONNACK: the highest QoS, packets in flight, bytes, retain, the session's time."""

    quality: int
    in_flight: int
    packet_size: int
    retain: bool
    session_expiry: int | None = None
    """Seconds for which it keeps the session, where that is not what was asked for."""

    @classmethod
    def of(cls, properties: Properties | None) -> Terms:
        """Return the terms, with MQTT's defaults for what is not said (MQTT 3.1.1 says nothing)."""
        return cls(
            quality=getattr(properties, "MaximumQoS", 2),
            in_flight=min(getattr(properties, "ReceiveMaximum", _MAX_IN_FLIGHT), _MAX_IN_FLIGHT),
            packet_size=getattr(properties, "MaximumPacketSize", _MAX_PACKET),
            retain=bool(getattr(properties, "RetainAvailable", 1)),
            session_expiry=getattr(properties, "SessionExpiryInterval", None),
        )

    def check(self, *, length: int, retain: bool) -> None:
        """Check a PUBLISH of so many bytes, which the broker would answer by hanging up.

        Raises:
            PublishRefused: it is not within the terms.
        """
        if length > self.packet_size:
            raise PublishRefused("Packet too large")
        if retain and not self.retain:
            raise PublishRefused("Retain not supported")


def message_of(message: MQTTMessage, generation: int) -> Message:
    """Return a PUBLISH as a message.

    Raises:
        UnicodeDecodeError: its topic is not UTF-8.
    """
    return Message(
        topic=message.topic,
        payload=bytes(message.payload),
        retain=bool(message.retain),
        dup=bool(message.dup),
        packet_id=message.mid,
        generation=generation,
        response_topic=getattr(message.properties, "ResponseTopic", None),
        correlation_data=getattr(message.properties, "CorrelationData", None),
        expires_in=getattr(message.properties, "MessageExpiryInterval", None),
    )


class PahoClient(Client):
    """A paho client for one connection; it opens no socket, starts no thread and acknowledges nothing by itself."""

    def __init__(self, settings: Settings, sock: socket.socket, *, bridge_mode: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=MQTTProtocolVersion(settings.protocol),
            reconnect_on_failure=False,  # or it would try MQTT 3.1 by itself
            manual_ack=True,
        )
        self._settings = settings
        self._connected_socket = sock
        self.max_inflight_messages = 0  # no limit: the connection keeps the window
        self.on_socket_register_write = _leave_writing_to_the_connection
        if bridge_mode:
            self.enable_bridge_mode()
        if settings.username is not None:
            self.username_pw_set(settings.username, settings.password)
        if (will := settings.will) is not None:
            delay = Packed(properties.of_will(delay=will.delay)) if self.version_5 else None
            self.will_set(will.topic, will.payload, qos=1, retain=True, properties=delay)

    @property
    def version_5(self) -> bool:
        """Whether it speaks MQTT 5, not 3.1.1."""
        return self._settings.protocol == VERSION_5

    def queue_connect(self, *, clean: bool) -> None:
        """Queue a CONNECT; on MQTT 3.1.1 the session is always a clean one."""
        settings = self._settings
        where = (settings.host or "localhost", settings.port or 1, settings.keepalive)
        if not self.version_5:
            self.connect(*where)
            return
        agreed = properties.of_connect(
            session_expiry=settings.session_expiry,
            receive_maximum=settings.receive_maximum,
            maximum_packet_size=settings.maximum_packet_size,
        )
        self.connect(*where, clean_start=clean, properties=Packed(agreed))

    def queue_subscribe(self, subscriptions: Sequence[Subscription]) -> int | None:
        """Queue a SUBSCRIBE at QoS 1 and return its packet identifier; none if there is no connection.

        Raises:
            SubscribeRefused: not a topic filter.
        """
        for one in subscriptions:
            if self._filter_wildcard_len_check(one.topic_filter.encode()) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise SubscribeRefused(one.topic_filter, "not a topic filter")
        if self.version_5:
            _, packet_id = self.subscribe([(one.topic_filter, _options(one)) for one in subscriptions])
        else:
            _, packet_id = self.subscribe([(one.topic_filter, 1) for one in subscriptions])
        return packet_id

    def queue_publish(self, topic: str, payload: bytes, *, retain: bool, packed: bytes) -> int:
        """Queue a PUBLISH at QoS 1 and return its packet identifier, one that is not in use."""
        extra = Packed(packed) if self.version_5 else None
        while True:
            sent = self.publish(topic, payload, qos=1, retain=retain, properties=extra)
            if sent.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                return sent.mid

    def _create_socket(self) -> SocketLike:
        return cast("SocketLike", self._connected_socket)


def _options(subscription: Subscription) -> SubscribeOptions:
    """No stored retained messages, and the retain flag as it was published."""
    return SubscribeOptions(
        qos=1,
        noLocal=subscription.no_local,
        retainAsPublished=True,
        retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND,
    )


def _leave_writing_to_the_connection(_client: Client, _userdata: object, _socket: object) -> None:
    """Do nothing; without such a callback paho writes by itself whenever it queues something."""
