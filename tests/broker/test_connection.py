"""One connection to a real mosquitto."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from bridge.mqtt.broker import HandshakeFailed
from bridge.mqtt.session import (
    Connection,
    ConnectionLost,
    PublishProperties,
    PublishRefused,
    SubscribeRefused,
    Subscription,
    Will,
    probe,
)
from tests.support.mosquitto import Mosquitto

COMMANDS = [Subscription("base/locks/+/actions", no_local=True)]
ACTIONS = "base/locks/a/actions"


async def receive(connection: Connection):
    with anyio.fail_after(5):
        return await connection.messages.receive()


async def test_a_command_arrives_with_all_that_its_sender_said(connected, settings, peer):
    async with connected(settings) as connection:
        await connection.subscribe(COMMANDS)
        await peer.publish(
            ACTIONS,
            b'{"action": "lock"}',
            ResponseTopic="base/r",
            CorrelationData=b"\x00\x01",
            MessageExpiryInterval=60,
        )
        message = await receive(connection)
        connection.ack(message)
    assert (message.topic, message.payload) == (ACTIONS, b'{"action": "lock"}')
    assert (message.response_topic, message.correlation_data) == ("base/r", b"\x00\x01")
    assert message.expires_in == 60
    assert (message.retain, message.dup, message.packet_id, message.generation) == (False, False, 1, 1)


async def test_an_event_goes_out_with_all_its_properties(connected, settings, peer):
    await peer.subscribe("base/#")
    properties = PublishProperties(
        content_type="application/json",
        correlation_data=b"\xff" * 20,
        message_expiry=300,
        user=(("event_id", "é" * 100), ("seq", "7"), ("seq", "8")),
    )
    async with connected(settings) as connection:
        await connection.publish("base/state", b"{}", retain=True, properties=properties)
    (event,) = await peer.expect()
    assert (event.topic, event.payload, event.retain, event.qos) == ("base/state", b"{}", True, 1)
    assert event.properties.ContentType == "application/json"
    assert event.properties.CorrelationData == b"\xff" * 20
    assert event.properties.MessageExpiryInterval == 300
    assert event.properties.UserProperty == [("event_id", "é" * 100), ("seq", "7"), ("seq", "8")]


async def test_all_that_is_sent_and_published_arrives_in_order(connected, settings, peer):
    await peer.subscribe("base/#")
    async with connected(settings) as connection:
        for number in range(150):
            connection.send("base/events", b"%d" % number)
        await connection.publish("base/events", b"150")
        connection.send("base/events", b"151")
    received = await peer.expect(152)
    assert [int(event.payload) for event in received] == list(range(152))


async def test_a_message_that_was_not_acknowledged_comes_again_on_the_next_connection(connected, settings, peer):
    async with connected(settings) as connection:
        assert not connection.session_present
        await connection.subscribe(COMMANDS)
        await peer.publish(ACTIONS)
        first = await receive(connection)
    async with connected(settings) as connection:
        assert connection.session_present
        again = await receive(connection)
        connection.ack(again)
    assert not first.dup
    assert again.dup
    assert (again.packet_id, again.payload) == (first.packet_id, first.payload)
    assert again.generation > first.generation


async def test_an_acknowledged_message_does_not_come_again(connected, settings, peer):
    async with connected(settings) as connection:
        await connection.subscribe(COMMANDS)
        await peer.publish(ACTIONS, b"first")
        connection.ack(await receive(connection))
    async with connected(settings) as connection:
        await peer.publish(ACTIONS, b"second")
        assert (await receive(connection)).payload == b"second"


async def test_a_late_acknowledgement_of_an_older_connection_does_nothing(connected, settings, peer):
    async with connected(settings) as connection:
        await connection.subscribe(COMMANDS)
        await peer.publish(ACTIONS, b"old")
        old = await receive(connection)
    async with connected(settings, clean=True) as connection:
        await connection.subscribe(COMMANDS)
        await peer.publish(ACTIONS, b"new")
        new = await receive(connection)
        connection.ack(old)
    assert new.packet_id == old.packet_id
    async with connected(settings) as connection:
        assert (await receive(connection)).payload == b"new"


async def test_a_stored_retained_message_is_not_delivered_and_a_live_one_shows_its_flag(connected, settings, peer):
    await peer.publish(ACTIONS, b"stored", retain=True)
    async with connected(settings) as connection:
        assert connection.sees_retain
        await connection.subscribe(COMMANDS)
        await peer.publish(ACTIONS, b"live", retain=True)
        message = await receive(connection)
    assert (message.payload, message.retain) == (b"live", True)


async def test_on_3_1_1_bridge_mode_shows_the_flag_of_a_live_retained_message(connected, settings, peer):
    async with connected(replace(settings, protocol=4), bridge_mode=True) as connection:
        assert connection.sees_retain
        assert not connection.session_present
        await connection.subscribe(COMMANDS)
        await peer.publish(ACTIONS, b"live", retain=True)
        message = await receive(connection)
        await connection.publish("base/state", b"{}", properties=PublishProperties(content_type="left out"))
    assert (message.payload, message.retain) == (b"live", True)


async def test_on_plain_3_1_1_a_live_retained_message_looks_like_any_other(connected, settings, peer):
    async with connected(replace(settings, protocol=4)) as connection:
        assert not connection.sees_retain
        await connection.subscribe(COMMANDS)
        await peer.publish(ACTIONS, b"live", retain=True)
        assert not (await receive(connection)).retain


async def test_a_command_that_expired_while_the_bridge_was_away_is_not_delivered(connected, settings, peer):
    async with connected(settings) as connection:
        await connection.subscribe(COMMANDS)
    await peer.publish(ACTIONS, b"short", MessageExpiryInterval=1)
    await peer.publish(ACTIONS, b"long", MessageExpiryInterval=60)
    with anyio.move_on_after(2.1):  # mosquitto counts in whole seconds
        await anyio.sleep_forever()
    async with connected(settings) as connection:
        message = await receive(connection)
    assert message.payload == b"long"
    assert message.expires_in is not None
    assert 50 <= message.expires_in <= 59


async def test_the_receive_maximum_bounds_what_the_broker_delivers(connected, settings, peer):
    async with connected(replace(settings, receive_maximum=1)) as connection:
        await connection.subscribe([*COMMANDS, Subscription("base/ping")])
        await peer.publish(ACTIONS, b"1")
        await peer.publish(ACTIONS, b"2")
        first = await receive(connection)
        await connection.publish("base/other", b"")  # its PUBACK follows whatever the broker would have sent before
        assert connection.messages.statistics().current_buffer_used == 0
        connection.ack(first)
        connection.ack(first)
        assert (await receive(connection)).payload == b"2"


async def test_a_message_at_qos_0_has_nothing_to_acknowledge(connected, settings, peer):
    async with connected(settings) as connection:
        await connection.subscribe(COMMANDS)
        peer._client.publish(ACTIONS, b"{}", qos=0)
        message = await receive(connection)
        assert message.packet_id == 0
        connection.ack(message)
        await connection.publish("base/other", b"")


async def test_no_local_leaves_out_what_the_bridge_publishes_itself(connected, settings, peer):
    async with connected(settings) as connection:
        await connection.subscribe([Subscription("base/a", no_local=True), Subscription("base/barrier")])
        await connection.publish("base/a", b"own")
        await connection.publish("base/barrier", b"barrier")
        assert (await receive(connection)).payload == b"barrier"


@pytest.mark.parametrize("protocol", [5, 4])
async def test_a_filter_that_mqtt_does_not_know_is_refused(connected, settings, protocol):
    async with connected(replace(settings, protocol=protocol)) as connection:
        await connection.subscribe([Subscription("base/a")])
        with pytest.raises(SubscribeRefused, match="bad/#/filter"):
            await connection.subscribe([Subscription("base/b"), Subscription("bad/#/filter")])


async def test_a_publish_that_the_broker_refuses_says_why(tmp_path, connected, settings, capsys):
    (tmp_path / "acl").write_text("topic readwrite allowed/#\n")
    async with (
        Mosquitto(tmp_path, f"acl_file {tmp_path}/acl") as strict,
        connected(replace(settings, port=strict.port)) as connection,
    ):
        with pytest.raises(PublishRefused, match="Not authorized"):
            await connection.publish("forbidden", b"")
        connection.send("forbidden/too", b"")
        await connection.publish("allowed/a", b"")
    logged = capsys.readouterr().out
    assert "forbidden/too" in logged
    assert "Not authorized" in logged


async def test_a_publish_larger_than_the_broker_takes_is_refused_and_the_connection_stays(
    tmp_path, connected, settings
):
    async with (
        Mosquitto(tmp_path, "max_packet_size 1000") as strict,
        connected(replace(settings, port=strict.port)) as connection,
    ):
        overhead = 2 + 1 + 2 + len("base/a") + 2 + 1
        await connection.publish("base/a", b"x" * (1000 - overhead))
        with pytest.raises(PublishRefused, match="Packet too large"):
            await connection.publish("base/a", b"x" * (1000 - overhead + 1))
        with pytest.raises(PublishRefused, match="Packet too large"):
            connection.send("base/a", b"x" * 1000)
        await connection.publish("base/a", b"still here")


async def test_retained_messages_are_refused_where_the_broker_keeps_none(tmp_path, connected, settings):
    async with (
        Mosquitto(tmp_path, "retain_available false") as strict,
        connected(replace(settings, port=strict.port)) as connection,
    ):
        with pytest.raises(PublishRefused, match="Retain not supported"):
            connection.send("base/a", b"", retain=True)
        await connection.publish("base/a", b"")


async def test_leaving_says_no_will_and_publishes_what_was_queued(connected, settings, peer):
    await peer.subscribe("base/#")
    with_will = replace(settings, will=Will("base/status", b"gone"))
    async with connected(with_will) as connection:
        for number in range(100):
            connection.send("base/events", b"%d" % number)
    assert [event.payload for event in await peer.expect(100)] == [b"%d" % number for number in range(100)]
    await peer.publish("base/end", b"")
    assert (await peer.expect(101))[-1].topic == "base/end"


async def test_dying_lets_the_broker_say_the_will(settings, peer):
    await peer.subscribe("base/#")
    connection = await Connection.open(replace(settings, will=Will("base/status", b"gone")), 1, clean=False)
    connection._close()
    (will,) = await peer.expect()
    assert (will.topic, will.payload, will.retain) == ("base/status", b"gone", True)


async def test_the_will_waits_for_its_delay(settings, peer, connected):
    await peer.subscribe("base/#")
    patient = replace(settings, will=Will("base/status", b"gone", delay=30))
    connection = await Connection.open(patient, 1, clean=False)
    connection._close()
    async with connected(patient) as again:
        await again.publish("base/status", b"back")
    assert [message.payload for message in await peer.expect()] == [b"back"]


async def test_a_broker_that_goes_away_ends_what_waits(broker, settings):
    connection = await Connection.open(settings, 1, clean=False)
    broker_gone = []

    async def serve(connection):
        broker.kill()
        try:
            with anyio.CancelScope(shield=True):
                await connection.publish("base/a", b"")
        except ConnectionLost as error:
            broker_gone.append(error)
        connection.send("base/a", b"into nothing")
        with pytest.raises(ConnectionLost), anyio.CancelScope(shield=True):
            await connection.publish("base/a", b"")
        with pytest.raises(ConnectionLost), anyio.CancelScope(shield=True):
            await connection.subscribe(COMMANDS)
        await anyio.sleep_forever()

    with pytest.raises(ConnectionLost):
        await connection.run(serve)
    assert len(broker_gone) == 1
    assert "ended" in repr(connection)


async def test_a_unix_socket_will_do(tmp_path, connected, settings):
    async with (
        Mosquitto(tmp_path, listener=f"listener 0 {tmp_path}/mqtt.sock"),
        connected(replace(settings, unix_path=str(tmp_path / "mqtt.sock"))) as connection,
    ):
        await connection.publish("base/a", b"{}")


async def test_a_connection_that_another_client_takes_over_has_ended(connected, settings):
    with pytest.RaisesGroup(ConnectionLost):
        async with connected(settings), connected(settings):
            await anyio.sleep_forever()


async def test_a_probe_leaves_a_running_bridge_alone(connected, settings):
    async with connected(settings) as connection:
        await probe(settings)
        await connection.publish("base/a", b"")


async def test_large_and_many_messages_pass_both_ways(connected, settings, peer):
    async with connected(settings) as connection:
        await connection.subscribe([Subscription("base/big")])
        for _ in range(5):
            connection.send("base/big", b"x" * 60_000)
        for _ in range(5):
            message = await receive(connection)
            assert len(message.payload) == 60_000
            connection.ack(message)


async def test_packet_identifiers_that_are_in_use_are_passed_over(connected, settings, peer):
    await peer.subscribe("base/#")
    async with connected(settings) as connection:
        connection.send("base/a", b"1")
        connection._client._last_mid = 0
        connection.send("base/a", b"2")
        await connection.publish("base/a", b"3")
    assert [message.payload for message in await peer.expect(3)] == [b"1", b"2", b"3"]


async def test_a_password_shows_in_no_repr(settings):
    assert "hunter2" not in repr(replace(settings, username="u", password="hunter2"))


async def test_a_port_of_something_else_is_a_failed_handshake(settings):
    async def hang_up(stream):
        await stream.aclose()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, hang_up)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        with pytest.raises(HandshakeFailed):
            await Connection.open(replace(settings, port=port), 1, clean=False)
        group.cancel_scope.cancel()
