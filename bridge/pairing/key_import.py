"""A key that its owner brings, for a lock whose vendor makes the keys: checked before anybody goes to the lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bridge.errors import WrongUsage
from drivers.base import KeyImporting, PairingError

if TYPE_CHECKING:
    from bridge.pairing.subjects import Subject
    from drivers.base import Credential


def brought(lock: Subject, parts: Mapping[str, str] | None) -> Credential | None:
    """Return the credential that the owner brought; None where the lock is to make one.

    Args:
        lock: what is to be paired.
        parts: each part of the key by its name, as text; None if none was brought.

    Raises:
        WrongUsage: the lock wants one and none was brought, or the other way round; or a part is missing, unknown or
            not in its form. The message says what to do and shows no value.
    """
    driver = lock.driver
    if not isinstance(driver, KeyImporting):
        if parts is None:
            return None
        raise WrongUsage(f"a {driver.name} lock makes the key itself: leave the key out")
    names = [part.name for part in driver.key_parts]
    if parts is None:
        if not driver.key_needed:
            return None
        raise WrongUsage(
            f"a {driver.name} lock wants the key that its vendor made ({', '.join(names)}). {driver.key_guide} "
            f"On a terminal you are asked for it; without one, give a file of it with --key-file."
        )
    for part in driver.key_parts:
        if part.needed and not parts.get(part.name):
            raise WrongUsage(f'the key lacks "{part.name}": {part.prompt}')
    if unknown := [name for name in parts if name not in names]:
        raise WrongUsage(f"the key of a {driver.name} lock has no part {unknown[0]!r}; it has {', '.join(names)}")
    if lock.address is None:
        raise WrongUsage("a key is for one lock: name its address too (lock-bridge scan shows it)")
    try:
        return driver.key_from(parts)
    except PairingError as error:
        raise WrongUsage(error.message) from None
