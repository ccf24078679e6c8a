"""The session: it comes back whatever happens, and says once what is wrong."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig
from blockbuster import blockbuster_ctx
from structlog.testing import capture_logs

from bridge.mqtt import session as session_module
from bridge.mqtt.session import (
    BrokerRefused,
    BrokerUnreachable,
    Connection,
    ConnectionLost,
    Session,
    Settings,
    SubscribeRefused,
    Subscription,
    Will,
    probe,
)
from bridge.service.progress import Progress
from tests.support import mqtt_wire as wire
from tests.support.fake_broker import Guest, fake_broker
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.peer import Peer
from tests.support.proxy import proxy


async def until(condition) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - what it waits for is a plain attribute
            await anyio.sleep(0.002)


async def test_a_broker_that_dies_and_comes_back_is_served_again(broker, settings, keeping, visits):
    async with keeping(settings) as session:
        first = await visits.expect(1)
        broker.kill()
        await until(lambda: isinstance(session.last_error, BrokerUnreachable))
        await broker.start()
        second = await visits.expect(2)
        assert session.last_error is None
    assert second.generation > first.generation


async def test_a_durable_broker_that_dies_delivers_again_what_was_not_acknowledged(tmp_path, settings, keeping, visits):
    async with Mosquitto(tmp_path, durable=True) as broker, keeping(replace(settings, port=broker.port)):
        first = await visits.expect(1)
        await first.subscribe([Subscription("base/a")])
        async with Peer(broker.port) as peer:
            await peer.publish("base/a", b"command")
        with anyio.fail_after(5):
            assert not (await first.messages.receive()).dup
        broker.save()
        await until(lambda: broker.store.exists() and b"command" in broker.store.read_bytes())
        broker.kill()
        await broker.start()
        second = await visits.expect(2)
        with anyio.fail_after(5):
            message = await second.messages.receive()
    assert second.session_present
    assert message.payload == b"command"


async def test_a_byte_order_mark_in_a_command_does_not_keep_the_bridge_out(settings, keeping, visits, peer):
    """MQTT and mosquitto allow U+FEFF in a Response Topic, paho cannot read it."""
    async with keeping(settings) as session:
        first = await visits.expect(1)
        await first.subscribe([Subscription("base/a")])
        await peer.publish("base/a", ResponseTopic="base/\ufeff")
        second = await visits.expect(2)
        assert not second.session_present
        await second.subscribe([Subscription("base/a")])
        await peer.publish("base/a", b"next")
        with anyio.fail_after(5):
            assert (await second.messages.receive()).payload == b"next"
        assert session.last_error is None


async def test_a_refused_login_is_told_once_and_tried_again(tmp_path, settings, keeping, visits):
    (tmp_path / "passwords").write_text("")
    async with Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {tmp_path}/passwords") as strict:
        mine = replace(settings, port=strict.port, username="bridge", password="hunter2")
        with capture_logs() as logs:
            async with proxy(strict.port) as between, keeping(replace(mine, port=between.port)) as session:
                await until(lambda: between.connections >= 4)
                assert isinstance(session.last_error, BrokerRefused)
        with pytest.raises(BrokerRefused, match="Not authorized"):
            await probe(mine)
    told = [(entry["log_level"], entry["reason"]) for entry in logs]
    assert told[0] == ("warning", "Not authorized")
    assert len(told) >= 3
    assert set(told[1:]) == {("debug", "Not authorized")}
    assert "hunter2" not in str(logs)
    assert visits.connections == []


async def test_a_refused_subscription_ends_the_connection_and_is_tried_again(settings, keeping, visits):
    calls = []

    async def serve(connection: Connection) -> None:
        calls.append(connection)
        await connection.subscribe([Subscription("not/#/a/filter")])

    visits.serve = serve
    async with keeping(settings) as session:
        await until(lambda: len(calls) >= 3)
        await until(lambda: isinstance(session.last_error, SubscribeRefused))


async def test_an_error_of_ours_in_serve_is_not_swallowed(settings):
    async def serve(_connection: Connection) -> None:
        raise LookupError("ours")

    with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
        await Session(settings, Progress()).run(serve)


async def test_errors_of_a_task_group_in_serve_count_as_the_connections_end(settings, broker):
    served = []

    async def serve(connection: Connection) -> None:
        served.append(connection)
        if len(served) > 1:
            return
        async with anyio.create_task_group() as group:
            group.start_soon(connection.publish, "", b"")

    await Session(settings, Progress(), jitter=lambda _low, _high: 0).run(serve)
    assert len(served) == 2


async def test_serve_that_returns_ends_the_session_and_leaves_properly(settings, peer):
    await peer.subscribe("base/#")

    async def serve(connection: Connection) -> None:
        connection.send("base/last", b"word")

    await Session(replace(settings, will=Will("base/status", b"gone")), Progress()).run(serve)
    await peer.publish("base/end", b"")
    assert [message.topic for message in await peer.expect(2)] == ["base/last", "base/end"]


async def test_a_cancelled_session_leaves_properly(settings, keeping, visits, peer):
    await peer.subscribe("base/#")
    async with keeping(replace(settings, will=Will("base/status", b"gone"))):
        connection = await visits.expect(1)
        connection.send("base/last", b"word")
    await peer.publish("base/end", b"")
    assert [message.topic for message in await peer.expect(2)] == ["base/last", "base/end"]


async def test_a_killed_connection_is_told_by_the_will(broker, settings, keeping, visits, peer):
    await peer.subscribe("base/#")
    async with (
        proxy(broker.port) as between,
        keeping(replace(settings, port=between.port, will=Will("base/status", b"gone"))),
    ):
        await visits.expect(1)
        between.cut()
        (will,) = await peer.expect()
    assert (will.topic, will.payload) == ("base/status", b"gone")


async def test_waits_grow_with_jitter_up_to_a_minute():
    bounds = []

    def jitter(low: float, high: float) -> float:
        bounds.append((low, high))
        return 0.0

    session = Session(Settings(client_id="bridge", host="127.0.0.1", port=free_port()), Progress(), jitter=jitter)
    async with anyio.create_task_group() as group:
        group.start_soon(session.run, None)
        await until(lambda: len(bounds) >= 9)
        group.cancel_scope.cancel()
    assert bounds[:9] == [(0.0, high) for high in (1, 2, 4, 8, 16, 32, 60, 60, 60)]


@pytest.mark.parametrize(("lived", "bounds"), [(0.0, [1.0, 1.0, 1.0]), (30.0, [1.0, 2.0, 4.0])])
async def test_only_a_connection_that_lived_begins_a_new_row_of_failures(monkeypatch, lived, bounds):
    monkeypatch.setattr(session_module, "LIVED", lived)
    asked = []

    def jitter(_low: float, high: float) -> float:
        asked.append(high)
        return 0.0

    async def hang_up(guest: Guest) -> None:
        await guest.hear(wire.CONNECT)
        await guest.say(wire.connack())

    async def serve(_connection: Connection) -> None:
        await anyio.sleep_forever()

    with capture_logs() as logs:
        async with fake_broker(hang_up) as port, anyio.create_task_group() as group:
            session = Session(Settings(client_id="bridge", host="127.0.0.1", port=port), Progress(), jitter=jitter)
            group.start_soon(session.run, serve)
            await until(lambda: len(asked) >= 3)
            group.cancel_scope.cancel()
    assert asked[:3] == bounds
    levels = [entry["log_level"] for entry in logs if "reason" in entry][:3]
    assert levels == (["warning"] * 3 if not lived else ["warning", "debug", "debug"])


async def test_a_broker_that_hangs_up_on_bridge_mode_is_asked_plainly_that_once(keeping, visits):
    levels = []

    async def hang_up_on_bridges(guest: Guest) -> None:
        level = wire.body_of(await guest.hear(wire.CONNECT))[6]
        levels.append(level)
        if level == 4:
            await guest.say(wire.connack(level=4))
            if len(levels) > 2:
                await guest.wait_for_end()

    async with (
        fake_broker(hang_up_on_bridges) as port,
        keeping(Settings(client_id="bridge", host="127.0.0.1", port=port, protocol=4)),
    ):
        assert not (await visits.expect(2)).sees_retain
    assert levels == [0x84, 4, 0x84, 4]


async def test_a_broker_that_refuses_bridge_mode_is_not_asked_again(keeping, visits):
    levels = []

    async def refuse_bridges(guest: Guest) -> None:
        level = wire.body_of(await guest.hear(wire.CONNECT))[6]
        levels.append(level)
        await guest.say(wire.connack(code=level != 4, level=4))
        if len(levels) > 2:
            await guest.wait_for_end()

    async with (
        fake_broker(refuse_bridges) as port,
        keeping(Settings(client_id="bridge", host="127.0.0.1", port=port, protocol=4)),
    ):
        await visits.expect(2)
    assert levels == [0x84, 4, 4]


async def test_mosquitto_on_3_1_1_takes_bridge_mode(settings, keeping, visits):
    async with keeping(replace(settings, protocol=4)):
        assert (await visits.expect(1)).sees_retain


@asynccontextmanager
async def embedded_amqtt():
    port = free_port()
    config = BrokerConfig.from_dict(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    broker = Broker(config)
    await broker.start()
    yield port
    await broker.shutdown()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_embedded_broker_of_the_demo_works(anyio_backend, keeping, visits):
    async with embedded_amqtt() as port:
        settings = Settings(client_id="bridge", host="127.0.0.1", port=port, protocol=4)
        async with keeping(replace(settings, will=Will("base/status", b"gone"))):
            connection = await visits.expect(1)
            assert not connection.sees_retain
            await connection.subscribe([Subscription("base/+")])
            with anyio.fail_after(5):
                await connection.publish("base/a", b"x" * 1000)
                message = await connection.messages.receive()
                connection.ack(message)
                connection.send("base/b", b"")
                assert (await connection.messages.receive()).topic == "base/b"
    assert (message.topic, message.payload, message.retain) == ("base/a", b"x" * 1000, False)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_nothing_blocks_the_loop(anyio_backend, settings, keeping, visits):
    with blockbuster_ctx(scanned_modules=["bridge", "paho"]):
        async with keeping(settings):
            connection = await visits.expect(1)
            await connection.subscribe([Subscription("base/a")])
            await connection.publish("base/a", b"")
            connection.ack(await connection.messages.receive())
            connection.send("base/b", b"")


async def test_probe_tells_a_dead_port():
    with pytest.raises(BrokerUnreachable, match="refused"):
        await probe(Settings(client_id="bridge", host="127.0.0.1", port=free_port()))


async def test_connection_lost_is_remembered(settings, keeping, visits, broker):
    async with proxy(broker.port) as between, keeping(replace(settings, port=between.port)) as session:
        await visits.expect(1)
        between.stall()
        between.cut()
        await until(lambda: isinstance(session.last_error, ConnectionLost))
