"""Keys for the HTTP interface.

Rules:
1. A key is shown once, when it is made; kept is its SHA-256 alone. A key is 256 random bits, which nobody can try out,
   so a slow hash would protect nothing and would let anybody keep the bridge busy with wrong keys.
2. A key is found by its public part and compared in constant time.
3. The store is looked at whenever a key is shown, so that one that is revoked ends at once.

Seam's clients take keys that begin with `seam_`, but not with `seam_at`, `seam_cst` or `seam_pk`, which name tokens of
other kinds.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bridge.errors import BridgeError
from bridge.keys.key_file import Document, KeptKey, KeyFile, unused_id

FILE = "api_keys.json"
PREFIX = "seam_lb_"
MOST = 1000
"""Keys that a bridge has at most."""

Scope = Literal["read", "operate"]
"""What a key allows: to ask, or to ask and to move the bolt."""

_NOBODYS = hashlib.sha256(secrets.token_bytes()).hexdigest()
"""What a key is compared to if there is none by its name, so that it takes as long."""


class ApiKeyError(BridgeError):
    """The keys cannot be read or written. The message names the file and the remedy."""


class ApiKey(KeptKey, frozen=True):
    """A key as it is kept."""

    scope: Scope
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]

    def allows(self, scope: Scope) -> bool:
        """Tell whether the key is good for this."""
        return scope in ("read", self.scope)


@dataclass(frozen=True, slots=True)
class Made:
    """A new key, and the only time that it is seen in full."""

    kept: ApiKey
    secret: str

    def __repr__(self) -> str:
        """Show which key, never the key."""
        return f"Made({self.kept!r})"


class ApiKeys:
    """The keys of a bridge.

    Args:
        state_dir: the bridge's state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        """Open nothing yet."""
        self._file = KeyFile(state_dir, FILE, Document[ApiKey], ApiKeyError)

    def list(self) -> list[ApiKey]:
        """Return the keys, the oldest first.

        Raises:
            ApiKeyError: the file cannot be used.
        """
        return list(self._file.read().values())

    def make(self, name: str, scope: Scope, locks: Collection[str] | None = None) -> Made:
        """Make a key and keep what recognises it.

        Run as root, the file is left to the owner of the state folder.

        Raises:
            ApiKeyError: the file cannot be used, or holds as many as it may.
        """
        with self._file.change() as known:
            if len(known) >= MOST:
                raise ApiKeyError(f"there are {MOST} keys already; revoke some with: lock-bridge api-key revoke ID")
            public = unused_id(known)
            secret = f"{PREFIX}{public}_{secrets.token_hex(32)}"
            kept = ApiKey(
                id=public,
                name=name,
                scope=scope,
                locks=None if locks is None else frozenset(locks),
                created_at=datetime.now(UTC).replace(microsecond=0),
                sha256=_digest(secret),
            )
            known[public] = kept
        return Made(kept, secret)

    def revoke(self, key_id: str) -> bool:
        """End a key; tell whether there was one.

        Raises:
            ApiKeyError: the file cannot be used.
        """
        with self._file.change() as known:
            return known.pop(key_id, None) is not None

    def find(self, secret: str) -> ApiKey | None:
        """Return what is kept of a key that is shown, if it is one.

        Raises:
            ApiKeyError: the file cannot be used, so no key is good.
        """
        known = self._file.read()
        public, _, _ = secret.removeprefix(PREFIX).partition("_")
        found = known.get(public)
        same = hmac.compare_digest(_digest(secret), found.sha256 if found else _NOBODYS)
        return found if same else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
