"""What is to be paired, and what it is told of the bridge."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import WrongUsage
from drivers.base import PairingRequest

if TYPE_CHECKING:
    from bridge.config import Config, LockConfig
    from drivers.base import Driver, Options

_MACHINE_ID = Path("/etc/machine-id")
_LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class Subject:
    """The lock to pair, as far as it is known."""

    driver: Driver
    address: str | None
    """None for the first one that is heard and ready."""
    lock_id: str | None
    """None to make one up from the address."""
    known: LockConfig | None
    """The lock as it is configured already, if it is."""

    @property
    def options(self) -> Options:
        """The driver's options for it."""
        return self.known.options if self.known else self.driver.options()


def subject(locks: Sequence[LockConfig], driver: Driver, address: str | None, lock_id: str | None) -> Subject:
    """Return what is to be paired; a lock that is configured already is found by its id or its address.

    Raises:
        WrongUsage: the id is another lock's.
    """
    known = next((lock for lock in locks if lock_id == lock.id), None)
    if known is None:
        known = next((lock for lock in locks if address == lock.address), None)
    if known is None:
        return Subject(driver, address, lock_id, None)
    if (lock_id or known.id) != known.id:
        raise WrongUsage(f'the lock at {known.address} is configured as "{known.id}"; leave --id out')
    if (address or known.address) != known.address or known.driver != driver.name:
        raise WrongUsage(
            f'"{known.id}" is the {known.driver} lock at {known.address}; choose another --id for this one'
        )
    return Subject(driver, known.address, known.id, known)


def request(config: Config, pin: int | None, *, as_bridge: bool) -> PairingRequest:
    """Return what the lock is told of the bridge."""
    name = f"lock-bridge {config.bridge.id}".encode()[:_LONGEST_NAME].decode(errors="ignore")
    return PairingRequest(name=name, app_id=_app_id(config), pin=pin, as_bridge=as_bridge)


def _app_id(config: Config) -> int:
    """Return a number that stays the same for this bridge on this machine, and is no other's."""
    try:
        machine = _MACHINE_ID.read_text("utf-8").strip()
    except OSError:
        machine = ""
    seed = f"{machine}/{config.bridge.id}".encode() if machine else secrets.token_bytes(16)
    return int.from_bytes(hashlib.sha256(seed).digest()[:4])
