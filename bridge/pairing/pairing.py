"""What is done to pair a lock, and to take that back, over a running radio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bridge.keys.credentials import CredentialError, Credentials
from bridge.pairing.conversation import Conversation
from bridge.pairing.requirements import unmet
from bridge.pairing.steps import NotPaired, Paired, Stage, Step, Tell
from bridge.pairing.subjects import Subject, subject
from drivers.base import DriverError, Fault, Guided, KeyImporting

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream

    from bridge.ble.radio import Radio
    from bridge.config import LockConfig
    from drivers.base import Advertisement, Credential, Driver, PairingRequest, Snapshot

PATIENCE = 120.0
"""Seconds in which the lock must be heard and ready to pair."""


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
    kept: Callable[[str], object] = str
    """Is told the id of a lock as soon as a new key of it is stored."""

    async def pair(self, lock: Subject, asked: PairingRequest, tell: Tell, brought: Credential | None = None) -> Paired:
        """Pair a lock, prove its key by reading its state, and keep it.

        Args:
            lock: which one; with its address, where a key is brought.
            asked: what the lock is told of the bridge.
            tell: is called with each step.
            brought: the key that its owner brought; None to have the lock trust a new one.

        Raises:
            WrongUsage: the lock that was found is configured under another id.
            NotPaired: this machine lacks what the lock needs, no lock was ready, or its key does not work.
            DriverError: the lock, or the way to it, refused.
            CredentialError: the key could not be stored.
        """
        if (why := await unmet(lock.driver, self.radio)) is not None:
            raise NotPaired(why)
        async with self.radio.advertisements() as advertisements:
            address = await self._ready(advertisements, lock, tell, pairable=brought is None)
        lock = subject(self.locks, lock.driver, address, lock.lock_id)
        lock_id = lock.lock_id or f"{lock.driver.name}_{address[-8:].replace(':', '').lower()}"
        way = Conversation(self.radio, lock.driver, address, lock.options)
        lent = self.lent if lock.known else not_in_use
        async with lent(lock_id):
            if brought is None:
                snapshot = await self._make_key(way, lock_id, asked, tell)
            else:
                snapshot = await self._take_key(way, lock_id, brought, tell)
        return Paired(lock_id, lock.driver.name, address, lock.known is not None, snapshot, brought is not None)

    async def _make_key(self, way: Conversation, lock_id: str, asked: PairingRequest, tell: Tell) -> Snapshot:
        """Have the lock trust a new key and keep it, and forget an earlier one; return its state, read over the new."""
        earlier = self._known(way, lock_id)
        tell(Step(Stage.FOUND, f"{way.address} is ready. Pairing with it; stay near ..."))
        credential = await way.pair(asked)
        tell(Step(Stage.PROVING, "The lock gave the bridge a key. Reading its state over it ..."))
        try:
            snapshot = await self._keep(way, lock_id, credential)
        except (DriverError, CredentialError) as error:
            tell(Step(Stage.UNDOING, "That did not work. Having the lock forget the key again ..."))
            left = _left(await way.forget(credential), f'"{asked.name}"')
            raise NotPaired(f"{str(error).rstrip('.')}. No key was kept here.{left}") from error
        if earlier is not None:
            told = "The new key works and is kept. Having the lock forget the key that the bridge had before ..."
            tell(Step(Stage.KEPT, told))
            if (trouble := await way.forget(earlier)) is not None:
                tell(Step(Stage.KEPT, f"The earlier key is removed here.{_left(trouble, 'the older of the two')}"))
        return snapshot

    def _known(self, way: Conversation, lock_id: str) -> Credential | None:
        """Return the key that the bridge has to the lock already; None if there is none that can be used."""
        try:
            return self.keys.load(lock_id, way.driver)
        except CredentialError:
            return None

    async def _take_key(self, way: Conversation, lock_id: str, brought: Credential, tell: Tell) -> Snapshot:
        """Keep the key that was brought; return the lock's state, read over it."""
        tell(Step(Stage.FOUND, f"{way.address} is in range. Reading its state over the key that was brought ..."))
        try:
            return await self._keep(way, lock_id, brought)
        except (DriverError, CredentialError) as error:
            refused = isinstance(error, DriverError) and error.fault is Fault.NOT_AUTHORIZED
            guide = f" See that the key is this lock's. {_key_guide(way.driver)}".rstrip() if refused else ""
            raise NotPaired(f"{str(error).rstrip('.')}. No key was kept here.{guide}") from error

    async def _keep(self, way: Conversation, lock_id: str, credential: Credential) -> Snapshot:
        """Prove a key and store it."""
        snapshot = await way.prove(credential)
        self.keys.store(lock_id, way.driver, credential)
        self.kept(lock_id)
        return snapshot

    async def unpair(self, lock: Subject, lock_id: str, tell: Tell) -> Step:
        """Have a lock forget the bridge's key where its protocol can, and forget the key here in any case.

        A key that the vendor made is forgotten here alone: the vendor's app uses it too.

        Returns:
            the last step, which says what is left to do.

        Raises:
            CredentialError: there is no key, or it cannot be removed.
        """
        credential = self.keys.load(lock_id, lock.driver)
        told = f'The key to "{lock_id}" is removed from this machine.'
        if isinstance(lock.driver, KeyImporting) and lock.driver.key_needed:
            self.keys.remove(lock_id)
            told += " The lock still knows it: its vendor made it, and the vendor's app may use it too."
            return Step(Stage.UNPAIRED, told, {"lock_id": lock_id, "revoked": False})
        trouble: str | None = "the configuration does not say where it is"
        if lock.address is not None:
            async with self.lent(lock_id) if lock.known else not_in_use(lock_id):
                tell(Step(Stage.UNDOING, f"Having the lock at {lock.address} forget the bridge's key ..."))
                trouble = await Conversation(self.radio, lock.driver, lock.address, lock.options).forget(credential)
        if trouble is None:
            tell(Step(Stage.REVOKED, "The lock has forgotten the key."))
        self.keys.remove(lock_id)
        told += _left(trouble, "the bridge")
        return Step(Stage.UNPAIRED, told, {"lock_id": lock_id, "revoked": trouble is None})

    async def _ready(
        self, advertisements: ObjectReceiveStream[Advertisement], lock: Subject, tell: Tell, *, pairable: bool
    ) -> str:
        """Wait until the lock is heard, and, if it must, says that it is ready to pair; return its address."""
        guide = lock.driver.pairing_guide if pairable and isinstance(lock.driver, Guided) else ""
        sought = lock.address or f"a {lock.driver.name} lock that is ready to pair"
        tell(Step(Stage.LOOKING, f"Looking for {sought}, for up to {PATIENCE:g} s. {guide}".rstrip()))
        told = False
        with anyio.move_on_after(PATIENCE):
            async for advertisement in advertisements:
                sighting = lock.driver.sight(advertisement)
                if sighting is None or (lock.address or advertisement.address) != advertisement.address:
                    continue
                if sighting.pairable or (lock.address and (sighting.pairable is None or not pairable)):
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


def _key_guide(driver: Driver) -> str:
    return driver.key_guide if isinstance(driver, KeyImporting) else ""


def _left(trouble: str | None, user: str) -> str:
    """Say what is left to do where the lock has not forgotten the key."""
    if trouble is None:
        return ""
    return f" The lock still knows it, since {_lower(trouble)}; remove {user} from its users in the vendor's app."


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
