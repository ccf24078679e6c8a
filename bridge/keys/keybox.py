"""The keys to the locks in one file, under a passphrase. Pure.

Rules:
1. What is not authenticated is not believed: all but the checksum is covered by the passphrase's key.
2. A file asks for no more memory or time than `Header` allows, whoever made it.
3. Neither a key nor the passphrase appears in an error.

Theory of operation: three lines of text, so that it survives being mailed or printed. The first is the header, JSON:
how the key is made from the passphrase (Argon2id, RFC 9106) and how the content is sealed (XChaCha20-Poly1305, with
the header's line as its associated data). The second is the sealed content in base64. The third is the SHA-256 of the
first two: it tells damage, which needs another copy, from a wrong passphrase, which needs another try.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field, ValidationError

from bridge.config import fields
from bridge.errors import BridgeError

FORMAT: Literal["lock-bridge credentials"] = "lock-bridge credentials"
VERSION: Literal[1] = 1
LARGEST = 16 * 2**20
"""Bytes of a file that is read."""
SHORTEST = 8
"""Characters of a passphrase: whoever finds the file may try as many as they like."""

_MEMORY = 128 * 2**20
_PASSES = 3
"""About half a second on a Raspberry Pi 4, and 128 MiB, for each try at the passphrase."""
_NONCE = 24
_SALT = 16
_KEY = 32


class KeyboxError(BridgeError):
    """The file cannot be opened. The message says why and what to do."""


class NoKeybox(KeyboxError):
    """The file is something else."""


class NewerKeybox(KeyboxError):
    """A newer version made it."""


class DamagedKeybox(KeyboxError):
    """It is not as it was made."""


class WrongPassphrase(KeyboxError):
    """The passphrase does not open it."""


class _Strict(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True, strict=True):
    """What every part has in common."""


class Header(_Strict, frozen=True):
    """How the content is sealed."""

    format: Literal["lock-bridge credentials"]
    version: Literal[1]
    kdf: Literal["argon2id"]
    memory: int = Field(ge=8192, le=512 * 2**20)
    """Bytes."""
    passes: int = Field(ge=1, le=16)
    salt: str = Field(pattern=f"^[0-9a-f]{{{2 * _SALT}}}$")
    cipher: Literal["xchacha20-poly1305"]
    nonce: str = Field(pattern=f"^[0-9a-f]{{{2 * _NONCE}}}$")


class Kept(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """One lock's key, and what its block in the configuration says."""

    id: fields.Name
    driver: Annotated[str, Field(min_length=1, max_length=64)]
    credential: dict[str, Any] = Field(repr=False)
    name: fields.Label | None = None
    address: fields.Mac | None = None


class Keybox(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Everything in the file."""

    bridge_id: str
    made_at: datetime
    locks: Annotated[Sequence[Kept], Field(max_length=10_000)]


def seal(box: Keybox, passphrase: str, *, memory: int = _MEMORY, passes: int = _PASSES) -> bytes:
    """Return the file that holds the keys.

    Args:
        box: what goes into it.
        passphrase: opens it.
        memory: bytes that each try at the passphrase takes.
        passes: over that memory.

    Raises:
        KeyboxError: there is not so much memory.
    """
    from nacl import bindings

    header = Header(
        format=FORMAT,
        version=VERSION,
        kdf="argon2id",
        memory=memory,
        passes=passes,
        salt=secrets.token_hex(_SALT),
        cipher="xchacha20-poly1305",
        nonce=secrets.token_hex(_NONCE),
    )
    first = json.dumps(header.model_dump()).encode()
    content = box.model_dump_json().encode()
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        content, first, bytes.fromhex(header.nonce), _key(header, passphrase)
    )
    body = first + b"\n" + base64.b64encode(sealed) + b"\n"
    return body + hashlib.sha256(body).hexdigest().encode() + b"\n"


def unseal(data: bytes, passphrase: str) -> Keybox:
    """Return the keys in a file.

    Raises:
        NoKeybox: it is something else.
        NewerKeybox: a newer version made it.
        DamagedKeybox: it is not whole.
        WrongPassphrase: the passphrase does not open it.
        KeyboxError: there is not the memory that it takes.
    """
    from nacl import bindings, exceptions

    lines = data.replace(b"\r\n", b"\n").strip().split(b"\n")
    header = _header(lines[0])
    if len(lines) != 3 or hashlib.sha256(b"\n".join(lines[:2]) + b"\n").hexdigest().encode() != lines[2]:  # noqa: PLR2004 - see above
        raise DamagedKeybox("the file is damaged or cut off; use another copy")
    key = _key(header, passphrase)
    try:
        sealed = base64.b64decode(lines[1], validate=True)
        content = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed, lines[0], bytes.fromhex(header.nonce), key
        )
    except exceptions.CryptoError:
        raise WrongPassphrase("the passphrase is wrong, or somebody has changed the file") from None
    except ValueError:
        raise DamagedKeybox("the file is damaged; use another copy") from None
    try:
        return Keybox.model_validate_json(content)
    except ValidationError:
        raise DamagedKeybox("the file was sealed with content that cannot be used; export it anew") from None


def _header(line: bytes) -> Header:
    try:
        said: Any = json.loads(line[:4096])
    except (ValueError, RecursionError):
        said = None
    told = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    if told.get("format") != FORMAT:
        raise NoKeybox("the file is no export of lock-bridge's credentials")
    version = told.get("version")
    if isinstance(version, int) and version > VERSION:
        raise NewerKeybox("the file was made by a newer version; update lock-bridge and try again")
    try:
        return Header.model_validate(told)
    except ValidationError:
        raise DamagedKeybox("the file's first line is damaged; use another copy") from None


def _key(header: Header, passphrase: str) -> bytes:
    from nacl import exceptions
    from nacl.pwhash import argon2id

    text = unicodedata.normalize("NFC", passphrase).encode(errors="surrogatepass")
    salt = bytes.fromhex(header.salt)
    try:
        key: bytes = argon2id.kdf(_KEY, text, salt, opslimit=header.passes, memlimit=header.memory)
    except (exceptions.RuntimeError, MemoryError):
        raise KeyboxError(f"this machine has no {header.memory // 2**20} MiB of memory to spare; free some") from None
    return key
