"""The properties that the bridge sends, byte by byte."""

from __future__ import annotations

import pytest

from bridge.mqtt import properties
from bridge.mqtt.broker import PublishProperties, PublishRefused


def test_connect_says_how_long_how_many_and_how_large():
    packed = properties.of_connect(session_expiry=60, receive_maximum=16, maximum_packet_size=65536)
    assert packed == bytes.fromhex("0d 11 0000003c 21 0010 27 00010000")


def test_a_will_says_its_delay():
    assert properties.of_will(delay=10) == bytes.fromhex("05 18 0000000a")


def test_a_publish_says_only_what_is_set():
    assert properties.of_publish(PublishProperties()) == properties.EMPTY
    assert properties.of_publish(PublishProperties(content_type="a")) == bytes.fromhex("04 03 0001 61")
    assert properties.of_publish(PublishProperties(correlation_data=b"")) == bytes.fromhex("03 09 0000")
    assert properties.of_publish(PublishProperties(message_expiry=0)) == bytes.fromhex("05 02 00000000")
    assert properties.of_publish(PublishProperties(user=(("a", "b"),))) == bytes.fromhex("07 26 0001 61 0001 62")


def test_a_long_set_has_a_long_length():
    assert properties.of_publish(PublishProperties(correlation_data=b"x" * 125))[:2] == b"\x80\x01"


@pytest.mark.parametrize(
    "unsayable",
    [
        PublishProperties(correlation_data=b"x" * 65536),
        PublishProperties(content_type="é" * 32768),
        PublishProperties(user=(("\ud800", ""),)),
    ],
)
def test_what_mqtt_cannot_say_is_refused(unsayable):
    with pytest.raises(PublishRefused):
        properties.of_publish(unsayable)


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0", "\udfff", "é" * 32768])
def test_a_topic_that_mqtt_forbids_is_refused(topic):
    with pytest.raises(PublishRefused):
        properties.topic_name(topic)


def test_a_topic_is_utf_8():
    assert properties.topic_name("tür/1") == "tür/1".encode()


@pytest.mark.parametrize(("payload", "length"), [(0, 2 + 6), (121, 2 + 127), (122, 3 + 128)])
def test_the_length_of_a_packet_counts_its_header(payload, length):
    assert properties.length_of_publish(b"a", b"x" * payload, properties.EMPTY) == length
