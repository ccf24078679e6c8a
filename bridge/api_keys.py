"""Keys for the HTTP interface.

Rules:
1. A key is shown once, when it is made; kept is its SHA-256 alone. A key is 256 random bits, which nobody can try out,
   so a slow hash would protect nothing and would let anybody keep the bridge busy with wrong keys.
2. A key is found by its public part and compared in constant time.
3. The store is looked at whenever a key is shown, so that one that is revoked ends at once.
4. The file is complete or absent, and its owner's alone.

Seam's clients take keys that begin with `seam_`, but not with `seam_at`, `seam_cst` or `seam_pk`, which name tokens of
other kinds.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from bridge import private_file
from bridge.errors import BridgeError

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


class ApiKey(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """A key as it is kept."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    """Its public part."""
    name: str
    """What its holder is called."""
    scope: Scope
    locks: frozenset[str] | None = None
    """The locks that it is for; None for all."""
    created_at: datetime
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]

    def allows(self, scope: Scope) -> bool:
        """Tell whether the key is good for this."""
        return scope in ("read", self.scope)

    def covers(self, lock_id: str) -> bool:
        """Tell whether the key is for this lock."""
        return self.locks is None or lock_id in self.locks


class _Document(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """The file."""

    keys: tuple[ApiKey, ...] = ()


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
        self._state_dir = state_dir
        self._path = state_dir / FILE
        self._seen: tuple[int, ...] | None = None
        self._known: dict[str, ApiKey] = {}

    def list(self) -> list[ApiKey]:
        """Return the keys, the oldest first.

        Raises:
            ApiKeyError: the file cannot be used.
        """
        return list(self._read().values())

    def make(self, name: str, scope: Scope, locks: Collection[str] | None = None) -> Made:
        """Make a key and keep what recognises it.

        Run as root, the file is left to the owner of the state folder.

        Raises:
            ApiKeyError: the file cannot be used, or holds as many as it may.
        """
        with self._open_folder() as folder:
            known = self._read()
            if len(known) >= MOST:
                raise ApiKeyError(f"there are {MOST} keys already; revoke some with: lock-bridge api-key revoke ID")
            while (public := secrets.token_hex(4)) in known:
                pass
            secret = f"{PREFIX}{public}_{secrets.token_hex(32)}"
            kept = ApiKey(
                id=public,
                name=name,
                scope=scope,
                locks=None if locks is None else frozenset(locks),
                created_at=datetime.now(UTC).replace(microsecond=0),
                sha256=_digest(secret),
            )
            self._write(folder, [*known.values(), kept])
        return Made(kept, secret)

    def revoke(self, key_id: str) -> bool:
        """End a key; tell whether there was one.

        Raises:
            ApiKeyError: the file cannot be used.
        """
        with self._open_folder() as folder:
            known = self._read()
            if known.pop(key_id, None) is None:
                return False
            self._write(folder, known.values())
        return True

    def find(self, secret: str) -> ApiKey | None:
        """Return what is kept of a key that is shown, if it is one.

        Raises:
            ApiKeyError: the file cannot be used, so no key is good.
        """
        known = self._read()
        public, _, _ = secret.removeprefix(PREFIX).partition("_")
        found = known.get(public)
        same = hmac.compare_digest(_digest(secret), found.sha256 if found else _NOBODYS)
        return found if same else None

    def _read(self) -> dict[str, ApiKey]:
        """Return the keys by their ids, reading the file if it is another than before."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._known = None, {}
            return {}
        except OSError as error:
            raise ApiKeyError(f"{self._path} cannot be read: {error.strerror}") from None
        mark = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        if mark != self._seen:
            try:
                document = _Document.model_validate_json(private_file.read(self._path))
            except private_file.Exposed:
                raise ApiKeyError(
                    f"{self._path} can be written or read by others; do: chmod 600 {self._path}"
                ) from None
            except OSError as error:
                raise ApiKeyError(f"{self._path} cannot be read: {error.strerror}") from None
            except (ValidationError, ValueError):
                raise ApiKeyError(f"{self._path} is damaged; remove it, and make new keys") from None
            self._seen, self._known = mark, {key.id: key for key in document.keys}
        return dict(self._known)

    @contextmanager
    def _open_folder(self) -> Generator[int]:
        """Open the state folder for a change: one at a time, or what one process revokes another could bring back."""
        try:
            folder = os.open(self._state_dir, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)

    def _write(self, folder: int, keys: Iterable[ApiKey]) -> None:
        document = _Document(keys=tuple(keys)).model_dump(mode="json")
        try:
            private_file.replace(folder, FILE, json.dumps(document, indent=2).encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> ApiKeyError:
        return ApiKeyError(
            f"{self._path} cannot be written: {error.strerror}; run this as the owner of {self._state_dir} or as root"
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
