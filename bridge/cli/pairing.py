"""Pairing a lock: find it, make it trust the bridge, keep the key at once, prove that the key works."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from bridge.cli.boundary import Exit, Stop, tell
from bridge.cli.tools import radio_for, running
from drivers.base import DriverError, LinkLost, PairingRequest

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream

    from bridge.ble.radio import Radio
    from bridge.config import Config, LockConfig
    from bridge.credentials import Credentials
    from drivers.base import Advertisement, Credential, Driver, Snapshot

PATIENCE = 120.0
"""Seconds in which the lock must be heard and ready to pair."""
CONNECTING = 20.0
"""Seconds in which it must be connected to."""
TALKING = 60.0
"""Seconds in which a conversation with it must end."""

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


@dataclass(frozen=True, slots=True)
class Paired:
    """A lock whose key is stored."""

    lock_id: str
    address: str
    configured: bool
    """Whether the configuration has it already."""
    snapshot: Snapshot | None
    """What it said over the new key."""
    trouble: str | None
    """Why it said nothing."""


def subject(config: Config, driver: Driver, address: str | None, lock_id: str | None) -> Subject:
    """Return what is to be paired; a lock that is configured already is found by its id or its address.

    Raises:
        Stop: the id is another lock's.
    """
    known = next((lock for lock in config.locks if lock_id == lock.id), None)
    if known is None:
        known = next((lock for lock in config.locks if address == lock.address), None)
    if known is None:
        return Subject(driver, address, lock_id, None)
    if (lock_id or known.id) != known.id:
        raise Stop(f'the lock at {known.address} is configured as "{known.id}"; leave --id out', Exit.WRONG)
    if (address or known.address) != known.address or known.driver != driver.name:
        raise Stop(
            f'"{known.id}" is the {known.driver} lock at {known.address}; choose another --id for this one', Exit.WRONG
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


async def pair(config: Config, lock: Subject, asked: PairingRequest, keys: Credentials) -> Paired:
    """Pair a lock, keep its key, and read its state over it.

    Raises:
        Stop: no lock was ready.
        DriverError: the lock, or the way to it, refused; no key was stored.
        CredentialError: the key could not be stored.
    """
    radio = radio_for(config, pairing=True)
    async with radio.advertisements() as advertisements, running(radio):
        address = await _ready(advertisements, lock)
        lock = subject(config, lock.driver, address, lock.lock_id)
        lock_id = lock.lock_id or f"{lock.driver.name}_{address[-8:].replace(':', '').lower()}"
        tell(f"Pairing with {address} ...")
        credential = await _pair(radio, lock.driver, address, asked)
        tell(f"Paired. The key is in {keys.store(lock_id, lock.driver, credential)}.")
        try:
            snapshot = await _read(radio, lock, address, credential)
        except DriverError as error:
            return Paired(lock_id, address, lock.known is not None, None, error.message)
    return Paired(lock_id, address, lock.known is not None, snapshot, None)


async def _ready(advertisements: ObjectReceiveStream[Advertisement], lock: Subject) -> str:
    """Wait until the lock is heard, and, where its advertisements tell, is ready to pair; return its address."""
    tell(f"Looking for {lock.address or f'a {lock.driver.name} lock that is ready to pair'} ...")
    told = False
    with anyio.move_on_after(PATIENCE):
        async for advertisement in advertisements:
            sighting = lock.driver.sight(advertisement)
            if sighting is None or (lock.address or advertisement.address) != advertisement.address:
                continue
            if sighting.pairable or (sighting.pairable is None and lock.address):
                return advertisement.address
            if not told:
                told = True
                tell(f"{sighting.model} {advertisement.address} is in range; now put it into pairing mode.")
    if told:
        raise Stop(
            f"the lock did not become ready to pair within {PATIENCE:g} s; put it into pairing mode "
            f"as its manual says (a Nuki: hold its button for five seconds), and try again"
        )
    raise Stop(
        f"no such lock was heard within {PATIENCE:g} s; go nearer, see that it has power, "
        f"close the vendor's app on every phone around, and try again (lock-bridge scan shows what is in range)"
    )


async def _pair(radio: Radio, driver: Driver, address: str, asked: PairingRequest) -> Credential:
    link = await radio.connect(address, within=CONNECTING)
    try:
        with anyio.fail_after(TALKING):
            return await driver.pair(link, asked)
    except TimeoutError:
        raise Stop("the lock did not finish pairing in time; put it into pairing mode again and retry") from None
    finally:
        await link.aclose()


async def _read(radio: Radio, lock: Subject, address: str, credential: Credential) -> Snapshot:
    options = lock.known.options if lock.known else lock.driver.options()
    link = await radio.connect(address, within=CONNECTING)
    try:
        with anyio.fail_after(TALKING):
            session = await lock.driver.open(link, credential, options)
            try:
                return await session.read()
            finally:
                await session.aclose()
    except TimeoutError:
        raise LinkLost("The lock did not answer in time.") from None
    finally:
        await link.aclose()
