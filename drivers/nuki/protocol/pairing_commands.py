"""The messages of pairing ("Command usage examples", "Authorize app"); see `commands` for the rules.

Each authenticator is made and checked by the message that carries it: an HMAC under the shared key over the
message's own fields and the nonce that the other side handed out, which does not travel again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import ClassVar, Self

from drivers.nuki.protocol.codes import Command
from drivers.nuki.protocol.commands import Challenge, ErrorReport, RequestData, Status
from drivers.nuki.protocol.crypto import authentic, authenticator
from drivers.nuki.protocol.wire import NAME_BYTES, Fixed, Message, pack_name, unpack, unpack_name


@dataclass(frozen=True, slots=True)
class PublicKey(Fixed):
    """A side's Curve25519 public key (Public Key 0x0003)."""

    command: ClassVar[int] = Command.PUBLIC_KEY
    layout: ClassVar[str] = "<32s"
    key: bytes


@dataclass(frozen=True, slots=True)
class Authenticator(Fixed):
    """Our proof that we hold the shared key (Authorization Authenticator 0x0005)."""

    command: ClassVar[int] = Command.AUTHENTICATOR
    layout: ClassVar[str] = "<32s"
    code: bytes

    @classmethod
    def sign(cls, key: bytes, ours: bytes, theirs: bytes, challenge: bytes) -> Self:
        """Prove it: `ours` is the signer's public key, the host's."""
        return cls(authenticator(key, ours, theirs, challenge))

    def verify(self, key: bytes, host: bytes, lock: bytes, challenge: bytes) -> bool:
        """Check it with both public keys."""
        return authentic(self.code, key, host, lock, challenge)


@dataclass(frozen=True, slots=True)
class AuthorizationData:
    """Who we are (Authorization Data 0x0006)."""

    command: ClassVar[int] = Command.AUTHORIZATION_DATA
    code: bytes
    kind: int
    app_id: int
    name: str
    nonce: bytes = field(repr=False)
    """32 bytes that the lock signs in its answer."""

    def _fields(self) -> bytes:
        return struct.pack("<BI", self.kind, self.app_id) + pack_name(self.name) + self.nonce

    @classmethod
    def sign(cls, key: bytes, challenge: bytes, *, kind: int, app_id: int, name: str, nonce: bytes) -> Self:
        """Make the message with its authenticator."""
        bare = cls(b"", kind, app_id, name, nonce)
        return cls(authenticator(key, bare._fields(), challenge), kind, app_id, name, nonce)

    def verify(self, key: bytes, challenge: bytes) -> bool:
        """Check the authenticator."""
        return authentic(self.code, key, self._fields(), challenge)

    def encode(self) -> bytes:
        """Return the payload."""
        return self.code + self._fields()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        code, kind, app_id, name, nonce = unpack(f"<32sBI{NAME_BYTES}s32s", payload, exact=True)
        return cls(code, kind, app_id, unpack_name(name), nonce)


@dataclass(frozen=True, slots=True)
class AuthorizationId:
    """The authorization that the lock gives us (Authorization-ID 0x0007)."""

    command: ClassVar[int] = Command.AUTHORIZATION_ID
    code: bytes
    auth_id: int
    uuid: bytes
    nonce: bytes = field(repr=False)

    def _fields(self) -> bytes:
        return struct.pack("<I16s32s", self.auth_id, self.uuid, self.nonce)

    @classmethod
    def sign(cls, key: bytes, challenge: bytes, *, auth_id: int, uuid: bytes, nonce: bytes) -> Self:
        """Make the message with its authenticator; the challenge is the nonce of the Authorization Data."""
        bare = cls(b"", auth_id, uuid, nonce)
        return cls(authenticator(key, bare._fields(), challenge), auth_id, uuid, nonce)

    def verify(self, key: bytes, challenge: bytes) -> bool:
        """Check the authenticator: without it, whoever stands between could have answered."""
        return authentic(self.code, key, self._fields(), challenge)

    def encode(self) -> bytes:
        """Return the payload."""
        return self.code + self._fields()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        return cls(*unpack("<32sI16s32s", payload, exact=True))


@dataclass(frozen=True, slots=True)
class Confirmation(Fixed):
    """That we have stored the authorization (Authorization-ID Confirmation 0x001E)."""

    command: ClassVar[int] = Command.CONFIRMATION
    layout: ClassVar[str] = "<32sI"
    code: bytes
    auth_id: int

    @classmethod
    def sign(cls, key: bytes, challenge: bytes, *, auth_id: int) -> Self:
        """Make the message with its authenticator."""
        return cls(authenticator(key, struct.pack("<I", auth_id), challenge), auth_id)

    def verify(self, key: bytes, challenge: bytes) -> bool:
        """Check the authenticator."""
        return authentic(self.code, key, struct.pack("<I", self.auth_id), challenge)


@dataclass(frozen=True, slots=True)
class AuthorizationInfo(Fixed):
    """That the lock wants its PIN (Authorization Info 0x004C; Ultra and fifth generation)."""

    command: ClassVar[int] = Command.AUTHORIZATION_INFO
    layout: ClassVar[str] = "<B"
    pin_info: int


@dataclass(frozen=True, slots=True)
class UltraAuthorizationData:
    """Who we are, with the lock's PIN, sent encrypted (Authorization Data 0x0006; Ultra and fifth generation)."""

    command: ClassVar[int] = Command.AUTHORIZATION_DATA
    app_id: int
    name: str
    pin: int = field(repr=False)

    def encode(self) -> bytes:
        """Return the payload."""
        return struct.pack("<I", self.app_id) + pack_name(self.name) + struct.pack("<I", self.pin)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse the payload."""
        app_id, name, pin = unpack(f"<I{NAME_BYTES}sI", payload, exact=True)
        return cls(app_id, unpack_name(name), pin)


@dataclass(frozen=True, slots=True)
class UltraAuthorizationId(Fixed):
    """The authorization, sent encrypted (Authorization-ID 0x0007; Ultra and fifth generation)."""

    command: ClassVar[int] = Command.AUTHORIZATION_ID
    layout: ClassVar[str] = "<I16s"
    auth_id: int
    uuid: bytes


PAIRING_FROM_LOCK: dict[int, type[Message]] = {
    kind.command: kind for kind in (PublicKey, Challenge, AuthorizationId, AuthorizationInfo, Status, ErrorReport)
}
"""What a lock sends in clear while pairing."""

PAIRING_FROM_HOST: dict[int, type[Message]] = {
    kind.command: kind for kind in (RequestData, PublicKey, Authenticator, AuthorizationData, Confirmation)
}
"""What a host sends in clear while pairing."""

ULTRA_PLACEHOLDER = 0x7FFFFFFF
"""The authorization id in the frames of an Ultra's pairing, before there is one."""
