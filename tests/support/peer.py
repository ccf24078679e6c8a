"""Whoever talks to the bridge through the broker: a paho client with a thread of its own, nothing of the bridge's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import anyio
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

if TYPE_CHECKING:
    from types import TracebackType


class Peer:
    """An MQTT 5 client at a loopback port."""

    def __init__(self, port: int) -> None:
        self.received: list[MQTTMessage] = []
        self._port = port
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._subscribed = threading.Event()
        self._changed = threading.Condition()
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._client.connect, "127.0.0.1", self._port)
        self._client.loop_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._client.disconnect)
            await anyio.to_thread.run_sync(self._client.loop_stop)
        self._client._reset_sockets()  # paho leaves the sockets that wake its thread to the garbage collector

    async def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False, **properties: Any) -> None:
        """Publish at QoS 1 and return after the PUBACK; properties by paho's names."""
        extra = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(extra, name, value)
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=extra)
        await anyio.to_thread.run_sync(info.wait_for_publish, 5)
        assert info.is_published()

    async def subscribe(self, topic_filter: str) -> None:
        """Subscribe at QoS 1, seeing retain as it was published."""
        self._subscribed.clear()
        self._client.subscribe(topic_filter, options=SubscribeOptions(qos=1, retainAsPublished=True))
        assert await anyio.to_thread.run_sync(self._subscribed.wait, 5)

    async def expect(self, count: int = 1) -> list[MQTTMessage]:
        """Return the messages received so far once there are that many."""
        assert await anyio.to_thread.run_sync(self._wait_for, count), f"only {len(self.received)} of {count}"
        return self.received

    def _wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.received) >= count, 5)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with self._changed:
            self.received.append(message)
            self._changed.notify_all()
