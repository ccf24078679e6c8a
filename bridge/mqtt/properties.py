"""The MQTT 5 properties that the bridge sends, as bytes.

Source: MQTT Version 5.0, section 2.2.2 (identifiers) and 1.5 (data representation). Encoding a set takes a few
microseconds, which counts at six messages per command.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

from bridge.mqtt.broker import PublishRefused

if TYPE_CHECKING:
    from bridge.mqtt.broker import PublishProperties

EMPTY = b"\x00"
_STRING_LIMIT = 0xFFFF
_NOT_IN_TOPICS = frozenset("+#\0")

_MESSAGE_EXPIRY = 0x02
_CONTENT_TYPE = 0x03
_CORRELATION_DATA = 0x09
_SESSION_EXPIRY = 0x11
_WILL_DELAY = 0x18
_RECEIVE_MAXIMUM = 0x21
_USER_PROPERTY = 0x26
_MAXIMUM_PACKET_SIZE = 0x27


def of_connect(*, session_expiry: int, receive_maximum: int, maximum_packet_size: int) -> bytes:
    """Return the properties of CONNECT; seconds, packets, bytes."""
    return _framed(
        pack(
            "!BIBHBI",
            *(_SESSION_EXPIRY, session_expiry),
            *(_RECEIVE_MAXIMUM, receive_maximum),
            *(_MAXIMUM_PACKET_SIZE, maximum_packet_size),
        )
    )


def of_will(*, delay: int) -> bytes:
    """Return the properties of a will; seconds."""
    return _framed(pack("!BI", _WILL_DELAY, delay))


def of_publish(properties: PublishProperties) -> bytes:
    """Return the properties of PUBLISH.

    Raises:
        PublishRefused: a text or the correlation data is more than MQTT can say (65535 bytes of UTF-8).
    """
    parts: list[bytes] = []
    if properties.message_expiry is not None:
        parts.append(pack("!BI", _MESSAGE_EXPIRY, properties.message_expiry))
    if properties.content_type is not None:
        parts.append(bytes([_CONTENT_TYPE]) + _text(properties.content_type))
    if properties.correlation_data is not None:
        parts.append(bytes([_CORRELATION_DATA]) + _binary(properties.correlation_data))
    parts.extend(bytes([_USER_PROPERTY]) + _text(name) + _text(value) for name, value in properties.user)
    return _framed(b"".join(parts))


def topic_name(topic: str) -> bytes:
    """Return a topic to publish on as bytes.

    Raises:
        PublishRefused: MQTT forbids it (MQTT 5.0, sections 1.5.4 and 4.7.3).
    """
    name = _utf8(topic)
    if not 0 < len(name) <= _STRING_LIMIT or not _NOT_IN_TOPICS.isdisjoint(topic):
        raise PublishRefused("Topic name invalid")
    return name


def length_of_publish(topic: bytes, payload: bytes, properties: bytes) -> int:
    """Return the length in bytes of a whole QoS 1 PUBLISH packet; `properties` is empty on MQTT 3.1.1."""
    remaining = 2 + len(topic) + 2 + len(properties) + len(payload)
    return 1 + len(_variable_byte_integer(remaining)) + remaining


def _framed(properties: bytes) -> bytes:
    return _variable_byte_integer(len(properties)) + properties


def _text(text: str) -> bytes:
    return _binary(_utf8(text))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PublishRefused("a text has half a surrogate pair") from error


def _binary(data: bytes) -> bytes:
    if len(data) > _STRING_LIMIT:
        raise PublishRefused("a property is longer than 65535 bytes")
    return pack("!H", len(data)) + data


def _variable_byte_integer(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte, the eighth says that more follow
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
