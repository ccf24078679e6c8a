"""The demo itself: runs the scenes against a whole bridge and shows what goes over MQTT."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import anyio

from bridge.app import running
from bridge.config import load
from bridge.demo.broker import LOOPBACK, embedded_broker
from bridge.demo.scenes import BACK, FRONT, SCENES, Scene, kind_of
from bridge.lifecycle import Bridge
from bridge.mqtt.broker import Settings, Subscription
from bridge.mqtt.connection import Connection
from drivers.virtual.lock import VirtualLock

BASE = "lockbridge/demo"
SCENE_TIME = 20.0
"""Seconds after which a scene that did not come to its end has failed."""

_CONFIG = """
[bridge]
id = "demo"
state_dir = "state"
trust_clock = "always"
[mqtt]
url = "mqtt://{host}:{port}"
protocol = "3.1.1"
[http]
socket = "api.sock"
[bluetooth]
radio = "virtual"
[[locks]]
id = "{front}"
name = "Front door"
driver = "nuki"
[[locks]]
id = "{back}"
name = "Back door"
driver = "nuki"
"""


class Screen(Protocol):
    """Where the demo is shown."""

    def scene(self, scene: Scene, topic: str) -> None:
        """Show what is asked."""

    def message(self, topic: str, body: dict[str, Any]) -> None:
        """Show what the bridge published."""

    def farewell(self, port: int, *, keep: bool) -> None:
        """Show how to go on."""


async def run(screen: Screen, *, keep: bool) -> None:
    """Run the demo; with `keep` it goes on until it is interrupted.

    Raises:
        TimeoutError: a scene did not come to its end.
    """
    with TemporaryDirectory(prefix="lock-bridge-demo-") as folder:
        async with embedded_broker() as port:
            file = Path(folder) / "config.toml"
            file.write_text(_CONFIG.format(host=LOOPBACK, port=port, front=FRONT, back=BACK))
            (Path(folder) / "state").mkdir()
            async with running(load(file, environ={})) as bridge:
                settings = Settings(client_id="lock-bridge-demo", host=LOOPBACK, port=port, protocol=4)
                connection = await Connection.open(settings, generation=0, clean=True)
                await connection.run(lambda open_: _watch(open_, bridge, screen))
                screen.farewell(port, keep=keep)
                if keep:
                    await anyio.sleep_forever()


async def _watch(connection: Connection, bridge: Bridge, screen: Screen) -> None:
    await connection.subscribe([Subscription(f"{BASE}/locks/+/actions/reply"), Subscription(f"{BASE}/events/+/+")])
    for scene in SCENES:
        await _play(connection, scene, screen, bridge.twins[scene.lock_id])


async def _play(connection: Connection, scene: Scene, screen: Screen, twin: VirtualLock) -> None:
    if scene.prelude is not None:
        scene.prelude(twin)
    topic = f"{BASE}/locks/{scene.lock_id}/actions"
    screen.scene(scene, topic)
    connection.send(topic, json.dumps(scene.command).encode())
    with anyio.fail_after(SCENE_TIME):
        async for message in connection.messages:
            connection.ack(message)
            screen.message(message.topic, json.loads(message.payload))
            if kind_of(message.topic) == scene.awaited:
                return
