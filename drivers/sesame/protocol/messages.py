"""What a lock says: responses to requests, and what it publishes unasked ("Application layer")."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.sesame.protocol.codes import Op, Result


@dataclass(frozen=True, slots=True)
class Response:
    """`07 item result data`."""

    item: int
    result: int
    data: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Whether the lock took the request."""
        return self.result == Result.SUCCESS

    def encode(self) -> bytes:
        """Return its bytes."""
        return bytes([Op.RESPONSE, self.item, self.result]) + self.data


@dataclass(frozen=True, slots=True)
class Publish:
    """`08 item data`."""

    item: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Return its bytes."""
        return bytes([Op.PUBLISH, self.item]) + self.data


Message = Response | Publish


def decode(data: bytes) -> Message | None:
    """Return the message; None for one of another kind."""
    kind, rest = data[:1], data[1:]
    if kind == bytes([Op.RESPONSE]) and len(rest) >= 2:  # noqa: PLR2004 - item, result
        return Response(rest[0], rest[1], rest[2:])
    if kind == bytes([Op.PUBLISH]) and rest:
        return Publish(rest[0], rest[1:])
    return None
