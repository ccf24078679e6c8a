"""Keys that commands are signed with: of Ed25519 the bridge keeps the public half alone.

Several keys are good at the same time, so that one is replaced by making the next, giving it to its holder, and
revoking the first. A change counts from the next command on, in a running bridge too.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bridge.errors import BridgeError
from bridge.keys.key_file import Document, KeyFile, unused_id
from bridge.keys.signing import Algorithm, SigningKey, private_pem

log = structlog.get_logger()

FILE = "signing_keys.json"
MOST = 1000
"""Keys that a bridge has at most."""


class SigningKeyError(BridgeError):
    """The keys cannot be read or written. The message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new key, and the only time that it is seen in full."""

    kept: SigningKey
    secret: str
    """A private key in PEM, or for HMAC 32 bytes in hexadecimal; ends with a line feed."""

    def __repr__(self) -> str:
        """Show which key, never the key."""
        return f"Made({self.kept!r})"


class SigningKeys:
    """The signing keys of a bridge.

    Args:
        state_dir: the bridge's state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        """Open nothing yet."""
        self._file = KeyFile(state_dir, FILE, Document[SigningKey], SigningKeyError)

    def list(self) -> list[SigningKey]:
        """Return the keys, the oldest first.

        Raises:
            SigningKeyError: the file cannot be used.
        """
        return list(self._file.read().values())

    def good(self) -> Mapping[str, SigningKey]:
        """Return the keys by their ids; none where the file cannot be used."""
        try:
            return self._file.read()
        except SigningKeyError as error:
            log.warning("no signing key is good", reason=str(error))
            return {}

    def make(self, name: str, algorithm: Algorithm, locks: Collection[str] | None = None) -> Made:
        """Make a key and keep what verifies it.

        Raises:
            SigningKeyError: the file cannot be used, or holds as many as it may.
        """
        secret = secrets.token_bytes(32)
        if algorithm == "hmac-sha256":
            return Made(self._keep(name, algorithm, secret, locks), f"{secret.hex()}\n")
        from nacl.signing import SigningKey as PrivateKey

        kept = self._keep(name, algorithm, bytes(PrivateKey(secret).verify_key), locks)
        return Made(kept, private_pem(secret))

    def take(self, name: str, public_key: bytes, locks: Collection[str] | None = None) -> SigningKey:
        """Keep the public half of an Ed25519 key that its holder has made.

        Raises:
            SigningKeyError: the file cannot be used, or holds as many as it may.
        """
        return self._keep(name, "ed25519", public_key, locks)

    def revoke(self, key_id: str) -> bool:
        """End a key; tell whether there was one.

        Raises:
            SigningKeyError: the file cannot be used.
        """
        with self._file.change() as known:
            return known.pop(key_id, None) is not None

    def _keep(self, name: str, algorithm: Algorithm, key: bytes, locks: Collection[str] | None) -> SigningKey:
        with self._file.change() as known:
            if len(known) >= MOST:
                raise SigningKeyError(
                    f"there are {MOST} keys already; revoke some with: lock-bridge signing-key revoke ID"
                )
            kept = SigningKey(
                id=unused_id(known),
                name=name,
                algorithm=algorithm,
                locks=None if locks is None else frozenset(locks),
                created_at=datetime.now(UTC).replace(microsecond=0),
                key=key.hex(),
            )
            known[kept.id] = kept
        return kept
