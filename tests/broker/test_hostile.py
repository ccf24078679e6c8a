"""Connections whose network or broker misbehaves: cut, stalled, dribbling, coalescing, lying."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial

import anyio
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bridge.mqtt import connection as connection_module
from bridge.mqtt.broker import HandshakeFailed, Misspoken
from bridge.mqtt.session import (
    BrokerRefused,
    BrokerUnreachable,
    Connection,
    ConnectionLost,
    SubscribeRefused,
    Subscription,
)
from tests.support import mqtt_wire as wire
from tests.support.fake_broker import Guest, fake_broker, to, welcome
from tests.support.peer import Peer
from tests.support.proxy import proxy


async def sleep(_connection: Connection) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("stalled_before", ["tcp", "connack"])
async def test_a_broker_that_never_answers_is_given_up(broker, monkeypatch, stalled_before):
    monkeypatch.setattr(connection_module, "CONNECT_TIMEOUT", 0.3)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = [socket.socket() for _ in range(4 if stalled_before == "tcp" else 0)]
        for filler in fillers:  # a full backlog answers no SYN
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        with pytest.raises(BrokerUnreachable, match="no answer"):
            await Connection.open(to(port), 1, clean=False)
        for filler in fillers:
            filler.close()


async def test_a_closed_port_and_an_unknown_name_are_told_apart():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(BrokerUnreachable, match="Connection refused"):
            await Connection.open(to(bound.getsockname()[1]), 1, clean=False)
    with pytest.raises(BrokerUnreachable, match=r"[Nn]ame|resolution"):
        await Connection.open(to(1, host="no-such-host.invalid"), 1, clean=False)
    with pytest.raises(BrokerUnreachable, match="No such file"):
        await Connection.open(to(1, unix_path="/nonexistent/socket"), 1, clean=False)


async def test_a_half_open_connection_ends_by_the_keepalive(broker):
    async with proxy(broker.port) as between:
        connection = await Connection.open(to(between.port, keepalive=1), 1, clean=False)
        between.stall()
        with anyio.fail_after(4), pytest.raises(ConnectionLost, match="ping"):
            await connection.run(sleep)


async def test_a_quiet_connection_stays(broker):
    connection = await Connection.open(to(broker.port, keepalive=2), 1, clean=False)

    async def serve(connection: Connection) -> None:
        with anyio.move_on_after(3.6):  # mosquitto hangs up after one and a half keepalives without a ping
            await anyio.sleep_forever()
        await connection.publish("base/a", b"")

    await connection.run(serve)


async def test_byte_by_byte_is_as_good_as_whole(broker, connected):
    async with proxy(broker.port) as between:
        between.dribble = True
        async with connected(to(between.port)) as connection:
            await connection.subscribe([Subscription("base/a")])
            await connection.publish("base/a", b"x" * 300)
            with anyio.fail_after(5):
                assert (await connection.messages.receive()).payload == b"x" * 300


@pytest.mark.parametrize("cut", ["cut before", "cut after"])
@pytest.mark.parametrize(
    "place",
    [
        ("up", wire.CONNECT),
        ("down", wire.CONNACK),
        ("up", wire.SUBSCRIBE),
        ("down", wire.SUBACK),
        ("up", wire.PUBLISH),
        ("down", wire.PUBACK),
        ("down", wire.PUBLISH),
        ("up", wire.PUBACK),
    ],
)
async def test_a_cut_at_any_packet_loses_no_command_and_no_event(broker, keeping, visits, place, cut):
    """Whatever the network does once, the bridge gets the command and the peer the event, at least once each."""
    cuts = []

    def once(way, packet):
        if not cuts and (way, packet) == place:
            cuts.append(place)
            return cut
        return "pass"

    done = anyio.Event()

    async def serve(connection: Connection) -> None:
        await connection.subscribe([Subscription("base/command", no_local=True)])
        await connection.publish("base/event", b"event")
        await peer.publish("base/command", b"command")
        connection.ack(await connection.messages.receive())
        await connection.publish("base/last", b"")  # the broker has had the PUBACK before it answers this
        done.set()
        await anyio.sleep_forever()

    visits.serve = serve
    async with proxy(broker.port) as between, Peer(broker.port) as peer:
        between.fate = once
        await peer.subscribe("base/event")
        with anyio.fail_after(10):
            async with keeping(to(between.port)):
                await done.wait()
        assert cuts == [place]
        assert await peer.expect()


async def test_our_own_receive_maximum_is_the_brokers_to_set(connected):
    """Receive Maximum 1 and Maximum Packet Size in the CONNACK: one PUBLISH at a time."""
    most = []

    async def one_at_a_time(guest: Guest) -> None:
        await welcome(guest, properties=b"\x21\x00\x01")
        for _ in range(5):
            whole = await guest.hear(wire.PUBLISH)
            with anyio.move_on_after(0.03):
                most.append(await guest.hear(wire.PUBLISH))
            await guest.say(wire.packet(wire.PUBACK, wire.packet_id_of(whole).to_bytes(2)))
        await guest.wait_for_end()

    async with fake_broker(one_at_a_time) as port, connected(to(port)) as connection:
        for number in range(4):
            connection.send("base/a", b"%d" % number)
        assert "queued=3, in_flight=1" in repr(connection)
        with anyio.fail_after(5):
            await connection.publish("base/a", b"4")
    assert most == []


@pytest.mark.parametrize(("code", "words"), [(0x87, "Not authorized"), (0x80, "Unspecified error"), (0, "QoS 0 only")])
async def test_a_subscription_that_is_not_granted_is_named(connected, code, words):
    async def refuse(guest: Guest) -> None:
        await welcome(guest)
        identifier = wire.packet_id_of(await guest.hear(wire.SUBSCRIBE)).to_bytes(2)
        await guest.say(wire.packet(wire.SUBACK, identifier + b"\x00" + bytes([1, code])))
        await guest.wait_for_end()

    async with fake_broker(refuse) as port, connected(to(port)) as connection:
        with pytest.raises(SubscribeRefused, match=f"base/b: .*{words}"):
            await connection.subscribe([Subscription("base/a"), Subscription("base/b")])


@pytest.mark.parametrize(("code", "words"), [(0x8E, "Session taken over"), (0x8B, "Server shutting down")])
async def test_a_disconnect_says_what_the_broker_said(code, words):
    async def dismiss(guest: Guest) -> None:
        await welcome(guest, wire.packet(wire.DISCONNECT, bytes([code, 0])))
        await guest.wait_for_end()

    async with fake_broker(dismiss) as port:
        connection = await Connection.open(to(port), 1, clean=False)
        with pytest.raises(ConnectionLost, match=words) as caught:
            await connection.run(sleep)
        assert not isinstance(caught.value, Misspoken)


@pytest.mark.parametrize(
    ("code", "properties", "words"),
    [
        (0x86, b"", "Bad user name or password"),
        (0x87, b"", "Not authorized"),
        (0x01, b"", "Unsupported protocol version"),
        (0x00, b"\x24\x00", "QoS 0 only"),
    ],
)
async def test_a_refused_connect_says_why(code, properties, words):
    async def refuse(guest: Guest) -> None:
        await guest.hear(wire.CONNECT)
        await guest.say(wire.connack(properties, code))
        await guest.wait_for_end()

    async with fake_broker(refuse) as port:
        with pytest.raises(BrokerRefused, match=words):
            await Connection.open(to(port), 1, clean=False)


@pytest.mark.parametrize(
    "misspoken",
    [
        b"\x00\x00",
        b"\x30\xff\xff\xff\xff\x7f",
        wire.publish(b"a\xff", b"", 1),
        wire.packet(wire.PUBLISH, b"\x00\x01a\x00\x01\x00", flags=0b0100) + wire.packet(6, b"\x00\x01", flags=0b0010),
        wire.packet(wire.PUBLISH, b"\x00\x01a\x00\x01\x00", flags=0b0110),
        wire.publish(b"a", b"", 1, properties=b"\x08\x00\x01\xff"),
        wire.publish(b"a", b"", 1, properties=b"\x7f"),
        wire.packet(wire.PUBLISH, b"\x00\x01a", flags=0b0010),
    ],
    ids=[
        "no type",
        "no length",
        "topic not UTF-8",
        "QoS 2",
        "QoS 3",
        "response topic not UTF-8",
        "no property",
        "cut short",
    ],
)
async def test_what_cannot_be_read_ends_the_connection(misspoken):
    async def misspeak(guest: Guest) -> None:
        await welcome(guest, misspoken)
        await guest.wait_for_end()

    async with fake_broker(misspeak) as port:
        connection = await Connection.open(to(port), 1, clean=False)
        with anyio.fail_after(5), pytest.raises(Misspoken):
            await connection.run(sleep)


async def test_a_packet_that_cannot_be_read_is_not_met_again(keeping, visits):
    """The next connection begins a new session, or the broker would deliver the same packet for ever."""
    cleans = []

    async def poisoned(guest: Guest) -> None:
        flags = wire.body_of(await guest.hear(wire.CONNECT))[7]
        cleans.append(bool(flags & 0x02))
        await guest.say(wire.connack(session_present=not cleans[-1]))
        if not cleans[-1]:
            await guest.say(wire.publish(b"a", b"", 1, properties=b"\x08\x00\x03\xef\xbb\xbf"))
        await guest.wait_for_end()

    async with fake_broker(poisoned) as port, keeping(to(port)):
        assert not (await visits.expect(2)).session_present
    assert cleans == [False, True]


async def test_a_flood_waits_for_the_reader_and_loses_nothing(connected, monkeypatch):
    monkeypatch.setattr(connection_module, "_BUFFERED_MESSAGES", 2)

    async def flood(guest: Guest) -> None:
        await welcome(guest)
        for number in range(200):
            await guest.say(wire.packet(wire.PUBLISH, b"\x00\x01a\x00%d" % number))
        await guest.wait_for_end()

    async with fake_broker(flood) as port, connected(to(port)) as connection:
        with anyio.fail_after(5):
            while not connection._inbox.statistics().tasks_waiting_send:  # noqa: ASYNC110 - nothing else tells of it
                await anyio.sleep(0.002)
            payloads = [(await connection.messages.receive()).payload for _ in range(200)]
    assert payloads == [b"%d" % number for number in range(200)]


async def test_a_reader_that_has_gone_hinders_nothing(connected):
    async def talk(guest: Guest) -> None:
        await welcome(guest)
        whole = await guest.hear(wire.PUBLISH)
        await guest.say(
            wire.publish(b"a", b"nobody reads this", 1),
            wire.packet(wire.PUBACK, wire.packet_id_of(whole).to_bytes(2)),
        )
        await guest.wait_for_end()

    async with fake_broker(talk) as port, connected(to(port)) as connection:
        connection.messages.close()
        with anyio.fail_after(5):
            await connection.publish("base/a", b"")


async def test_leaving_a_broker_that_answers_nothing_takes_no_longer_than_the_bound(monkeypatch):
    monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT", 0.2)

    async def mute(guest: Guest) -> None:
        await welcome(guest)
        await guest.wait_for_end()

    async with fake_broker(mute) as port:
        connection = await Connection.open(to(port), 1, clean=False)

        async def serve(connection: Connection) -> None:
            connection.send("base/a", b"")

        with anyio.fail_after(1):
            with pytest.raises(ConnectionLost, match="closed"):
                await connection.run(serve)


async def test_a_full_socket_is_written_when_it_has_room_again(connected):
    arrived = []

    async def slow(guest: Guest) -> None:
        await welcome(guest)
        await go.wait()
        for _ in range(60):
            whole = await guest.hear(wire.PUBLISH)
            arrived.append(len(whole))
            await guest.say(wire.packet(wire.PUBACK, wire.packet_id_of(whole).to_bytes(2)))
        await guest.wait_for_end()

    go = anyio.Event()
    async with fake_broker(slow) as port, connected(to(port)) as connection:
        for _ in range(60):
            connection.send("base/a", b"x" * 1_000_000)
        assert connection._client.want_write()
        go.set()
    assert len(arrived) == 60


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(babble=st.binary(min_size=1, max_size=60) | st.builds(wire.packet, st.integers(1, 15), st.binary(max_size=30)))
def test_nothing_a_broker_says_raises_anything_but_mqtt_errors(babble: bytes):
    anyio.run(partial(_converse_with_a_babbler, babble), backend="trio")


async def _converse_with_a_babbler(babble: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = Connection(to(1), ours, 1, bridge_mode=False)
        theirs.sendall(wire.connack() + babble)
        theirs.shutdown(socket.SHUT_WR)
        await connection._shake_hands(clean=False)
        with pytest.raises(ConnectionLost):
            await connection.run(sleep)


async def test_a_refused_protocol_level_is_told_from_a_broker_that_hangs_up():
    async def refuse(guest: Guest) -> None:
        await guest.hear(wire.CONNECT)
        await guest.say(wire.connack(code=1, level=4))

    async with fake_broker(refuse) as port:
        with pytest.raises(HandshakeFailed) as caught:
            await Connection.open(replace(to(port), protocol=4), 1, clean=False, bridge_mode=True)
        assert caught.value.refused_level
