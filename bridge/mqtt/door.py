"""What the bridge does with a connection to the broker, from the first subscription to the farewell."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import anyio
import structlog

from bridge import __version__
from bridge.clock import Clock
from bridge.model import Event
from bridge.mqtt.announcements import Announcements
from bridge.mqtt.broker import PublishProperties, PublishRefused, SubscribeRefused, Subscription, Will
from bridge.mqtt.connection import Connection
from bridge.mqtt.desk import Desk
from bridge.mqtt.inbox import Barrier, Inbox
from bridge.mqtt.topics import Topics
from bridge.outbox import Delivery, Outbox
from bridge.questions import Questions
from bridge.tasks import Tasks
from bridge.wire import text
from bridge.wire.state import Device, Status

log = structlog.get_logger()

WILL_DELAY = 10
"""Seconds for which the bridge may be gone before the broker says so."""


class Announcer:
    """Says whether the bridge is there, and which run of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoch = secrets.token_hex(8)
        self._started = clock.boottime()

    def status(self, *, online: bool) -> bytes:
        """Return the status as it is retained."""
        status: Status = {
            "online": online,
            "timestamp": int(self._clock.wall().timestamp() * 1000),
            "version": __version__,
            "session": {
                "epoch": self._epoch,
                "uptime_s": int(self._clock.boottime() - self._started),
                "clock_trusted": self._clock.trusted(),
            },
        }
        return text.encode(status)

    def will(self, topics: Topics) -> Will:
        """Return what the broker is to say when the bridge is gone without a word."""
        return Will(topics.status, self.status(online=False), WILL_DELAY)


@dataclass(frozen=True, slots=True)
class Door:
    """The MQTT door: serves one connection after another."""

    topics: Topics
    inbox: Inbox
    questions: Questions
    tasks: Tasks
    outbox: Outbox
    announcer: Announcer
    clock: Clock
    announcements: Announcements
    barrier_limit: float
    """Seconds after which nothing that the broker had queued can still be on its way."""
    opened: anyio.Event = field(default_factory=anyio.Event)
    """Set once commands can come: on the first connection, after its subscriptions."""

    async def serve(self, connection: Connection) -> None:
        """Use a connection until it ends or the bridge stops; then say that the bridge is gone."""
        barrier = self._barrier(connection)
        desk = Desk(connection, self.topics, self.questions, self.tasks)
        try:
            await self.inbox.begin(barrier)
            async with anyio.create_task_group() as group:
                group.start_soon(self.inbox.serve, connection, barrier, desk)
                group.start_soon(desk.run)
                await connection.subscribe(
                    [Subscription(self.topics.actions, no_local=True), Subscription(self.topics.barriers)]
                )
                if barrier is not None:
                    _send(connection, self.topics.barrier(barrier.mark), b"")
                await self._hear_questions(connection)
                _send(connection, self.topics.status, self.announcer.status(online=True), retain=True)
                self.opened.set()
                gone = await self.announcements.remember()
                told = self.announcements.announce(connection)
                group.start_soon(self.announcements.take_back, connection, gone)
                group.start_soon(self.announcements.announce_more, connection, told)
                await self.outbox.serve(_Publisher(connection, self.topics))
        finally:
            _send(connection, self.topics.status, self.announcer.status(online=False), retain=True)

    async def _hear_questions(self, connection: Connection) -> None:
        """Subscribe to questions; a broker whose access list knows of none still brings commands."""
        try:
            await connection.subscribe([Subscription(topic, no_local=True) for topic in self.topics.rpc])
        except SubscribeRefused as error:
            log.warning("questions cannot be asked", topic=error.topic_filter, reason=str(error))

    def _barrier(self, connection: Connection) -> Barrier | None:
        if not connection.session_present:
            return None
        return Barrier(secrets.token_hex(8), self.clock.boottime() + self.barrier_limit)


@dataclass(frozen=True, slots=True)
class _Publisher:
    """Events and states as MQTT messages."""

    connection: Connection
    topics: Topics

    def event(self, event: Event) -> Delivery:
        user = [("event_id", str(event.event_id)), ("seq", str(event.seq)), ("schema", event.event_type)]
        if event.attempt_id is not None:
            user.append(("action_attempt_id", str(event.attempt_id)))
        if event.custom_id is not None:
            user.append(("custom_id", event.custom_id))
        topic = self.topics.event(event.event_type, event.lock_id)
        properties = PublishProperties(content_type="application/json", user=tuple(user))
        return self.connection.begin(topic, text.encode(event.body), properties=properties)

    def state(self, device: Device) -> None:
        _send(self.connection, self.topics.state(device["lock_id"]), text.encode(device), retain=True)


def _send(connection: Connection, topic: str, payload: bytes, *, retain: bool = False) -> None:
    try:
        connection.send(topic, payload, retain=retain, properties=PublishProperties(content_type="application/json"))
    except PublishRefused as error:
        log.warning("message not sent", topic=topic, reason=error.reason)
