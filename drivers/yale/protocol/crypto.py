"""AES as the protocol uses it: single blocks on the secure channel, two running chains on the normal one.

The normal channel is CBC with an initial vector of zeros and one chain per direction for the whole session; a frame is
one block of it (`yalexs_ble.session.Session.set_key`). A chain goes on from the block that came last, whatever became
of it, so what is lost or foreign costs its own frame and the next one, and no more.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

KEY_BYTES = 16
BLOCK_BYTES = 16


class Block:
    """AES-128 on single blocks."""

    def __init__(self, key: bytes) -> None:
        """Take a key of 16 bytes."""
        cipher = Cipher(AES(key), ECB())  # noqa: S305 - the vendor's choice; each block is one frame
        self._encryptor = cipher.encryptor()
        self._decryptor = cipher.decryptor()

    def encrypt(self, block: bytes) -> bytes:
        """Encrypt 16 bytes."""
        return self._encryptor.update(block)

    def decrypt(self, block: bytes) -> bytes:
        """Decrypt 16 bytes."""
        return self._decryptor.update(block)


class Chain:
    """One direction of a session's CBC."""

    def __init__(self, block: Block) -> None:
        """Begin with the zero vector."""
        self._block = block
        self._last = bytes(BLOCK_BYTES)

    def encrypt(self, plain: bytes) -> bytes:
        """Encrypt the next 16 bytes of the chain."""
        self._last = self._block.encrypt(_xor(plain, self._last))
        return self._last

    def decrypt(self, block: bytes) -> bytes:
        """Decrypt the next 16 bytes of the chain."""
        plain = _xor(self._block.decrypt(block), self._last)
        self._last = block
        return plain


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
