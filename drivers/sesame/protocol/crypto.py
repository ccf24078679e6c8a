"""The cryptography of a session ("Security layer"): a token by AES-CMAC, messages by AES-CCM.

Both directions count their messages from nothing, and the count is part of the nonce: a message that was lost, doubled,
replayed or put elsewhere does not open.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

SECRET_BYTES = 16
RANDOM_BYTES = 4
"""Of the number that a lock makes for each connection."""
PROOF_BYTES = 4
"""Of the token, which prove at the login that the host knows the secret."""
TAG_BYTES = 4
_ASSOCIATED = b"\x00"


def token(secret: bytes, random: bytes) -> bytes:
    """Return the session's key, 16 bytes: AES-CMAC of the lock's random number under the lock's secret."""
    mac = CMAC(AES(secret))
    mac.update(random)
    return mac.finalize()


class Sealer:
    """Encrypts the messages of one direction, in their order."""

    def __init__(self, key: bytes, random: bytes) -> None:
        """Take the session's token and the lock's random number."""
        self._ccm = AESCCM(key, tag_length=TAG_BYTES)
        self._nonces = _Nonces(random)

    def seal(self, message: bytes) -> bytes:
        """Return the next message, encrypted and authenticated; it is 4 bytes longer."""
        sealed = self._ccm.encrypt(self._nonces.next(), message, _ASSOCIATED)
        self._nonces.count += 1
        return sealed


class Opener:
    """Decrypts the messages of one direction, in their order."""

    def __init__(self, key: bytes, random: bytes) -> None:
        """Take the session's token and the lock's random number."""
        self._ccm = AESCCM(key, tag_length=TAG_BYTES)
        self._nonces = _Nonces(random)

    def open(self, sealed: bytes) -> bytes | None:
        """Return the next message; None if this is not it, and it is still waited for."""
        try:
            message = self._ccm.decrypt(self._nonces.next(), sealed, _ASSOCIATED)
        except InvalidTag:
            return None
        self._nonces.count += 1
        return message


class _Nonces:
    """Count u64, a zero byte, the lock's random number: 13 bytes."""

    def __init__(self, random: bytes) -> None:
        self.count = 0
        self._random = random

    def next(self) -> bytes:
        return self.count.to_bytes(8, "little") + b"\x00" + self._random
