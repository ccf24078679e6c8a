"""One connection to the broker: one paho client, used once, driven by anyio.

Rules:
1. A paho client lives for one connection: nothing that it remembers can be sent twice or acknowledge what came later.
2. Nothing is acknowledged but by `ack`, and only what this very connection has brought.
3. At most as many messages are in flight as the broker has agreed to take; the rest waits here, in order.
4. Paho's callbacks run inside its lock: they note what happened and neither read, write nor wait.
5. Whatever ends the connection passes through `_end`, once; whoever waits on it is told there.

Theory of operation: paho encodes, decodes and watches the keepalive. Whoever queues a packet writes it at once
(`_flush`), without waiting for a turn of the loop; the writer task helps only when the socket is full. The reader lets
paho read, moves what waits into the window that PUBACKs have opened, and hands messages on. On leaving, the pumps
outlive the cancellation of everything else for as long as it takes to publish what is queued and to say DISCONNECT.
"""

from __future__ import annotations

import ssl
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import anyio
import structlog
from paho.mqtt.enums import LogLevel

from bridge.mqtt import properties as encode
from bridge.mqtt.broker import (
    BrokerRefused,
    BrokerUnreachable,
    ConnectionLost,
    HandshakeFailed,
    Message,
    Misspoken,
    PublishRefused,
    SubscribeRefused,
)
from bridge.mqtt.client import PahoClient, Terms, message_of
from bridge.mqtt.delivery import Delivery
from bridge.mqtt.dial import dial
from bridge.mqtt.window import Outgoing, Request, Window

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.streams.memory import MemoryObjectReceiveStream
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from bridge.mqtt.broker import PublishProperties, Settings, Subscription

CONNECT_TIMEOUT = 10.0
"""Seconds from the name lookup to the CONNACK."""

CLOSE_TIMEOUT = 2.0
"""Seconds for what is still queued and for the DISCONNECT."""

_BUFFERED_MESSAGES = 1024  # more than a session has in flight; only a flood at QoS 0 is slowed down by it
_PROTOCOL_ERROR = "Protocol error"  # paho's name for whatever it cannot read
_WORDS = {
    "Unspecified error": "the connection broke",
    "Keep alive timeout": "the broker has not answered a ping",
    _PROTOCOL_ERROR: "the broker sent what cannot be read",
}

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Connection:
    """An open connection. Made by `open`; it works while `run` runs."""

    def __init__(self, settings: Settings, sock: socket.socket, generation: int, *, bridge_mode: bool) -> None:
        self.protocol: Literal[5, 4] = settings.protocol
        self.generation = generation
        self.session_present = False
        """Whether the broker has resumed the session of an earlier connection."""
        self.messages: MemoryObjectReceiveStream[Message]
        """What the broker delivers, in order. Whoever reads it must not wait for a PUBACK in between."""
        self._inbox, self.messages = anyio.create_memory_object_stream[Message](_BUFFERED_MESSAGES)
        self._settings = settings
        self._socket = sock
        self._client = PahoClient(settings, sock, bridge_mode=bridge_mode)
        self.sees_retain = self._client.version_5 or bridge_mode
        """Whether `Message.retain` also tells of a live publish, if the broker does as it is asked."""
        self.terms = Terms.of(None)
        """What the broker takes."""
        self._welcome = False
        self._refused = False
        self._paho_said = ""
        self._arrived: deque[Message] = deque()
        self._unacknowledged: set[int] = set()
        self._window = Window["ReasonCode"]()
        self._subscribing: dict[int, Request[list[ReasonCode]]] = {}
        self._blocked = anyio.Event()
        self._ended = anyio.Event()
        self._end_reason = ""
        self._misspoken = False
        self._leaving = False
        self._serving = anyio.CancelScope()
        self._pumping = anyio.CancelScope(shield=True)
        self._listen()

    def __repr__(self) -> str:
        """Return where it leads and what is under way."""
        state = "ended" if self._ended.is_set() else "open"
        waiting = f"{self._window}, unacknowledged={len(self._unacknowledged)}"
        return f"<Connection {self.generation} to {self._settings.address}: {state}, {waiting}>"

    @classmethod
    async def open(cls, settings: Settings, generation: int, *, clean: bool, bridge_mode: bool = False) -> Connection:
        """Reach the broker and exchange CONNECT and CONNACK, within `CONNECT_TIMEOUT`.

        Args:
            settings: where and how.
            generation: tells this connection from all others of this process.
            clean: begin a new session (always so on MQTT 3.1.1).
            bridge_mode: on MQTT 3.1.1, ask for the retain flag as published, which some brokers refuse.

        Raises:
            BrokerUnreachable: no connection, or no CONNACK.
            BrokerRefused: a CONNACK that says no.
        """
        try:
            with anyio.fail_after(CONNECT_TIMEOUT):
                connection = cls(settings, await dial(settings), generation, bridge_mode=bridge_mode)
                try:
                    await connection._shake_hands(clean=clean)
                except BaseException:
                    connection._close()
                    raise
                return connection
        except TimeoutError as error:
            raise BrokerUnreachable(f"no answer within {CONNECT_TIMEOUT:.0f} s") from error

    async def run(self, serve: Callable[[Connection], Awaitable[None]]) -> None:
        """Call `serve` with this connection, and leave the broker properly when it returns or is cancelled.

        Raises:
            ConnectionLost: the connection ended first; `serve` was cancelled.
        """
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._pump)
                try:
                    with self._serving:
                        await serve(self)
                finally:
                    with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                        await self._leave()
                    self._pumping.cancel()
        finally:
            self._close()
        if not self._leaving:
            raise self._loss()

    def send(
        self, topic: str, payload: bytes, *, retain: bool = False, properties: PublishProperties | None = None
    ) -> None:
        """Publish at QoS 1 without waiting, in order with all that is sent and published.

        A refusal by the broker's reason code is logged. On a connection that has ended it does nothing.

        Raises:
            PublishRefused: the broker has announced that it would not take it, or MQTT cannot say it.
        """
        self._post(self._outgoing(topic, payload, properties, retain=retain))

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, properties: PublishProperties | None = None
    ) -> None:
        """Publish at QoS 1 and return after the PUBACK. Cancelled while it waits, it may go all the same.

        Raises:
            PublishRefused: as `send`, or by the broker's reason code (MQTT 5).
            ConnectionLost: before the PUBACK; it may have arrived or not.
        """
        delivery = self.begin(topic, payload, retain=retain, properties=properties)
        if not await delivery.taken() and delivery.refusal is not None:
            raise delivery.refusal

    def begin(
        self, topic: str, payload: bytes, *, retain: bool = False, properties: PublishProperties | None = None
    ) -> Delivery:
        """Publish at QoS 1, in order, and return what tells whether the broker took it."""
        try:
            outgoing = self._outgoing(topic, payload, properties, retain=retain)
        except PublishRefused as error:
            return Delivery(None, self._loss, error)
        self._post(outgoing)
        return Delivery(outgoing, self._loss)

    async def subscribe(self, filters: Sequence[Subscription]) -> None:
        """Subscribe at QoS 1; on MQTT 5 without stored retained messages, and with retain as it was published.

        Raises:
            SubscribeRefused: the broker does not grant one of them, or only at QoS 0.
            ConnectionLost: before the SUBACK.
        """
        packet_id = self._client.queue_subscribe(filters)
        if packet_id is None:
            raise self._loss()
        request = self._subscribing[packet_id] = Request()
        self._flush()
        codes = await request.wait()
        if codes is None:
            raise self._loss()
        for subscription, code in zip(filters, codes, strict=False):
            if code.value != 1:
                reason = str(code) if code.is_failure else "granted at QoS 0 only"
                raise SubscribeRefused(subscription.topic_filter, reason)

    def ack(self, message: Message) -> None:
        """Acknowledge a message, so that the broker forgets it. One that another connection brought is left alone."""
        if message.generation == self.generation and message.packet_id in self._unacknowledged:
            self._unacknowledged.discard(message.packet_id)
            self._client.ack(message.packet_id, qos=1)
            self._flush()

    def _outgoing(
        self, topic: str, payload: bytes, properties: PublishProperties | None, *, retain: bool
    ) -> Outgoing[ReasonCode]:
        packed = b""
        if self._client.version_5:
            packed = encode.EMPTY if properties is None else encode.of_publish(properties)
        length = encode.length_of_publish(encode.topic_name(topic), payload, packed)
        self.terms.check(length=length, retain=retain)
        return Outgoing(topic, payload, packed, retain=retain)

    def _post(self, outgoing: Outgoing[ReasonCode]) -> None:
        if self._ended.is_set():
            outgoing.finish()
        else:
            self._window.put(outgoing)
            self._fill_window()
            self._flush()

    def _fill_window(self) -> None:
        while (one := self._window.take()) is not None:
            packet_id = self._client.queue_publish(one.topic, one.payload, retain=one.retain, packed=one.packed)
            self._window.sent(packet_id, one)

    def _flush(self) -> None:
        self._client.loop_write()
        if self._client.want_write():
            self._blocked.set()

    async def _shake_hands(self, *, clean: bool) -> None:
        self._client.queue_connect(clean=clean)
        self._client.on_log = self._on_log
        while not self._welcome and not self._ended.is_set():
            if self._client.want_write():
                await anyio.wait_writable(self._socket)
                self._client.loop_write()
            else:
                await self._readable()
                self._client.loop_read()
        self._client.on_log = None
        if self._refused:
            raise BrokerRefused(self._end_reason)
        if not self._welcome:
            raise HandshakeFailed(self._paho_said or self._end_reason, refused_level=self._misspoken)

    async def _pump(self) -> None:
        with self._pumping:
            async with anyio.create_task_group() as group:
                group.start_soon(self._read)
                group.start_soon(self._write)
                group.start_soon(self._watch)

    async def _read(self) -> None:
        with suppress(anyio.ClosedResourceError):  # the socket was closed meanwhile; `_end` knows why
            while not self._ended.is_set():
                await self._readable()
                self._client.loop_read()
                self._fill_window()
                self._flush()
                while self._arrived:
                    await self._hand_on(self._arrived.popleft())

    async def _readable(self) -> None:
        """Wait for bytes, unless TLS has some in hand: a record holds many packets, and the socket tells of it once."""
        if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            await anyio.wait_readable(self._socket)

    async def _hand_on(self, message: Message) -> None:
        with suppress(anyio.BrokenResourceError):  # nobody reads any more; not acknowledged, it will come again
            try:
                self._inbox.send_nowait(message)
            except anyio.WouldBlock:
                await self._inbox.send(message)

    async def _write(self) -> None:
        with suppress(anyio.ClosedResourceError):  # as in `_read`
            while not self._ended.is_set():
                await self._blocked.wait()
                while self._client.want_write() and not self._ended.is_set():
                    await anyio.wait_writable(self._socket)
                    self._client.loop_write()
                self._blocked = anyio.Event()

    async def _watch(self) -> None:
        while not self._ended.is_set():
            await anyio.sleep(min(1.0, max(1, self._client.keepalive) / 4))
            self._client.loop_misc()
            self._flush()

    async def _leave(self) -> None:
        for outgoing in self._window:
            await outgoing.wait()
        if not self._ended.is_set():
            self._leaving = True
            self._client.disconnect()
            self._flush()
            await self._ended.wait()

    def _end(self, reason: str, *, misspoken: bool = False) -> None:
        if self._ended.is_set():
            return
        self._end_reason, self._misspoken = reason, misspoken
        self._ended.set()
        self._window.lose_all()
        for request in self._subscribing.values():
            request.finish()
        self._serving.cancel()
        self._pumping.cancel()

    def _close(self) -> None:
        self._end("closed")
        self._client.on_socket_close = None
        self._socket.close()
        self._inbox.close()
        self.messages.close()

    def _loss(self) -> ConnectionLost:
        return (Misspoken if self._misspoken else ConnectionLost)(self._end_reason)

    def _listen(self) -> None:  # what follows is called by paho: rule 4
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_socket_close = self._on_socket_close

    def _on_connect(
        self, _client: Client, _data: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        terms = Terms.of(properties)
        self._refused = code.is_failure or terms.quality < 1
        if self._refused:
            self._end(str(code) if code.is_failure else "the broker takes QoS 0 only")
        else:
            self._welcome, self.terms = True, terms
            self.session_present = flags.session_present
            self._window.size = terms.in_flight

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        said = str(code)
        if flags.is_disconnect_packet_from_server:
            self._end(f"the broker said: {said}")
        else:
            self._end(_WORDS.get(said, said), misspoken=said == _PROTOCOL_ERROR)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            arrived = message_of(message, self.generation)
        except UnicodeDecodeError:
            self._end("the broker sent a topic that is not UTF-8", misspoken=True)
            return
        if message.qos > 1:
            self._end("the broker sent a message at QoS 2", misspoken=True)
            return
        if message.qos:
            self._unacknowledged.add(arrived.packet_id)
        self._arrived.append(arrived)

    def _on_publish(
        self, _client: Client, _data: object, packet_id: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        outgoing = self._window.answered(packet_id, code)
        if code.is_failure and not outgoing.awaited:
            _log.warning("a message was refused by the broker", topic=outgoing.topic, reason=str(code))

    def _on_subscribe(
        self, _client: Client, _data: object, packet_id: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if (request := self._subscribing.pop(packet_id, None)) is not None:
            request.finish(codes)

    def _on_socket_close(self, _client: Client, _data: object, _sock: object) -> None:
        anyio.notify_closing(self._socket)

    def _on_log(self, _client: Client, _data: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._paho_said = text
