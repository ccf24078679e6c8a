"""A paired lock in the configuration file: the block to paste, or to append."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from bridge.cli.boundary import Stop
from bridge.config import load
from bridge.config.mistakes import ConfigError


def block(lock_id: str, name: str, driver: str, address: str) -> str:
    """Return the `[[locks]]` block of a lock."""
    keys = {"id": lock_id, "name": name, "driver": driver, "address": address}
    return "[[locks]]\n" + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in keys.items())


def append(file: Path, text: str, lock_id: str) -> None:
    """Add a block to the configuration file, in one step, if the result is a valid configuration with that lock.

    Raises:
        Stop: it is not; the file is as it was.
        OSError: the file cannot be written; it is as it was.
    """
    target = file.resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    status = target.stat()
    try:
        with draft.open("x", encoding="utf-8") as stream:
            draft.chmod(status.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.chown(draft, status.st_uid, status.st_gid)
            stream.write(f"{target.read_text('utf-8').rstrip()}\n\n{text}")
            stream.flush()
            os.fsync(stream.fileno())
        _prove(draft, lock_id)
        draft.replace(target)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _prove(draft: Path, lock_id: str) -> None:
    try:
        if any(lock.id == lock_id for lock in load(draft).locks):
            return
    except ConfigError as error:
        what = error.mistakes[0].message
        raise Stop(f"the configuration would not be valid with this lock added: {what}; add it by hand") from None
    raise Stop("the environment overrides the configured locks; add the lock there")
