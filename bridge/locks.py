"""The configured locks, each with its driver and its key."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from bridge import catalog
from bridge.config import Config, LockConfig
from bridge.keys.credentials import CredentialError, Credentials
from bridge.lock import Lock
from drivers.base import Credential

log = structlog.get_logger()


def configured(config: Config, virtual: Mapping[str, Credential]) -> list[Lock]:
    """Return the locks, importing only the drivers that the configuration asks for.

    Args:
        config: names them.
        virtual: the keys to virtual locks of this process, by the lock's id; other keys are in the state folder.
    """
    stored = Credentials(config.bridge.state_dir)
    return [
        made(
            lock,
            virtual.get(lock.id) or stored_key(stored, lock),
            require_signature=config.requires_signature(lock),
        )
        for lock in config.locks
    ]


def made(lock: LockConfig, credential: Credential | None, *, require_signature: bool) -> Lock:
    """Return a lock as it is configured, with its key."""
    return Lock(
        id=lock.id,
        name=lock.name,
        address=lock.address,
        driver=catalog.load(lock.driver),
        options=lock.options,
        credential=credential,
        actions=lock.actions,
        require_signature=require_signature,
        connection=lock.connection,
        linger=lock.linger,
        read_log=lock.read_log,
        poll=lock.poll,
    )


def stored_key(stored: Credentials, lock: LockConfig) -> Credential | None:
    """Return a lock's key; one that cannot be used keeps this lock out, not the others."""
    try:
        return stored.load(lock.id, catalog.load(lock.driver))
    except CredentialError as error:
        log.warning("no key for a lock", lock_id=lock.id, reason=str(error))
        return None
