"""A broker that does not let the bridge do everything: what it may do goes on, the rest is told and tried again."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager

import anyio
import pytest

from tests.support import mqtt_wire as wire
from tests.support.daemon import Daemon, configuration
from tests.support.eventually import eventually
from tests.support.fake_broker import Guest, fake_broker
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import BASE, Upstream
from tests.support.proxy import proxy

LOCK = "front_door"
QUICK = "[locks.virtual]\nmotor_time = 0"
ALL = "topic readwrite #\n"
RELOADED = "Reloading config"


@pytest.fixture
def anyio_backend():
    return "trio"


class Rules:
    """The broker's list of who may do what."""

    def __init__(self, tmp_path):
        self.file = tmp_path / "acl"
        self.file.write_text(ALL)

    async def deny(self, broker: Mosquitto, *topics: str) -> None:
        """Have the running broker take new rules: everything but these topics. It has, on return."""
        self.file.write_text("".join(f"topic deny {topic}\n" for topic in topics) + ALL)
        taken = broker.log.read_text().count(RELOADED)
        broker._process.send_signal(signal.SIGHUP)
        await eventually(lambda: broker.log.read_text().count(RELOADED) > taken)


@asynccontextmanager
async def strict(tmp_path):
    rules = Rules(tmp_path)
    async with Mosquitto(tmp_path, f"acl_file {rules.file}") as broker:
        yield broker, rules


async def unlock_or_lock(upstream: Upstream, action: str) -> None:
    await upstream.command(LOCK, {"action": action, "custom_id": action})
    await upstream.reply(LOCK, custom_id=action)


async def test_a_topic_that_is_forbidden_holds_up_no_other_and_is_told_once_it_is_allowed(tmp_path):
    """P5. The refused event is told again after a while, and at once on a new connection."""
    async with (
        strict(tmp_path) as (broker, rules),
        Upstream(broker.port) as upstream,
        proxy(broker.port) as between,
        Daemon(tmp_path, configuration(between.port, LOCK, lock=QUICK), upstream) as daemon,
    ):
        await rules.deny(broker, f"{BASE}/events/lock.action_completed/{LOCK}")
        await upstream.command("cellar", {"action": "unlock"})  # the broker has taken the rules before this
        await upstream.reply("cellar")

        await unlock_or_lock(upstream, "unlock")
        await upstream.first(f"events/lock.unlocked/{LOCK}")
        await unlock_or_lock(upstream, "lock")
        await upstream.first(f"events/lock.locked/{LOCK}")
        await upstream.first(f"locks/{LOCK}/state", 2, lock_state="locked")
        assert upstream.on("events/lock.action_completed/+") == []
        assert len(upstream.on("events/action_attempt.unlock_door.succeeded/+")) == 1
        await daemon.logged("event refused by the broker")
        assert between.connections == 1

        await rules.deny(broker)
        await upstream.command("cellar", {"action": "unlock"})
        await upstream.reply("cellar", 2)
        between.cut()
        await upstream.first("events/lock.action_completed/+", 2)
        told = [event.body["action"] for event in upstream.on("events/lock.action_completed/+")]
        assert told == ["unlock", "lock"]
        assert len(upstream.on("events/lock.unlocked/+")) == 1
        assert daemon.alive


async def test_a_bridge_whose_replies_are_forbidden_still_carries_out_and_tells(tmp_path):
    async with (
        strict(tmp_path) as (broker, rules),
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, lock=QUICK), upstream) as daemon,
    ):
        await rules.deny(broker, f"{BASE}/locks/{LOCK}/actions/reply", f"{BASE}/locks/{LOCK}/state")
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "c"})
        await upstream.first(f"events/lock.unlocked/{LOCK}")
        await daemon.logged("Not authorized")
        assert upstream.on(f"locks/{LOCK}/actions/reply") == []
        assert "Traceback" not in daemon.log


async def test_not_allowed_to_subscribe_it_says_so_and_asks_again_until_it_is(tmp_path):
    asked = 0
    served = anyio.Event()

    async def grant(guest: Guest, code: int) -> None:
        """Answer the next SUBSCRIBE with one code for whatever it asks."""
        identifier = wire.packet_id_of(await guest.hear(wire.SUBSCRIBE)).to_bytes(2)
        await guest.say(wire.packet(wire.SUBACK, identifier + bytes([0, *[code] * 8])))

    async def script(guest: Guest) -> None:
        nonlocal asked
        await guest.hear(wire.CONNECT)
        await guest.say(wire.connack())
        asked += 1
        if asked < 3:
            await grant(guest, 0x87)
            farewell = wire.packet_id_of(await guest.hear(wire.PUBLISH)).to_bytes(2)
            await guest.say(wire.packet(wire.PUBACK, farewell))
        else:
            await grant(guest, 1)
            served.set()
        await guest.wait_for_end()

    async with fake_broker(script) as port:
        daemon = Daemon(tmp_path, configuration(port, LOCK, lock=QUICK), None)
        try:
            await daemon.start()
            with anyio.fail_after(20):
                await served.wait()
            assert daemon.log.count(f"{BASE}/locks/+/actions: Not authorized") == 1
            assert await daemon.stop() == 0
            assert "Traceback" not in daemon.log
        finally:
            daemon.kill()


async def test_commands_that_the_bridge_may_not_hear_come_once_it_may(tmp_path):
    """A broker may grant a subscription and deliver nothing."""
    async with (
        strict(tmp_path) as (broker, rules),
        Upstream(broker.port) as upstream,
        Daemon(tmp_path, configuration(broker.port, LOCK, lock=QUICK), upstream) as daemon,
    ):
        await rules.deny(broker, f"{BASE}/locks/{LOCK}/actions")
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "unheard"}, wait=False)
        await upstream.command("cellar", {"action": "unlock"})
        await upstream.reply("cellar")
        await rules.deny(broker)
        await upstream.command(LOCK, {"action": "unlock", "custom_id": "heard"})
        await upstream.reply(LOCK, custom_id="heard")
        assert upstream.having(f"locks/{LOCK}/actions/reply", custom_id="unheard") == []
        assert daemon.alive
