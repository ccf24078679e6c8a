"""MQTT packets as bytes, for fakes and proxies: just enough framing, and nothing of paho's."""

from __future__ import annotations

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """Return one packet."""
    length, left = bytearray(), len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([kind << 4 | flags]) + bytes(length) + body


def split(buffer: bytearray) -> list[bytes]:
    """Take every whole packet off the front of a buffer."""
    packets: list[bytes] = []
    while (end := _end(buffer)) is not None:
        packets.append(bytes(buffer[:end]))
        del buffer[:end]
    return packets


def kind_of(whole: bytes) -> int:
    """Return the type of a packet."""
    return whole[0] >> 4


def body_of(whole: bytes) -> bytes:
    """Return what follows the fixed header."""
    start = 1
    while whole[start] & 0x80:
        start += 1
    return whole[start + 1 :]


def connack(properties: bytes = b"", code: int = 0, *, session_present: bool = False, level: int = 5) -> bytes:
    """Return a CONNACK; `properties` without their length."""
    return packet(
        CONNACK, bytes([session_present, code]) + (bytes([len(properties)]) + properties if level == 5 else b"")
    )


def publish(topic: bytes, payload: bytes, packet_id: int, *, properties: bytes = b"", level: int = 5) -> bytes:
    """Return a QoS 1 PUBLISH; `properties` without their length."""
    extra = bytes([len(properties)]) + properties if level == 5 else b""
    body = len(topic).to_bytes(2) + topic + packet_id.to_bytes(2) + extra + payload
    return packet(PUBLISH, body, flags=0b0010)


def packet_id_of(whole: bytes) -> int:
    """Return the packet identifier of a QoS 1 PUBLISH, a PUBACK or a SUBSCRIBE."""
    body = body_of(whole)
    start = 2 + int.from_bytes(body[:2]) if kind_of(whole) == PUBLISH else 0
    return int.from_bytes(body[start : start + 2])


def _end(buffer: bytearray) -> int | None:
    length = 0
    for index, byte in enumerate(buffer[1:5]):
        length |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            end = 2 + index + length
            return end if len(buffer) >= end else None
    return None
