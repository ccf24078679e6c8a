"""Signatures of commands: what is signed, and whether a signature is good. Pure.

A signature proves to the bridge who gave a command, whatever broker or network it came through. It is over these
lines, in UTF-8, each ended by one line feed (0x0A):

    lock-bridge-command-v1
    the key's id
    the bridge's id
    the lock's id
    the action
    the custom_id
    expires_at, as it is written in the command

None of them can hold a line feed, so no two commands have the same lines. The key's id is made up by the bridge that
took the key in, so that a command is for that bridge alone, even where another one has the same id and the same key.
`custom_id` makes each command one of its kind: the journal remembers it for longer than a signature is good. Which
algorithm is used is the key's to say, never the command's.

Source: RFC 8032 (Ed25519), RFC 2104 (HMAC), RFC 8410 (Ed25519 keys in PKCS #8 and SubjectPublicKeyInfo).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from bridge.errors import Code, Refused
from bridge.keys.key_file import KeptKey

CONTEXT = "lock-bridge-command-v1"
"""What is signed says what it is, so that a signature made for anything else is none here."""
PATTERN = r"^[0-9a-f]{8}:[A-Za-z0-9+/]{40,88}={0,2}$"
"""The key's id and the signature in Base64 (RFC 4648, section 4)."""

Algorithm = Literal["ed25519", "hmac-sha256"]

_FORM = re.compile(r"([0-9a-f]{8}):([A-Za-z0-9+/]{40,88}={0,2})", re.ASCII)

_SEED_IN_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
"""What stands before the 32 bytes of a private key (RFC 8410, section 7)."""
_KEY_IN_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of a public key (RFC 8410, section 4)."""
_PEM = re.compile(r"\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]{1,1000})-----END PUBLIC KEY-----\s*", re.ASCII)


class SigningKey(KeptKey, frozen=True):
    """A key as the bridge keeps it."""

    algorithm: Algorithm
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    """Of Ed25519 the public key; of HMAC-SHA256 the secret, which the bridge must know, too. In hexadecimal."""

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Tell whether a signature was made of a text by this key's holder."""
        key = bytes.fromhex(self.key)
        if self.algorithm == "hmac-sha256":
            return hmac.compare_digest(hmac.digest(key, text, hashlib.sha256), signature)
        from nacl.exceptions import CryptoError
        from nacl.signing import VerifyKey

        try:
            VerifyKey(key).verify(text, signature)
        except (CryptoError, ValueError):  # no signature by this key, or none at all by its length
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it came with a command, and what of the command is in no other form any more."""

    key_id: str
    value: bytes = field(repr=False)
    custom_id: str
    expires_at: str
    """As it was written."""


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signatures are good at this bridge."""

    bridge_id: str = ""
    keys: Mapping[str, SigningKey] = field(default_factory=lambda: MappingProxyType({}))

    def check(self, signature: Signature, lock_id: str, action: str) -> None:
        """See that a command was signed for this bridge, for this lock, and with a key that is for it.

        Raises:
            Refused: with `SIGNATURE_INVALID`.
        """
        key = self.keys.get(signature.key_id)
        if key is None:
            raise _invalid(f"There is no signing key {signature.key_id}; lock-bridge signing-key list shows them.")
        text = signed_text(
            key_id=key.id,
            bridge_id=self.bridge_id,
            lock_id=lock_id,
            action=action,
            custom_id=signature.custom_id,
            expires_at=signature.expires_at,
        )
        if not key.verifies(text, signature.value):
            raise _invalid("The signature is not one of this command by this key.")
        if not key.covers(lock_id):
            raise _invalid("The signing key is not for this lock.")


def signed_text(*, key_id: str, bridge_id: str, lock_id: str, action: str, custom_id: str, expires_at: str) -> bytes:
    """Return what is signed.

    Raises:
        ValueError: a part holds a line feed, or half a surrogate pair, which is no text.
    """
    parts = (CONTEXT, key_id, bridge_id, lock_id, action, custom_id, expires_at)
    if any("\n" in part for part in parts):
        raise ValueError("a part of what is signed holds a line feed")
    return "".join(f"{part}\n" for part in parts).encode()


def split(text: str) -> tuple[str, bytes]:
    """Return the key's id and the signature that `KEY:BASE64` names.

    Raises:
        ValueError: it is something else.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("it is not a key's id, a colon and a signature in Base64")
    try:
        return found[1], base64.b64decode(found[2], validate=True)
    except binascii.Error:
        raise ValueError("it is not a key's id, a colon and a signature in Base64") from None


def private_pem(seed: bytes) -> str:
    """Return an Ed25519 private key, from its 32 bytes, as OpenSSL and others read it."""
    return _pem("PRIVATE KEY", _SEED_IN_PKCS8 + seed)


def public_key(pem: str) -> bytes:
    """Return the 32 bytes of an Ed25519 public key.

    Raises:
        ValueError: it is something else; says what to give.
    """
    found = _PEM.fullmatch(pem)
    try:
        content = base64.b64decode("".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        content = b""
    if len(content) != len(_KEY_IN_SPKI) + 32 or not content.startswith(_KEY_IN_SPKI):
        raise ValueError("is no Ed25519 public key in PEM, as `openssl pkey -in key.pem -pubout` writes it")
    return content.removeprefix(_KEY_IN_SPKI)


def _pem(label: str, content: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.b64encode(content).decode()}\n-----END {label}-----\n"


def _invalid(message: str) -> Refused:
    return Refused(Code.SIGNATURE_INVALID, message)
