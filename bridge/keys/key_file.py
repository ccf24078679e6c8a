"""Keys that others hold, as the bridge keeps them: one private file, changed by one process at a time.

Rules:
1. The file is looked at whenever its keys are asked for, so that a change counts at once in a running bridge.
2. It is complete or absent, and its owner's alone. What cannot be read makes no key good.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Collection, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field, ValidationError

from bridge.errors import BridgeError
from bridge.keys import private_file

KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]


class KeptKey(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What all keys have in common."""

    id: KeyId
    """Its public part."""
    name: str
    """What its holder is called."""
    locks: frozenset[str] | None = None
    """The locks that it is for; None for all."""
    created_at: datetime

    def covers(self, lock_id: str) -> bool:
        """Tell whether the key is for this lock."""
        return self.locks is None or lock_id in self.locks


K = TypeVar("K", bound=KeptKey)


class Document(BaseModel, Generic[K], frozen=True, extra="forbid", hide_input_in_errors=True):
    """What is in the file."""

    keys: tuple[K, ...] = ()


def unused_id(known: Collection[str]) -> str:
    """Make up a key's id."""
    while (key_id := secrets.token_hex(4)) in known:
        pass
    return key_id


class KeyFile(Generic[K]):
    """The file of one kind of keys.

    Args:
        state_dir: the bridge's state folder.
        name: of the file in it.
        document: what is in it.
        error: raised where it cannot be used. The message names the file and the remedy.
    """

    def __init__(self, state_dir: Path, name: str, document: type[Document[K]], error: type[BridgeError]) -> None:
        """Open nothing yet."""
        self._state_dir = state_dir
        self._path = state_dir / name
        self._document = document
        self._error = error
        self._seen: tuple[int, ...] | None = None
        self._known: dict[str, K] = {}

    def read(self) -> dict[str, K]:
        """Return the keys by their ids, the oldest first, reading the file if it is another than before."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._known = None, {}
            return {}
        except OSError as error:
            raise self._error(f"{self._path} cannot be read: {error.strerror}") from None
        mark = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        if mark != self._seen:
            self._seen, self._known = mark, {key.id: key for key in self._load().keys}
        return dict(self._known)

    @contextmanager
    def change(self) -> Generator[dict[str, K]]:
        """Keep what the caller makes of the keys: one at a time, or what one revokes another could bring back.

        Run as root, the file is left to the owner of the state folder.
        """
        try:
            folder = os.open(self._state_dir, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            keys = self.read()
            before = dict(keys)
            yield keys
            if keys != before:
                self._write(folder, keys)
        finally:
            os.close(folder)

    def _load(self) -> Document[K]:
        try:
            return self._document.model_validate_json(private_file.read(self._path))
        except private_file.Exposed:
            raise self._error(f"{self._path} can be written or read by others; do: chmod 600 {self._path}") from None
        except OSError as error:
            raise self._error(f"{self._path} cannot be read: {error.strerror}") from None
        except (ValidationError, ValueError):
            raise self._error(f"{self._path} is damaged; remove it, and make new keys") from None

    def _write(self, folder: int, keys: dict[str, K]) -> None:
        document = self._document(keys=tuple(keys.values())).model_dump(mode="json")
        try:
            private_file.replace(folder, self._path.name, json.dumps(document, indent=2).encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> BridgeError:
        return self._error(
            f"{self._path} cannot be written: {error.strerror}; run this as the owner of {self._state_dir} or as root"
        )
