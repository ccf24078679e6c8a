"""TLS: every packet of a record is delivered, and each mistake in a certificate has its name."""

from __future__ import annotations

import os

import anyio
import pytest

from bridge.mqtt.broker import HandshakeFailed
from bridge.mqtt.session import BrokerUnreachable, Connection, Subscription
from tests.support import mqtt_wire as wire
from tests.support.certificates import Authority
from tests.support.fake_broker import Guest, fake_broker, to, welcome
from tests.support.mosquitto import Mosquitto


async def test_every_packet_of_one_tls_record_is_delivered(tmp_path, connected):
    authority = Authority(tmp_path)

    async def coalesce(guest: Guest) -> None:
        await welcome(guest, *(wire.publish(b"a", b"first %d" % number, number) for number in range(1, 51)))
        await guest.hear(wire.PUBACK)
        await guest.say(*(wire.publish(b"a", b"then %d" % number, number) for number in range(51, 101)))
        await guest.wait_for_end()

    async with (
        fake_broker(coalesce, authority.serving()) as port,
        connected(to(port, tls=authority.trusting())) as connection,
    ):
        with anyio.fail_after(5):
            first = [await connection.messages.receive() for _ in range(50)]
            connection.ack(first[0])
            then = [await connection.messages.receive() for _ in range(50)]
    assert [message.payload for message in first] == [b"first %d" % number for number in range(1, 51)]
    assert [message.payload for message in then] == [b"then %d" % number for number in range(51, 101)]


async def test_tls_carries_large_messages_both_ways(tmp_path, connected):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    config = f"cafile {authority.ca_file}\ncertfile {certificate}\nkeyfile {key}"
    async with (
        Mosquitto(tmp_path, config) as broker,
        connected(to(broker.port, tls=authority.trusting())) as connection,
    ):
        await connection.subscribe([Subscription("base/big")])
        for _ in range(10):
            connection.send("base/big", os.urandom(60_000))
        with anyio.fail_after(5):
            for _ in range(10):
                message = await connection.messages.receive()
                assert len(message.payload) == 60_000
                connection.ack(message)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"expired": True}, "certificate has expired"),
        ({"host": "127.0.0.2"}, "IP address mismatch"),
        (None, "self-signed certificate in certificate chain"),
    ],
)
async def test_a_certificate_problem_is_named(tmp_path, problem, words):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", **(problem or {}))
    config = f"cafile {authority.ca_file}\ncertfile {certificate}\nkeyfile {key}"
    other = tmp_path / "other"
    other.mkdir()
    trusting = authority.trusting() if problem else Authority(other, "Another").trusting()
    async with Mosquitto(tmp_path, config) as broker:
        with pytest.raises(BrokerUnreachable, match=words):
            await Connection.open(to(broker.port, tls=trusting), 1, clean=False)


async def test_a_missing_client_certificate_is_not_taken_for_a_dead_network(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    config = f"cafile {authority.ca_file}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true"
    async with Mosquitto(tmp_path, config) as broker:
        with pytest.raises(HandshakeFailed):
            await Connection.open(to(broker.port, tls=authority.trusting()), 1, clean=False)
        mine = authority.trusting()
        mine.load_cert_chain(*authority.issue("bridge"))
        connection = await Connection.open(to(broker.port, tls=mine), 1, clean=False)
        connection._close()


async def test_tls_to_a_plain_port_is_unreachable(tmp_path, broker):
    with pytest.raises(BrokerUnreachable, match="no TLS"):
        await Connection.open(to(broker.port, tls=Authority(tmp_path).trusting()), 1, clean=False)
