"""What comes from the broker: commands, each answered, then acknowledged, then carried out; questions, handed on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog

from bridge import crash
from bridge.clock import Clock
from bridge.dispatcher import Dispatcher, Receipt
from bridge.errors import Refused, StorageUnavailable
from bridge.mqtt.broker import ConnectionLost, Message, PublishProperties, PublishRefused
from bridge.mqtt.connection import Connection
from bridge.mqtt.desk import Desk
from bridge.mqtt.topics import Address, Topics
from bridge.policy import Message as CommandMessage
from bridge.wire import maker, text
from drivers.base import Method

log = structlog.get_logger()

NAP = 1.0
"""Seconds of suspension after which what a connection brings may be older than it says."""


@dataclass(slots=True)
class Barrier:
    """A message of the bridge to itself: what comes before it was queued while the bridge was away."""

    mark: str
    until: float
    """Boot time in seconds at which it counts as come back, should the broker not deliver it."""
    passed: bool = False


class Memory(Protocol):
    """What is remembered of earlier commands."""

    fresh: bool
    """Whether it was begun anew: it may have forgotten what the broker still has queued."""

    async def settle(self) -> None:
        """Record that nothing is queued any more that it may have forgotten.

        Raises:
            StorageUnavailable: it counts as fresh still.
        """
        ...


class Inbox:
    """Takes what the broker delivers."""

    def __init__(self, topics: Topics, dispatcher: Dispatcher, clock: Clock, memory: Memory) -> None:
        """Take what to use."""
        self._topics = topics
        self._dispatcher = dispatcher
        self._clock = clock
        self._memory = memory

    async def begin(self, barrier: Barrier | None) -> None:
        """Take note of a new connection: without a resumed session nothing waits that was sent before."""
        if barrier is None:
            await self._settle()

    async def serve(self, connection: Connection, barrier: Barrier | None, desk: Desk) -> None:
        """Take messages for as long as the connection stands.

        Args:
            connection: just opened.
            barrier: where the broker has resumed a session.
            desk: takes the questions.

        Raises:
            ConnectionLost: the machine was suspended meanwhile; what is not acknowledged comes again, as old as it is.
        """
        slept = self._slept()
        async for message in connection.messages:
            if self._slept() - slept > NAP:
                raise ConnectionLost("the machine was suspended, so what has arrived is of unknown age")
            address = self._topics.read(message.topic)
            if address is None:
                log.warning("message on an unknown topic ignored", topic=message.topic[:200])
            elif message.retain and not message.payload:
                log.debug("retained command cleared", topic=message.topic)
            elif address.kind == "barrier":
                if barrier is not None and address.name == barrier.mark:
                    barrier.passed = True
                    await self._settle()
            elif address.kind == "rpc":
                desk.take(message, address.name)
            else:
                await self._command(connection, message, address, queued=self._queued(barrier))
                continue
            connection.ack(message)

    async def _settle(self) -> None:
        """Nothing waits in the broker that was sent before the journal was begun."""
        if self._memory.fresh:
            try:
                await self._memory.settle()
            except StorageUnavailable as error:
                log.warning("the journal stays begun anew until the next connection", reason=str(error))

    def _slept(self) -> float:
        """Return for how many seconds the machine was suspended, counted from anywhere."""
        return self._clock.boottime() - anyio.current_time()

    def _queued(self, barrier: Barrier | None) -> bool:
        """Tell whether what comes now may have waited in the broker."""
        return barrier is not None and not barrier.passed and self._clock.boottime() < barrier.until

    async def _command(self, connection: Connection, message: Message, address: Address, *, queued: bool) -> None:
        reply = _Reply(connection, self._topics.action_reply(address.name), message, address.name)
        receipt: Receipt | None = None
        misdirected = self._direct(reply, message)
        try:
            receipt = await self._dispatcher.submit(
                CommandMessage(
                    lock_id=address.name,
                    payload=message.payload,
                    method=Method.REMOTE_API,
                    arrived=self._clock.boottime() - (anyio.current_time() - message.received),
                    retained=message.retain,
                    misdirected=misdirected,
                    expires_in=message.expires_in,
                    perhaps_queued=queued,
                    unremembered=queued and self._memory.fresh,
                    request_key=_request_key(message),
                    packet_key=_packet_key(message),
                    # A broker that came back from an old store delivers again and does not know that it does.
                    redelivered=message.dup or queued,
                )
            )
            reply.accepted(receipt)
        except Refused as refusal:
            reply.rejected(refusal)
        crash.point("before_puback")
        connection.ack(message)
        crash.point("after_puback")
        if receipt is not None:
            self._dispatcher.start(receipt)

    def _direct(self, reply: _Reply, message: Message) -> Refused | None:
        """Have the reply go to the command's Response Topic, or return why it may not."""
        if message.response_topic is not None:
            try:
                self._topics.check_response(message.response_topic)
            except Refused as refusal:
                return refusal
            reply.topic = message.response_topic
        return None


@dataclass(slots=True)
class _Reply:
    """The answer to one command and where it goes."""

    connection: Connection
    topic: str
    message: Message
    lock_id: str

    def accepted(self, receipt: Receipt) -> None:
        attempt = receipt.attempt
        user = [("schema", "action-accepted"), ("action_attempt_id", str(attempt.attempt_id))]
        if attempt.custom_id is not None:
            user.append(("custom_id", attempt.custom_id))
        self._send(maker.accepted(attempt, replayed=receipt.replayed), tuple(user))

    def rejected(self, refusal: Refused) -> None:
        body: dict[str, object] = dict(maker.rejected(refusal))
        if self.topic != self.message.response_topic and self.message.correlation_data is None:
            body |= maker.recognisable(self.message.payload) | {"lock_id": self.lock_id}
        self._send(body, (("schema", "action-rejected"),))

    def _send(self, body: object, user: tuple[tuple[str, str], ...]) -> None:
        properties = PublishProperties(
            content_type="application/json", correlation_data=self.message.correlation_data, user=user
        )
        try:
            self.connection.send(self.topic, text.encode(body), properties=properties)
        except PublishRefused as error:
            log.warning("reply not sent", topic=self.topic[:200], reason=error.reason)


def _request_key(message: Message) -> str | None:
    """Name the request by where its reply goes, if that is its own address."""
    if message.response_topic is None or message.correlation_data is None:
        return None
    return _digest(message.response_topic.encode(), message.correlation_data)


def _packet_key(message: Message) -> str | None:
    """Name the packet; at QoS 0 it has no identity and is not redelivered."""
    if not message.packet_id:
        return None
    return _digest(str(message.packet_id).encode(), message.topic.encode(), message.payload)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()
