"""Virtual locks outside the daemon, which outlive it: their motors are the witnesses of what moved."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bridge.ble.airsocket import AirServer
from bridge.config.fields import virtual_address
from bridge.keys.credentials import Credentials
from drivers.nuki import NukiDriver
from drivers.virtual.peripheral import VirtualSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from drivers.base import Driver
    from drivers.virtual.lock import VirtualLock
    from drivers.virtual.operation import Movement

NUKI = NukiDriver()


@dataclass(frozen=True)
class LockHost:
    """Where the locks are, and the locks by the bridge's ids."""

    air: Path
    locks: Mapping[str, VirtualLock]

    def movements_for(self, action_id: str) -> list[Movement]:
        """Return every start of a motor that carries the action's tag."""
        return [
            movement
            for lock in self.locks.values()
            for movement in lock.movements
            if movement.tag == action_id.encode()
        ]

    @property
    def movements(self) -> list[Movement]:
        """Every start of a motor."""
        return [movement for lock in self.locks.values() for movement in lock.movements]


@asynccontextmanager
async def hosting(
    directory: Path, *ids: str, motor_time: float = 0.0, driver: Driver = NUKI
) -> AsyncIterator[LockHost]:
    """Host locks on a socket, and leave their keys in the state folder as pairing does.

    Args:
        directory: the daemon's, with its state folder.
        ids: the bridge's names of the locks.
        motor_time: seconds that each travel takes.
        driver: of their maker.
    """
    state_dir = directory / "state"
    state_dir.mkdir(mode=0o700, exist_ok=True)
    twins, locks = {}, {}
    for lock_id in ids:
        address = virtual_address(lock_id)
        twin, credential = driver.twin(address, lock_id, VirtualSettings(motor_time=motor_time))
        Credentials(state_dir).store(lock_id, driver, credential)
        twins[address], locks[lock_id] = twin, twin.lock
    air = directory / "air.sock"
    async with anyio.create_task_group() as group:
        await group.start(AirServer(twins, str(air)).run)
        yield LockHost(air, locks)
        group.cancel_scope.cancel()
