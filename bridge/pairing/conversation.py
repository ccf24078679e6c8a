"""Talking with the one lock that is being paired, each time over a link of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bridge.pairing.steps import NotPaired
from drivers.base import DriverError, LinkLost, Revocable

if TYPE_CHECKING:
    from bridge.ble.radio import Radio
    from drivers.base import Credential, Driver, Options, PairingRequest, Session, Snapshot

CONNECTING = 20.0
"""Seconds in which the lock must be connected to."""
TALKING = 60.0
"""Seconds in which a conversation with it must end."""
PROOFS = 3
"""How often its state is read over a key, where the link fails."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The way to talk with a lock."""

    radio: Radio
    driver: Driver
    address: str
    options: Options

    async def pair(self, asked: PairingRequest) -> Credential:
        """Have the lock trust a new key.

        Raises:
            NotPaired: it did not come to an end in time.
            DriverError: the lock, or the way to it, refused.
        """
        link = await self.radio.connect(self.address, within=CONNECTING)
        try:
            with anyio.fail_after(TALKING):
                return await self.driver.pair(link, asked)
        except TimeoutError:
            raise NotPaired(
                "the lock did not finish pairing in time; put it into pairing mode again and retry"
            ) from None
        finally:
            await link.aclose()

    async def prove(self, credential: Credential) -> Snapshot:
        """Read the lock's state over a key, trying again where the link fails.

        Raises:
            DriverError: the lock, or the way to it, refused.
        """
        for _ in range(PROOFS - 1):
            try:
                return await self._read(credential)
            except DriverError as error:
                if not isinstance(error, LinkLost):
                    raise
        return await self._read(credential)

    async def forget(self, credential: Credential) -> str | None:
        """Have the lock forget a key; return why it did not, if so."""
        try:
            async with self._session(credential) as session:
                if not isinstance(session, Revocable):
                    return f"a {self.driver.name} lock cannot be asked over Bluetooth to forget one"
                await session.revoke()
        except DriverError as error:
            return error.message
        return None

    async def _read(self, credential: Credential) -> Snapshot:
        async with self._session(credential) as session:
            return await session.read()

    @asynccontextmanager
    async def _session(self, credential: Credential) -> AsyncGenerator[Session]:
        link = await self.radio.connect(self.address, within=CONNECTING)
        try:
            with anyio.fail_after(TALKING):
                session = await self.driver.open(link, credential, self.options)
                try:
                    yield session
                finally:
                    await session.aclose()
        except TimeoutError:
            raise LinkLost("The lock did not answer in time.") from None
        finally:
            await link.aclose()
