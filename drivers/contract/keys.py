"""What holds of every driver's keys: how they are come by, and what becomes of a wrong one."""

from __future__ import annotations

from typing import ClassVar

import anyio
import pytest
from pydantic import SecretStr

from drivers.base import (
    Action,
    Credential,
    Driver,
    DriverError,
    Failed,
    Fault,
    KeyImporting,
    Link,
    LinkLost,
    Options,
    PairingError,
    PairingRequest,
)
from drivers.contract.bench import ADDRESS, ANOTHER_ADDRESS, TAG, Reach
from drivers.virtual.peripheral import Twin, VirtualSettings

PATIENCE = 120.0
"""Seconds in which an action comes to its outcome, however the lock behaves."""
_NO_KEY = "no key of any vendor's"


class KeyContract:
    """The part of `DriverContract` that is about keys."""

    driver: ClassVar[Driver]
    options: ClassVar[Options | None] = None
    """What is configured of the lock; None for the driver's defaults."""
    refused_as: ClassVar[frozenset[Fault]] = frozenset({Fault.NOT_AUTHORIZED})
    """What a lock's refusal of a key may be told as: another, where a lock hangs up and its last word may be lost."""

    def twin(self, address: str = ADDRESS) -> tuple[Twin, Credential]:
        """Make a virtual lock and the key to it."""
        return self.driver.twin(address, "A door", VirtualSettings(), self.options)

    async def test_a_lock_that_is_not_ready_to_pair_gives_no_key(self, reach: Reach) -> None:
        twin, _ = self.twin()
        async with reach(twin) as link:
            with anyio.fail_after(PATIENCE), pytest.raises((PairingError, LinkLost)):
                await self.driver.pair(link, PairingRequest("Bridge", 1))
        assert not twin.lock.movements

    def test_a_key_that_is_brought_has_its_form_or_is_refused_without_being_shown(self) -> None:
        driver = self.driver
        if not isinstance(driver, KeyImporting):
            return
        assert driver.key_guide
        names = [part.name for part in driver.key_parts]
        assert names
        assert len(set(names)) == len(names)
        assert all(part.prompt for part in driver.key_parts)
        assert any(part.secret for part in driver.key_parts)
        for parts in ({}, dict.fromkeys(names, ""), dict.fromkeys(names, _NO_KEY)):
            with pytest.raises(PairingError) as refused:
                driver.key_from(parts)
            assert _NO_KEY not in str(refused.value)

    @pytest.mark.parametrize("asked", ["to read", "to act"])
    async def test_a_wrong_key_is_refused_and_not_shown_and_moves_nothing(self, reach: Reach, asked: str) -> None:
        twin, _ = self.twin()
        _, stranger = self.twin(ANOTHER_ADDRESS)
        async with reach(twin) as link:
            with anyio.fail_after(PATIENCE):
                refusal = await self._refusal(link, stranger, asked)
        assert refusal.fault in self.refused_as
        assert not twin.lock.movements
        secrets = [value.get_secret_value() for _, value in stranger if isinstance(value, SecretStr)]
        error: BaseException | None = refusal
        while error is not None:
            assert not [secret for secret in secrets if secret in repr(error) or secret in str(error)]
            error = error.__cause__ or error.__context__

    async def _refusal(self, link: Link, key: Credential, asked: str) -> DriverError:
        """Return the error that a lock's refusal of a key is told by."""
        try:
            session = await self.driver.open(link, key, self.options or self.driver.options())
        except DriverError as error:
            return error
        try:
            if asked == "to read":
                await session.read()
            else:
                outcome = await (await session.prepare(Action.UNLOCK, TAG)).run(lambda _: None)
                assert isinstance(outcome, Failed)
                return DriverError(outcome.fault, outcome.message)
        except DriverError as error:
            return error
        finally:
            await session.aclose()
        raise AssertionError("The lock took another lock's key.")
