"""What the bridge relies on in the installed paho beyond what its documentation promises."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.mqtt import properties as encode
from bridge.mqtt.broker import PublishProperties, Settings, Will
from bridge.mqtt.client import Packed, PahoClient
from tests.support import mqtt_wire as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Settings(client_id="bridge", will=Will("w", b"gone", delay=10))


class Line:
    """A client over one end of a socket pair."""

    def __init__(self, settings: Settings = SETTINGS, *, bridge_mode: bool = False) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.told: list[tuple[str, object]] = []
        self.client = PahoClient(settings, self.ours, bridge_mode=bridge_mode)
        self.client.on_connect = lambda *arguments: self.told.append(("connect", arguments[3]))
        self.client.on_disconnect = lambda *arguments: self.told.append(("disconnect", str(arguments[3])))
        self.client.on_message = lambda *arguments: self.told.append(("message", arguments[2].payload))
        self.client.on_publish = lambda *arguments: self.told.append(("publish", arguments[2]))
        self.client.on_socket_close = lambda *_: self.told.append(("close", self.ours.fileno() >= 0))

    def open(self) -> bytes:
        self.client.queue_connect(clean=False)
        self.client.loop_write()
        connect = self.theirs.recv(1000)
        self.hear(wire.connack())
        return connect

    def hear(self, *packets: bytes) -> MQTTErrorCode:
        self.theirs.sendall(b"".join(packets))
        return self.client.loop_read()

    def said(self) -> bytes:
        self.client.loop_write()
        try:
            return self.theirs.recv(1000)
        except BlockingIOError:
            return b""


@pytest.fixture
def line() -> Iterator[Line]:
    opened = Line()
    yield opened
    opened.client.on_socket_close = None
    opened.ours.close()
    opened.theirs.close()


def test_the_socket_we_hand_over_is_the_one_that_it_uses(line):
    line.open()
    assert line.client.socket() is line.ours


def test_nothing_is_written_before_we_say_so(line):
    line.client.queue_connect(clean=False)
    assert line.client.want_write()
    with pytest.raises(BlockingIOError):
        line.theirs.recv(1)


def test_connect_resumes_the_session_and_carries_our_terms(line):
    body = wire.body_of(line.open())
    assert body[:7] == b"\x00\x04MQTT\x05"
    assert not body[7] & 0x02
    assert encode.of_connect(session_expiry=60, receive_maximum=16, maximum_packet_size=65536) in body
    assert encode.of_will(delay=10) in body


def test_bridge_mode_is_a_bit_of_the_protocol_level():
    line = Line(Settings(client_id="bridge", protocol=4), bridge_mode=True)
    line.client.queue_connect(clean=False)
    assert wire.body_of(line.said())[6] == 0x84
    line.theirs.close()
    line.ours.close()


def test_a_message_is_not_acknowledged_before_we_do(line):
    line.open()
    line.hear(wire.publish(b"a", b"1", 7))
    assert line.told[-1] == ("message", b"1")
    assert line.said() == b""
    line.client.ack(7, qos=1)
    assert line.said() == b"\x40\x02\x00\x07"


def test_paho_itself_holds_no_message_back(line):
    line.open()
    for number in range(1, 101):
        assert line.client.queue_publish("a", b"", retain=False, packed=encode.EMPTY) == number
    assert len(wire.split(bytearray(line.said()))) == 100


def test_an_identifier_in_use_is_said_to_be_a_full_queue(line):
    line.open()
    line.client.queue_publish("a", b"", retain=False, packed=encode.EMPTY)
    line.client._last_mid = 0
    assert line.client.publish("a", b"", qos=1).rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE


def test_a_puback_is_told_once(line):
    line.open()
    line.client.queue_publish("a", b"", retain=False, packed=encode.EMPTY)
    line.said()
    line.hear(b"\x40\x02\x00\x01")
    line.hear(b"\x40\x02\x00\x01")
    assert [told for told in line.told if told[0] == "publish"] == [("publish", 1)]


def test_one_loop_read_may_leave_packets_in_the_socket(line):
    """Hence TLS must be asked for what it has in hand."""
    line.open()
    line.hear(wire.publish(b"a", b"1", 1), wire.publish(b"a", b"2", 2))
    assert [told[1] for told in line.told if told[0] == "message"] == [b"1"]
    assert hasattr(ssl.SSLSocket, "pending")


def test_the_close_is_told_while_the_socket_is_still_open(line):
    line.open()
    line.theirs.shutdown(socket.SHUT_WR)
    line.client.loop_read()
    assert line.told[-2:] == [("close", True), ("disconnect", "Unspecified error")]


def test_our_disconnect_closes_the_socket_once_it_is_written(line):
    line.open()
    line.client.disconnect()
    assert ("close", True) not in line.told
    assert line.said() == b"\xe0\x00"
    assert line.told[-2:] == [("disconnect", "Normal disconnection"), ("close", True)]


def test_what_cannot_be_read_is_a_protocol_error(line):
    line.open()
    line.hear(wire.publish(b"a", b"", 1, properties=b"\x7f"))
    assert line.told[-1] == ("disconnect", "Protocol error")


def test_a_byte_order_mark_in_a_property_cannot_be_read(line):
    """MQTT allows U+FEFF; while paho does not, the session starts clean after it."""
    line.open()
    line.hear(wire.publish(b"a", b"", 1, properties=b"\x08\x00\x03\xef\xbb\xbf"))
    assert line.told[-1] == ("disconnect", "Protocol error")


def test_a_refused_level_on_3_1_1_is_a_protocol_error_and_no_second_try():
    line = Line(Settings(client_id="bridge", protocol=4))
    line.client.queue_connect(clean=False)
    line.said()
    line.hear(wire.connack(code=1, level=4))
    assert line.told == [("close", True), ("disconnect", "Protocol error")]
    line.theirs.close()


def test_a_refusal_is_told_before_the_end(line):
    line.client.queue_connect(clean=False)
    line.said()
    line.hear(wire.connack(code=0x87))
    assert [what for what, _ in line.told] == ["connect", "close", "disconnect"]


def test_packed_properties_are_what_paho_would_pack():
    reference = Properties(PacketTypes.PUBLISH)
    reference.MessageExpiryInterval = 60
    reference.ContentType = "application/json"
    reference.CorrelationData = b"\x00\xff"
    reference.UserProperty = [("a", "b"), ("é", "")]
    ours = PublishProperties("application/json", b"\x00\xff", 60, (("a", "b"), ("é", "")))
    packed = Packed(encode.of_publish(ours))
    assert packed.pack() == reference.pack()
    assert str(packed) == f"[{len(reference.pack())} bytes]"


def test_the_length_that_we_foresee_is_the_length_that_paho_writes(line):
    line.open()
    for size in (0, 100, 127, 128, 20_000):
        packed = encode.of_publish(PublishProperties(content_type="x" * (size % 300)))
        line.client.queue_publish("a/b", b"y" * size, retain=True, packed=packed)
        (queued,) = line.client._out_packet
        assert len(queued["packet"]) == encode.length_of_publish(b"a/b", b"y" * size, packed)
        line.client._out_packet.clear()


def test_a_client_that_is_forgotten_closes_its_socket_without_a_loop():
    """After `on_socket_close` is taken away, as a connection does when it is closed."""
    line = Line()
    line.client.queue_connect(clean=False)
    line.client.on_socket_close = None
    del line.client
    line.theirs.close()


def test_the_names_that_we_use_exist():
    assert (
        paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True).keepalive == 60
    )
    assert int(MQTTProtocolVersion.MQTTv311) == 4
    assert int(MQTTProtocolVersion.MQTTv5) == 5
