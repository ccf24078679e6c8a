"""Pairing a lock: find it, make it trust a new key, prove that the key works, keep it; and taking that back.

Rules:
1. A key is kept once the lock has answered over it. Whatever goes wrong before leaves an earlier key as it was.
2. What the lock was made to trust and is not kept, it is asked to forget; where it does not, the person is told.
3. Each step is told as a sentence for whoever stands at the door. No key and no PIN is in any of them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from bridge.credentials import CredentialError, Credentials
from bridge.errors import BridgeError, WrongUsage
from drivers.base import DriverError, Guided, LinkLost, PairingRequest, Revocable

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream

    from bridge.ble.radio import Radio
    from bridge.config import Config, LockConfig
    from drivers.base import Advertisement, Credential, Driver, Options, Session, Snapshot

PATIENCE = 120.0
"""Seconds in which the lock must be heard and ready to pair."""
CONNECTING = 20.0
"""Seconds in which it must be connected to."""
TALKING = 60.0
"""Seconds in which a conversation with it must end."""
PROOFS = 3
"""How often its state is read over the new key, where the link fails."""

_MACHINE_ID = Path("/etc/machine-id")
_LONGEST_NAME = 32


class Stage(StrEnum):
    """How far it has come."""

    LOOKING = "looking"
    SIGHTED = "sighted"
    """In range, and not ready to pair."""
    FOUND = "found"
    PROVING = "proving"
    UNDOING = "undoing"
    PAIRED = "paired"
    REVOKED = "revoked"
    """The lock forgot the key."""
    UNPAIRED = "unpaired"


@dataclass(frozen=True, slots=True)
class Step:
    """One step, as it is told."""

    stage: Stage
    message: str
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def told(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"step": self.stage.value, "message": self.message, **self.data}


Tell = Callable[[Step], None]


class NotPaired(BridgeError):
    """The lock is not paired. The message says why and what to do."""


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


@dataclass(frozen=True, slots=True)
class Paired:
    """A lock whose key is stored, and works."""

    lock_id: str
    driver: str
    address: str
    configured: bool
    """Whether the configuration has it already."""
    snapshot: Snapshot

    def step(self) -> Step:
        """Return the last step."""
        told = f"Paired. The lock answers over its new key: it is {self.snapshot.lock_state}"
        if self.snapshot.battery_level is not None:
            told += f", battery {self.snapshot.battery_level} %"
        elif self.snapshot.battery_critical:
            told += ", its battery is low"
        data = {
            "lock_id": self.lock_id,
            "driver": self.driver,
            "address": self.address,
            "configured": self.configured,
            "state": asdict(self.snapshot),
        }
        return Step(Stage.PAIRED, f"{told}.", data)


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


@asynccontextmanager
async def not_in_use(_lock_id: str) -> AsyncGenerator[None]:
    """Leave a lock to pairing where nobody else uses it."""
    yield


@dataclass(frozen=True, slots=True)
class Pairing:
    """Pairs locks over a running radio."""

    radio: Radio
    locks: Sequence[LockConfig]
    """Those that are configured."""
    keys: Credentials
    lent: Callable[[str], AbstractAsyncContextManager[None]] = not_in_use
    """Holds whoever else uses a configured lock off its link, by the lock's id."""

    async def pair(self, lock: Subject, asked: PairingRequest, tell: Tell) -> Paired:
        """Pair a lock, prove its key by reading its state, and keep it.

        Raises:
            WrongUsage: the lock that was found is configured under another id.
            NotPaired: no lock was ready, or its key does not work.
            DriverError: the lock, or the way to it, refused.
            CredentialError: the key could not be stored.
        """
        async with self.radio.advertisements() as advertisements:
            address = await self._ready(advertisements, lock, tell)
        lock = replace(subject(self.locks, lock.driver, address, lock.lock_id), address=address)
        lock_id = lock.lock_id or f"{lock.driver.name}_{address[-8:].replace(':', '').lower()}"
        lent = self.lent if lock.known else not_in_use
        async with lent(lock_id):
            tell(Step(Stage.FOUND, f"{address} is ready. Pairing with it; stay near ..."))
            credential = await self._pair(lock.driver, address, asked)
            try:
                tell(Step(Stage.PROVING, "The lock gave the bridge a key. Reading its state over it ..."))
                snapshot = await self._prove(lock, address, credential)
                self.keys.store(lock_id, lock.driver, credential)
            except (DriverError, CredentialError) as error:
                tell(Step(Stage.UNDOING, "That did not work. Having the lock forget the key again ..."))
                forgotten = await self._forgotten(lock.driver, address, credential, lock.options)
                left = _left(forgotten, f'"{asked.name}"')
                raise NotPaired(f"{str(error).rstrip('.')}. No key was kept here.{left}") from error
        return Paired(lock_id, lock.driver.name, address, lock.known is not None, snapshot)

    async def unpair(self, lock: Subject, lock_id: str, tell: Tell) -> Step:
        """Have a lock forget the bridge's key where its protocol can, and forget the key here in any case.

        Returns:
            the last step, which says what is left to do.

        Raises:
            CredentialError: there is no key, or it cannot be removed.
        """
        credential = self.keys.load(lock_id, lock.driver)
        address = lock.address
        trouble = "the configuration does not say where it is" if address is None else None
        if address is not None:
            async with self.lent(lock_id) if lock.known else not_in_use(lock_id):
                tell(Step(Stage.UNDOING, f"Having the lock at {address} forget the bridge's key ..."))
                trouble = await self._forgotten(lock.driver, address, credential, lock.options)
        if trouble is None:
            tell(Step(Stage.REVOKED, "The lock has forgotten the key."))
        self.keys.remove(lock_id)
        told = f'The key to "{lock_id}" is removed from this machine.{_left(trouble, "the bridge")}'
        return Step(Stage.UNPAIRED, told, {"lock_id": lock_id, "revoked": trouble is None})

    async def _ready(self, advertisements: ObjectReceiveStream[Advertisement], lock: Subject, tell: Tell) -> str:
        """Wait until the lock is heard, and, where its advertisements tell, is ready to pair; return its address."""
        guide = lock.driver.pairing_guide if isinstance(lock.driver, Guided) else ""
        sought = lock.address or f"a {lock.driver.name} lock that is ready to pair"
        tell(Step(Stage.LOOKING, f"Looking for {sought}, for up to {PATIENCE:g} s. {guide}".rstrip()))
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
                    where = f"{sighting.model} {advertisement.address} is in range ({advertisement.rssi} dBm)"
                    tell(Step(Stage.SIGHTED, f"{where}, but not ready to pair. {guide}".rstrip()))
        if told:
            raise NotPaired(
                f"the lock did not become ready to pair within {PATIENCE:g} s; put it into pairing mode and try again. "
                f"{guide}".rstrip()
            )
        raise NotPaired(
            f"no such lock was heard within {PATIENCE:g} s; go nearer, see that it has power, "
            f"close the vendor's app on every phone around, and try again (lock-bridge scan shows what is in range)"
        )

    async def _pair(self, driver: Driver, address: str, asked: PairingRequest) -> Credential:
        link = await self.radio.connect(address, within=CONNECTING)
        try:
            with anyio.fail_after(TALKING):
                return await driver.pair(link, asked)
        except TimeoutError:
            raise NotPaired(
                "the lock did not finish pairing in time; put it into pairing mode again and retry"
            ) from None
        finally:
            await link.aclose()

    async def _prove(self, lock: Subject, address: str, credential: Credential) -> Snapshot:
        """Read the lock's state, trying again where the link fails."""
        for _ in range(PROOFS - 1):
            try:
                return await self._read(lock, address, credential)
            except DriverError as error:
                if not isinstance(error, LinkLost):
                    raise
        return await self._read(lock, address, credential)

    async def _read(self, lock: Subject, address: str, credential: Credential) -> Snapshot:
        async with self._session(lock.driver, address, credential, lock.options) as session:
            return await session.read()

    async def _forgotten(self, driver: Driver, address: str, credential: Credential, options: Options) -> str | None:
        """Have the lock forget a key; return why it did not, if so."""
        try:
            async with self._session(driver, address, credential, options) as session:
                if not isinstance(session, Revocable):
                    return f"a {driver.name} lock cannot be asked over Bluetooth to forget one"
                await session.revoke()
        except DriverError as error:
            return error.message
        return None

    @asynccontextmanager
    async def _session(
        self, driver: Driver, address: str, credential: Credential, options: Options
    ) -> AsyncGenerator[Session]:
        link = await self.radio.connect(address, within=CONNECTING)
        try:
            with anyio.fail_after(TALKING):
                session = await driver.open(link, credential, options)
                try:
                    yield session
                finally:
                    await session.aclose()
        except TimeoutError:
            raise LinkLost("The lock did not answer in time.") from None
        finally:
            await link.aclose()


def _left(trouble: str | None, user: str) -> str:
    """Say what is left to do where the lock has not forgotten the key."""
    if trouble is None:
        return ""
    return f" The lock still knows it, since {_lower(trouble)}; remove {user} from its users in the vendor's app."


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
