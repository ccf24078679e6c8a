"""An upstream system: sends commands to the bridge `g1` and keeps all that the bridge says. Nothing of the bridge's."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio.to_thread
from paho.mqtt.client import Client, MQTTMessage, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from types import TracebackType

T = TypeVar("T")

BASE = "lockbridge/g1"
PATIENCE = 20.0
"""Seconds for which something is waited for."""
LATEST = 100
"""Messages that are shown where something did not come."""


@dataclass(frozen=True)
class Heard:
    """A message as it came; `at` is the monotonic time of its arrival."""

    topic: str
    payload: bytes
    retain: bool
    content_type: str | None
    correlation: bytes | None
    user: dict[str, str]
    at: float = field(default_factory=time.monotonic)

    @property
    def body(self) -> Any:
        """What the payload says."""
        return json.loads(self.payload)


class Upstream:
    """A client with a thread of its own, subscribed to everything below `lockbridge/` (and to `also`) at QoS 1.

    Args:
        port: the broker's.
        version: of MQTT.
        also: further topic filters.
        session: the name under which the broker keeps its subscriptions while it or the broker is away.
        login: its name and password.
        tls: speaks TLS by this context.
    """

    def __init__(
        self,
        port: int,
        *,
        version: str = "5",
        also: Sequence[str] = (),
        session: str | None = None,
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.heard: list[Heard] = []
        self._port = port
        self._five = version == "5"
        self._filters = ["lockbridge/#", *also]
        protocol = MQTTProtocolVersion.MQTTv5 if self._five else MQTTProtocolVersion.MQTTv311
        self._keep = session is not None
        self._client = Client(CallbackAPIVersion.VERSION2, session or "", protocol=protocol)
        self._client.reconnect_delay_set(1, 1)
        if login is not None:
            self._client.username_pw_set(*login)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()

    async def __aenter__(self) -> Self:
        options: dict[str, Any] = {}
        if self._five:
            options["properties"] = Properties(PacketTypes.CONNECT)
            options["properties"].SessionExpiryInterval = 3600 if self._keep else 0
            options["clean_start"] = not self._keep
        await anyio.to_thread.run_sync(partial(self._client.connect, "127.0.0.1", self._port, **options))
        self._client.loop_start()
        assert await anyio.to_thread.run_sync(self._subscribed.wait, PATIENCE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            self._client.disconnect()
            await anyio.to_thread.run_sync(self._client.loop_stop)
        self._client._reset_sockets()  # paho leaves the sockets that wake its thread to the garbage collector

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, wait: bool = True, **properties: Any
    ) -> None:
        """Publish at QoS 1, by default returning after the PUBACK; properties by paho's names."""
        extra = None
        if self._five:
            extra = Properties(PacketTypes.PUBLISH)
            for name, value in properties.items():
                setattr(extra, name, value)
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=extra)
        if wait:
            await anyio.to_thread.run_sync(info.wait_for_publish, PATIENCE)
            assert info.is_published()

    async def command(self, lock_id: str, body: object, **options: Any) -> None:
        """Send a command; `body` as it is if it is bytes, else as JSON."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.publish(f"{BASE}/locks/{lock_id}/actions", payload, **options)

    async def until(self, find: Callable[[], T], patience: float = PATIENCE) -> T:
        """Return what `find` finds, called with each message, once it is anything."""
        found = await anyio.to_thread.run_sync(self._wait_for, find, patience)
        latest = [(message.topic, message.payload[:200]) for message in self.heard[-LATEST:]]
        assert found, f"not among {len(self.heard)} messages, the latest of them: {latest}"
        return found

    def on(self, topic_filter: str) -> list[Heard]:
        """Return what came on topics below the base, in order."""
        return [message for message in self.heard if topic_matches_sub(f"{BASE}/{topic_filter}", message.topic)]

    async def first(self, topic_filter: str, number: int = 1, **fields: object) -> Heard:
        """Return the message of this number, on topics below the base, whose JSON has these fields."""
        return (await self.until(lambda: self.having(topic_filter, **fields)[number - 1 :]))[0]

    def having(self, topic_filter: str, **fields: object) -> list[Heard]:
        """Return the messages on topics below the base whose JSON has these fields, in order."""
        return [
            message
            for message in self.on(topic_filter)
            if all(message.body.get(name) == value for name, value in fields.items())
        ]

    async def reply(self, lock_id: str, number: int = 1, **fields: object) -> Heard:
        """Return the reply of this number on the lock's default reply topic that has these fields."""
        return await self.first(f"locks/{lock_id}/actions/reply", number, **fields)

    async def completed(self, action_id: str) -> dict[str, Any]:
        """Return the event that tells an action's end."""
        event = await self.first("events/lock.action_completed/+", action_id=action_id)
        return dict(event.body)

    def _wait_for(self, find: Callable[[], T], patience: float) -> T:
        with self._changed:
            return self._changed.wait_for(find, patience)

    def _on_connect(self, client: Client, *_: object) -> None:
        if self._five:
            options = SubscribeOptions(qos=1, retainAsPublished=True)
            client.subscribe([(topic_filter, options) for topic_filter in self._filters])
        else:
            client.subscribe([(topic_filter, 1) for topic_filter in self._filters])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        properties = getattr(message, "properties", None)
        heard = Heard(
            message.topic,
            message.payload,
            message.retain,
            getattr(properties, "ContentType", None),
            getattr(properties, "CorrelationData", None),
            dict(getattr(properties, "UserProperty", [])),
        )
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()
