"""P1, P2 and P5 over a network that cuts the connection before or after any packet of a command's exchange.

A sweep cuts at the first packet, then at the second, and so on until the exchange is shorter than that. The sender
does as it should: it repeats its command, with the same `custom_id`, until it is answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.support import mqtt_wire as wire
from tests.support.daemon import configuration
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.proxy import Proxy, proxy
from tests.support.whole_bridge import bridge

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge

LOCK = "front_door"
QUICK = "[locks.virtual]\nmotor_time = 0"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@dataclass
class Cut:
    """Cuts a connection once, before or after the packet of a number, counted from the first of a kind."""

    number: int
    how: str
    begins: tuple[str, int]
    passed: list[tuple[str, int]] = field(default_factory=list)
    done: bool = False

    def fate(self, direction, kind):
        if self.passed or (direction, kind) == self.begins:
            self.passed.append((direction, kind))
        if self.done or len(self.passed) <= self.number:
            return "pass"
        self.done = True
        return self.how


@dataclass
class Scene:
    """A sender, a bridge, and the network between them."""

    upstream: Upstream
    bridge: Bridge
    between: Proxy
    version: str
    action_ids: list[str] = field(default_factory=list)

    def next_command(self) -> dict[str, str]:
        """Return a command that moves the bolt, once those before it have."""
        number = len(self.action_ids)
        return {"action": ("unlock", "lock")[number % 2], "custom_id": f"c{number}"}

    async def perform(self) -> None:
        """Give the next command until it is answered, and wait until all is told."""
        command = self.next_command()
        reply: list[dict[str, str]] = []
        while not reply:
            await self.send(command)
            with anyio.move_on_after(0.3):
                await eventually(lambda: self.replies(command))
            reply = self.replies(command)
        self.action_ids.append(reply[0]["action_id"])
        await self.upstream.completed(self.action_ids[-1])
        await eventually(lambda: not self.unsent())

    async def send(self, command: dict[str, str]) -> None:
        expiry = {"MessageExpiryInterval": 50} if self.version == "5" else {}
        await self.upstream.command(LOCK, command, **expiry)

    def replies(self, command: dict[str, str]) -> list[dict[str, str]]:
        return [each.body for each in self.upstream.having(f"locks/{LOCK}/actions/reply", **command)]

    def unsent(self) -> list[object]:
        return self.bridge.journal._store._connection.execute("SELECT 1 FROM event WHERE sent = 0").fetchall()

    def check(self) -> None:
        """Each command moved the bolt once, and has one outcome however often that was told."""
        assert [movement.tag.decode() for movement in self.bridge.twins[LOCK].movements] == self.action_ids
        told: dict[str, dict[str, set[bytes]]] = {}
        for event in self.upstream.on("events/+/+"):
            kinds = told.setdefault(event.body["action_attempt_id"], {})
            kinds.setdefault(event.body["event_type"], set()).add(event.payload)
        assert len(told) == len(self.action_ids)
        for number, kinds in enumerate(told.values()):
            action, end = (("unlock", "unlocked"), ("lock", "locked"))[number % 2]
            assert list(kinds) == ["lock.action_completed", f"action_attempt.{action}_door.succeeded", f"lock.{end}"]
            assert [len(payloads) for payloads in kinds.values()] == [1, 1, 1]


@pytest.fixture
async def scene(broker: Mosquitto, tmp_path, request):
    version = request.param
    tables = {"mqtt": f'protocol = "{version}"', "commands": "rate_limit = 0", "homeassistant": "discovery = false"}
    async with (
        Upstream(broker.port, version=version) as upstream,
        proxy(broker.port) as between,
        bridge(tmp_path, configuration(between.port, LOCK, lock=QUICK, **tables)) as running,
    ):
        await upstream.first(f"locks/{LOCK}/state", lock_state="locked")
        yield Scene(upstream, running, between, version)


versions = pytest.mark.parametrize("scene", ["5", "3.1.1"], indirect=True)


@versions
@pytest.mark.parametrize("how", ["cut before", "cut after"])
async def test_p1_p2_p5_a_cut_at_any_packet_of_the_exchange_loses_and_doubles_nothing(scene: Scene, how):
    met = set()
    for number in range(100):
        cut = Cut(number, how, ("down", wire.PUBLISH))
        scene.between.fate = cut.fate
        await scene.perform()
        if not cut.done:
            break
        met.add(cut.passed[number])
    else:
        raise AssertionError("the exchange has no end")
    assert number >= 12  # the command, its reply, three events and the state, and the PUBACK of each
    assert met >= {("down", wire.PUBLISH), ("up", wire.PUBLISH), ("up", wire.PUBACK), ("down", wire.PUBACK)}
    scene.check()
    await scene.upstream.first(f"locks/{LOCK}/state", lock_state=("locked", "unlocked")[len(scene.action_ids) % 2])


@versions
async def test_p1_p2_p5_a_cut_at_any_packet_of_coming_back_loses_and_doubles_nothing(scene: Scene):
    """A command waits meanwhile: in the broker's session (MQTT 5), or for its sender to repeat it (3.1.1)."""
    met = set()
    for number in range(100):
        scene.between.shut = True
        scene.between.cut()
        await scene.send(scene.next_command())
        cut = Cut(number, "cut before", ("up", wire.CONNECT))
        scene.between.fate = cut.fate
        scene.between.shut = False
        await scene.perform()
        if not cut.done:
            break
        met.add(cut.passed[number])
    else:
        raise AssertionError("the exchange has no end")
    assert met >= {("up", wire.CONNECT), ("down", wire.CONNACK), ("up", wire.SUBSCRIBE), ("down", wire.SUBACK)}
    scene.check()
