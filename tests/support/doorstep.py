"""The whole bridge at a real door, but for the door: a daemon, a broker, and a Nuki lock on the air of an adapter."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.keys.credentials import Credentials
from drivers.base import LockState
from drivers.nuki import NukiDriver
from drivers.virtual.peripheral import VirtualSettings
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.on_air import on_air

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from drivers.nuki.virtual import NukiTwin
    from tests.bluez.lab.air import Ether
    from tests.support.on_air import Peripheral
    from tests.support.virtual_adapter import Adapter

ADDRESS = "54:D2:72:00:00:0A"
LOCK = "front_door"
CONFIG = """\
[bridge]
id = "g1"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[bluetooth]
adapters = ["{adapter}"]
[commands]
rate_limit = 0
"""
BLOCK = """\
[[locks]]
id = "{lock}"
driver = "nuki"
address = "{address}"
linger = {linger}
"""


@dataclass
class Doorstep:
    """A lock, and who may operate it."""

    ether: Ether
    adapter: Adapter
    twin: NukiTwin
    peripheral: Peripheral
    upstream: Upstream
    daemon: Daemon

    @property
    def moved(self) -> list[str]:
        """The tags of the actions for which the motor has started."""
        return [movement.tag.decode() for movement in self.twin.lock.movements]

    @property
    def connected(self) -> bool:
        """Whether the lock has a central."""
        return self.twin.air.central is not None

    def lock_by_hand(self) -> None:
        """Turn the knob until the bolt is out."""
        self.twin.lock.turn(LockState.LOCKED)

    async def at_rest(self) -> None:
        """Return once the daemon knows the lock's state and has let go of it."""
        await self.upstream.first("locks/+/state", lock_state="locked")
        await eventually(lambda: not self.connected)

    async def unlock(self, custom_id: str, **more: object) -> dict[str, object]:
        """Have the lock unlocked; return the event that tells its outcome."""
        await self.upstream.command(LOCK, {"action": "unlock", "custom_id": custom_id, **more})
        event = await self.upstream.first("events/lock.action_completed/+", custom_id=custom_id)
        return dict(event.body)


@asynccontextmanager
async def doorstep(
    adapter: Adapter, directory: Path, *, motor_time: float = 0.1, linger: float = 0, paired: bool = True
) -> AsyncIterator[Doorstep]:
    """Make a lock and all that the bridge needs to operate it; the daemon is not started.

    Args:
        adapter: that the daemon uses.
        directory: for the daemon and the broker.
        motor_time: seconds that the bolt takes.
        linger: seconds for which the daemon keeps an idle link.
        paired: whether the daemon has the lock in its configuration, and its key.
    """
    driver = NukiDriver()
    twin, credential = driver.twin(ADDRESS, "Front door", VirtualSettings(motor_time=motor_time))
    state_dir = directory / "state"
    state_dir.mkdir(mode=0o700)
    if paired:
        Credentials(state_dir).store(LOCK, driver, credential)
    block = BLOCK.format(lock=LOCK, address=ADDRESS, linger=linger) if paired else ""
    async with (
        Mosquitto(directory) as broker,
        Upstream(broker.port) as upstream,
        on_air(adapter.ether, twin) as peripheral,
    ):
        config = CONFIG.format(port=broker.port, adapter=adapter.address) + block
        daemon = Daemon(directory, config, upstream)
        try:
            yield Doorstep(adapter.ether, adapter, twin, peripheral, upstream, daemon)
        finally:
            daemon.kill()
            adapter.ether.heal(ADDRESS)
