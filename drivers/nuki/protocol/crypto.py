"""The cryptography of the Nuki protocol ("Encryption"): X25519, HSalsa20, HMAC-SHA256, XSalsa20-Poly1305."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_box_beforenm,
    crypto_scalarmult_base,
    crypto_secretbox_easy,
    crypto_secretbox_open_easy,
)
from nacl.exceptions import CryptoError
from nacl.utils import random

from drivers.nuki.protocol.errors import ProtocolError

KEY_BYTES = 32
NONCE_BYTES = 24
"""Of an encrypted frame."""
CHALLENGE_BYTES = 32
"""Of the nonces that the two sides hand each other."""
TAG_BYTES = 16
"""Of the Poly1305 authenticator in front of every ciphertext."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A Curve25519 key pair, 32 bytes each."""

    private: bytes = field(repr=False)
    public: bytes

    @classmethod
    def from_private(cls, private: bytes) -> KeyPair:
        """Make the pair that belongs to a private key."""
        return cls(private, crypto_scalarmult_base(private))

    @classmethod
    def generate(cls) -> KeyPair:
        """Make a new random pair."""
        return cls.from_private(random(KEY_BYTES))


def shared_key(private: bytes, public: bytes) -> bytes:
    """Return the 32-byte long-term key of our private and the other side's public key.

    HSalsa20 of the X25519 secret under a zero input, which is NaCl's `crypto_box_beforenm`.

    Raises:
        ProtocolError: the public key is no point that gives a secret.
    """
    try:
        return crypto_box_beforenm(public, private)
    except (CryptoError, ValueError) as error:
        raise ProtocolError("The lock sent an unusable public key.") from error


def authenticator(key: bytes, *parts: bytes) -> bytes:
    """Return the 32-byte HMAC-SHA256 of the parts in a row."""
    return hmac.digest(key, b"".join(parts), "sha256")


def authentic(code: bytes, key: bytes, *parts: bytes) -> bool:
    """Tell, in constant time, whether the code is the authenticator of the parts."""
    return hmac.compare_digest(code, authenticator(key, *parts))


def challenge() -> bytes:
    """Return a fresh 32-byte nonce to challenge the other side with."""
    return random(CHALLENGE_BYTES)


def frame_nonce() -> bytes:
    """Return a fresh 24-byte nonce for one encrypted frame."""
    return random(NONCE_BYTES)


def seal(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    """Encrypt and authenticate; the result is 16 bytes longer."""
    return crypto_secretbox_easy(plain, nonce, key)


def unseal(key: bytes, nonce: bytes, box: bytes) -> bytes | None:
    """Decrypt; None if it is not authentic."""
    try:
        return crypto_secretbox_open_easy(box, nonce, key)
    except CryptoError:
        return None
