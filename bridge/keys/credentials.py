"""The keys to the locks, one file each under the state folder.

Rules:
1. A file is complete or absent: it is written beside, flushed, and put in place in one step.
2. Only the owner of the state folder may read it; one that others can read is refused, since its key may be known.
3. There is one copy of a key; no earlier one is kept.
4. What is in a file appears in no error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from bridge.errors import BridgeError
from bridge.keys import private_file
from drivers.base import Credential, Driver

_FOLDER = "credentials"


class CredentialError(BridgeError):
    """A lock's key cannot be used or stored. The message names the file and the remedy, never what is in it."""


class CredentialMissing(CredentialError):
    """The lock has no stored key: it has not been paired."""


class Credentials:
    """The stored keys of a bridge.

    Args:
        state_dir: the bridge's state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        """Open nothing yet."""
        self._state_dir = state_dir
        self._folder = state_dir / _FOLDER

    def path(self, lock_id: str) -> Path:
        """Return where a lock's key is, if it has one."""
        return self._folder / f"{lock_id}.json"

    def load(self, lock_id: str, driver: Driver) -> Credential:
        """Return the key to a lock.

        Raises:
            CredentialMissing: there is none.
            CredentialError: it cannot be read, others can read it, it is damaged, or it is another driver's.
        """
        path = self.path(lock_id)
        document = self.document(lock_id)
        if document.get("driver") != driver.name:
            raise CredentialError(
                f'{path} is no key for the driver "{driver.name}"; '
                f"correct the lock's driver in the configuration, or pair the lock again"
            )
        try:
            return driver.credential.model_validate(document.get("credential"))
        except ValidationError:
            raise _damaged(path) from None

    def ids(self) -> list[str]:
        """Return the locks that have a stored key, configured or not.

        Raises:
            CredentialError: the folder cannot be read.
        """
        try:
            return sorted(path.stem for path in self._folder.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CredentialError(
                f"{self._folder} cannot be read: {error.strerror}; "
                f"run this as the owner of {self._state_dir} or as root"
            ) from None

    def document(self, lock_id: str) -> dict[str, Any]:
        """Return what is stored of a lock's key: its `driver`, and the `credential` as that driver stores it.

        Raises:
            CredentialMissing: there is none.
            CredentialError: it cannot be read, others can read it, or it is damaged.
        """
        path = self.path(lock_id)
        return _parsed(_read(path, lock_id), path)

    def store(self, lock_id: str, driver: Driver, credential: Credential) -> Path:
        """Keep the key to a lock, in place of one that it had; return where.

        Run as root, it is left to the owner of the state folder.

        Raises:
            CredentialError: the file cannot be written. What was there before still is.
        """
        return self.put(lock_id, {"driver": driver.name, "credential": credential.stored()})

    def put(self, lock_id: str, document: Mapping[str, Any]) -> Path:
        """Keep what `document` returned, here or elsewhere; as `store` does.

        Raises:
            CredentialError: the file cannot be written. What was there before still is.
        """
        try:
            with self._open_folder() as folder:
                private_file.replace(folder, f"{lock_id}.json", json.dumps(document, indent=2).encode() + b"\n")
        except OSError as error:
            raise CredentialError(
                f"{self.path(lock_id)} cannot be written: {error.strerror}; "
                f"run this as the owner of {self._state_dir} or as root"
            ) from None
        return self.path(lock_id)

    def remove(self, lock_id: str) -> bool:
        """Forget the key to a lock; tell whether there was one.

        Raises:
            CredentialError: it cannot be removed.
        """
        try:
            self.path(lock_id).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise CredentialError(f"{self.path(lock_id)} cannot be removed: {error.strerror}") from None
        return True

    @contextmanager
    def _open_folder(self) -> Generator[int]:
        """Open the folder, made if need be, for nobody but the state folder's owner."""
        with suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.geteuid() == 0:
                owner = self._state_dir.stat()
                os.fchown(folder, owner.st_uid, owner.st_gid)
            os.fchmod(folder, 0o700)
            yield folder
        finally:
            os.close(folder)


def _read(path: Path, lock_id: str) -> bytes:
    try:
        return private_file.read(path)
    except FileNotFoundError:
        raise CredentialMissing(f'the lock "{lock_id}" has not been paired; use: lock-bridge pair') from None
    except private_file.Exposed as exposed:
        raise CredentialError(
            f"{path} can be read by others (mode {exposed.mode:04o}); "
            f"if nobody has, do: chmod 600 {path}; else remove the bridge from the lock and pair it again"
        ) from None
    except OSError as error:
        raise CredentialError(f"{path} cannot be read: {error.strerror}") from None


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(document, dict):
        raise _damaged(path)
    return cast("dict[str, Any]", document)


def _damaged(path: Path) -> CredentialError:
    return CredentialError(f"{path} is damaged; restore it from a backup, or pair the lock again")
