"""How a session's messages are enciphered: AES-128 in counter mode, or in Galois/counter mode with newer firmware.

Counter mode as SwitchBot uses it keeps a message from who cannot guess it, and no more: every message of a session is
enciphered with the same key stream, from the same IV, and nothing authenticates it. What binds a message to its session
is two bytes of the IV in clear. So nothing rests on an old message being unrepeatable: what proves an action's end is
read under an IV that the lock gave after the action (see `session`).

Galois/counter mode counts the IV up with every command that was answered, and carries two bytes of the tag: a message
that is repeated, late or changed is found out, but for one in 65536. PySwitchbot does not check the tag in what the
lock says, and no capture of such a message is public. So a session checks it if its first message has it right.

Source: PySwitchbot 3.1.0, `devices/device.py`. That in counter mode what a lock says carries its IV's first bytes is
seen in captures of a Lock and a Lock Pro (home-assistant/core issues 92370 and 142316, sblibs/pySwitchbot issue 353).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher as Aes
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CTR, GCM

KEY_BYTES = 16
MARK_BYTES = 2
"""Of a message's mark in clear, before what is enciphered."""
_GCM_IV_BYTES = 12
_TAG_BYTES = 16


class Mode(IntEnum):
    """As the lock names it when it gives an IV."""

    CTR = 0
    GCM = 1


IV_BYTES = {Mode.CTR: 16, Mode.GCM: _GCM_IV_BYTES}


class Cipher(Protocol):
    """One session's, in both directions."""

    checked: bool | None
    """Whether what comes is checked by more than its session; None until its first message tells."""

    def seal(self, message: bytes) -> bytes:
        """Return a message's mark and the message, enciphered."""
        ...

    def unseal(self, sealed: bytes) -> bytes | None:
        """Take mark and message apart; None if it is none of this session, or not of this time in it."""
        ...

    def advance(self) -> None:
        """Take it that a command was answered: what comes next is enciphered differently, where the mode does so."""
        ...


class CtrCipher:
    """Every message with the same key stream."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self.checked: bool | None = False
        self._aes = Aes(AES128(key), CTR(iv))
        self._mark = iv[:MARK_BYTES]

    def seal(self, message: bytes) -> bytes:
        """Return a message's mark and the message, enciphered."""
        return self._mark + self._aes.encryptor().update(message)

    def unseal(self, sealed: bytes) -> bytes | None:
        """Take mark and message apart; None if it is none of this session."""
        if sealed[:MARK_BYTES] != self._mark:
            return None
        return self._aes.decryptor().update(sealed[MARK_BYTES:])

    def advance(self) -> None:
        """Change nothing."""


class GcmCipher:
    """Every answered command with its own IV.

    Args:
        key: 16 bytes.
        iv: 12 bytes.
        checked: whether the other side is known to mark its messages; None to find out by the first.
    """

    def __init__(self, key: bytes, iv: bytes, *, checked: bool | None = None) -> None:
        self._key = AES128(key)
        self._iv = iv
        self.checked: bool | None = checked

    def seal(self, message: bytes) -> bytes:
        """Return a message's mark and the message, enciphered."""
        encryptor = Aes(self._key, GCM(self._iv)).encryptor()
        sealed = encryptor.update(message) + encryptor.finalize()
        return encryptor.tag[:MARK_BYTES] + sealed

    def unseal(self, sealed: bytes) -> bytes | None:
        """Take mark and message apart; None if the mark is not right, where marks are checked."""
        decryptor = Aes(self._key, GCM(self._iv, bytes(_TAG_BYTES))).decryptor()
        message = decryptor.update(sealed[MARK_BYTES:])
        genuine = self.seal(message) == sealed
        if self.checked is None:
            self.checked = genuine
        return message if genuine or not self.checked else None

    def advance(self) -> None:
        """Count the IV up."""
        following = (int.from_bytes(self._iv, "big") + 1) % (1 << 8 * _GCM_IV_BYTES)
        self._iv = following.to_bytes(_GCM_IV_BYTES, "big")


def cipher(mode: Mode, key: bytes, iv: bytes, *, checked: bool | None = None) -> Cipher:
    """Return the cipher that a lock asks for.

    Args:
        mode: the lock's.
        key: 16 bytes.
        iv: as many bytes as the mode takes.
        checked: whether the other side is known to mark its messages with the tag; None to find out.
    """
    return CtrCipher(key, iv) if mode is Mode.CTR else GcmCipher(key, iv, checked=checked)
