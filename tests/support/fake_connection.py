"""A connection to a broker that is the test: what is done with it is kept in order."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from bridge.mqtt.broker import (
    ConnectionLost,
    Message,
    PublishProperties,
    PublishRefused,
    SubscribeRefused,
    Subscription,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Sent:
    """What was published."""

    topic: str
    payload: bytes
    retain: bool
    properties: PublishProperties | None

    @property
    def body(self) -> Any:
        return json.loads(self.payload)


@dataclass(frozen=True)
class Acked:
    """What was acknowledged."""

    packet_id: int


@dataclass
class FakeDelivery:
    """A message on its way; the test answers it unless the connection does."""

    sent: Sent
    answer: bool | None = None
    lost: bool = False
    _answered: anyio.Event = field(default_factory=anyio.Event)

    @property
    def finished(self) -> bool:
        return self._answered.is_set()

    def settle(self, *, taken: bool) -> None:
        self.answer = taken
        self._answered.set()

    def lose(self) -> None:
        self.lost = True
        self._answered.set()

    async def taken(self) -> bool:
        await self._answered.wait()
        if self.lost:
            raise ConnectionLost("cut")
        return bool(self.answer)


class FakeConnection:
    """As much of `bridge.mqtt.connection.Connection` as the door uses.

    Attributes:
        done: everything sent and acknowledged, in order.
        puback: tells for each event whether the broker takes it; None leaves that to `deliveries`.
        refused: topics that are refused at once.
        denied: topic filters that are not granted.
    """

    def __init__(self, *, session_present: bool = False, generation: int = 1) -> None:
        self.session_present = session_present
        self.generation = generation
        self.done: list[Sent | Acked] = []
        self.subscriptions: list[Subscription] = []
        self.deliveries: list[FakeDelivery] = []
        self.puback: Callable[[Sent], bool | None] = lambda _sent: True
        self.refused: set[str] = set()
        self.denied: set[str] = set()
        self.scope = anyio.CancelScope()
        self._packets = 0
        self._inbox, self.messages = anyio.create_memory_object_stream[Message](math.inf)

    def deliver(self, topic: str, payload: bytes | dict[str, Any], **fields: Any) -> int:
        """Have the broker deliver a message at QoS 1; returns its packet identifier."""
        self._packets += 1
        known = {"retain": False, "dup": False, "packet_id": self._packets, "generation": self.generation}
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        message = Message(topic=topic, payload=data, **(known | fields))
        self._inbox.send_nowait(message)
        return message.packet_id

    def __enter__(self) -> None:
        self.scope.__enter__()

    def close(self) -> None:
        self._inbox.close()
        self.messages.close()

    def __exit__(self, *error) -> bool | None:
        self.close()
        return self.scope.__exit__(*error)

    def lose(self) -> None:
        """End the connection."""
        for delivery in self.deliveries:
            if not delivery.finished:
                delivery.lose()
        self.scope.cancel()

    async def subscribe(self, filters: Sequence[Subscription]) -> None:
        await anyio.lowlevel.checkpoint()
        for each in filters:
            if each.topic_filter in self.denied:
                raise SubscribeRefused(each.topic_filter, "Not authorized")
        self.subscriptions += filters

    def send(self, topic: str, payload: bytes, *, retain: bool = False, properties=None) -> None:
        if topic in self.refused:
            raise PublishRefused("no")
        self.done.append(Sent(topic, payload, retain, properties))

    def begin(self, topic: str, payload: bytes, *, retain: bool = False, properties=None) -> FakeDelivery:
        sent = Sent(topic, payload, retain, properties)
        self.done.append(sent)
        delivery = FakeDelivery(sent)
        self.deliveries.append(delivery)
        answer = self.puback(sent)
        if answer is not None:
            delivery.settle(taken=answer)
        return delivery

    def ack(self, message: Message) -> None:
        self.done.append(Acked(message.packet_id))

    def on(self, *prefixes: str) -> list[Sent]:
        """Return what was published below one of the prefixes, in order."""
        return [one for one in self.done if isinstance(one, Sent) and one.topic.startswith(prefixes)]

    @property
    def acked(self) -> list[int]:
        return [one.packet_id for one in self.done if isinstance(one, Acked)]


class FakeSession:
    """As much of `bridge.mqtt.session.Session` as the bridge uses: connected when the test says so."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[FakeConnection](math.inf)

    def connect(self, connection: FakeConnection) -> None:
        self._send.send_nowait(connection)

    async def run(self, serve, *, task_status=anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        try:
            async for connection in self._receive:
                try:
                    with connection:
                        await serve(connection)
                except* ConnectionLost:
                    pass
        finally:
            self._close()

    def _close(self) -> None:
        """Close what was never served, too."""
        with self._send, self._receive, suppress(anyio.WouldBlock):
            while True:
                self._receive.receive_nowait().close()
