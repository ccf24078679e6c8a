"""A gateway as it stands beside a door: a machine with the bridge as its unit, a broker, and a Nuki lock in range.

The lock and the record of its motor are outside of the machine, and so is what was told: mosquitto_sub writes it to a
serial line.
"""

from __future__ import annotations

import json
import shlex
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import topic_matches_sub

from bridge.keys.credentials import Credentials
from drivers.base import LockState
from drivers.nuki import NukiDriver
from drivers.virtual.peripheral import VirtualSettings
from tests.bluez.lab.air import Ether
from tests.support.doorstep import ADDRESS, LOCK
from tests.support.eventually import eventually
from tests.support.machine import Machine
from tests.support.mqtt_client import BASE, Heard
from tests.support.on_air import on_air

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from drivers.nuki.virtual import NukiTwin

ROOT = Path(__file__).parents[2]
INSTALLING = 300.0
"""Seconds that an installation may take."""
CONFIG = f"""\
[bridge]
id = "g1"
[mqtt]
url = "mqtt://127.0.0.1:1883"
[commands]
ttl = 60
rate_limit = 0
queue_limit = 20
[[locks]]
id = "{LOCK}"
driver = "nuki"
address = "{ADDRESS}"
linger = {{linger}}
"""
DROP_IN = """\
[Service]
WatchdogSec=10
"""
BROKER = """\
listener 1883 127.0.0.1
allow_anonymous true
autosave_interval 1
autosave_on_changes true
"""
TOLD = """\
[Unit]
After=mosquitto.service
Requires=mosquitto.service
Before=lock-bridge.service
[Service]
ExecStart=/bin/sh -c 'stty -F /dev/ttyS2 raw -echo && exec mosquitto_sub -V 5 -q 1 -c -i told -x 3600 \\
  -t "lockbridge/#" -F "%%r %%t %%x" >/dev/ttyS2'
Restart=always
RestartSec=0.2
[Install]
WantedBy=multi-user.target
"""


class Gateway:
    """The machine and what is around it."""

    def __init__(
        self,
        machine: Machine,
        twin: NukiTwin,
        ether: Ether,
        told: list[Heard],
        *,
        config: str,
        keys: Path,
        wheels: Path,
    ) -> None:
        self.machine = machine
        self.twin = twin
        self.ether = ether
        self.told = told
        self._config = config
        self._keys = keys
        self._wheels = wheels
        self._begun = 0
        self._then: Callable[[], object] | None = None
        twin.lock.watch(self._look)

    @property
    def moved(self) -> list[str]:
        """The tags of the actions for which the motor has started."""
        return [movement.tag.decode() for movement in self.twin.lock.movements]

    @property
    def connected(self) -> bool:
        """Whether the lock has a central."""
        return self.twin.air.central is not None

    async def install(self, checkout: Path = ROOT) -> None:
        """Install the version of a checkout with its own installer, or bring the bridge up to it."""
        await self.machine.run(f"/host{checkout}/systemd/install --wheels /host{self._wheels}", INSTALLING)

    async def furnish(self) -> None:
        """Put on the disk what an installed bridge needs: a broker, a configuration, and the key to the lock."""
        machine = self.machine
        await machine.write("/etc/mosquitto/conf.d/lab.conf", BROKER)
        await machine.write("/etc/systemd/system/lab-told.service", TOLD)
        await machine.write("/etc/systemd/system/lock-bridge.service.d/lab.conf", DROP_IN)
        await machine.write("/etc/lock-bridge/config.toml", self._config)
        own = "-o lock-bridge -g lock-bridge"
        await machine.run(
            f"install -d -m 0700 {own} /var/lib/lock-bridge /var/lib/lock-bridge/credentials &&"
            f"install -m 0600 {own} /host{self._keys}/* /var/lib/lock-bridge/credentials/ &&"
            "systemctl daemon-reload && systemctl -q enable mosquitto bluetooth lab-told lock-bridge && sync"
        )

    async def boot(self) -> None:
        """Switch the machine on; what is enabled on it starts by itself."""
        self._begin()
        await self.machine.boot()

    async def start(self) -> None:
        """Start what does not run; return once the bridge is ready."""
        if await self.machine.property("lock-bridge.service", "ActiveState") != "active":
            self._begin()
        await self.machine.run("systemctl start bluetooth mosquitto lab-told lock-bridge", 60)

    def _begin(self) -> None:
        """Take nothing that was told until now for what the bridge knows of the lock."""
        self._begun = len(self.told)

    @property
    def state(self) -> dict[str, Any]:
        """The lock as this run of the bridge told it last; empty as long as it has not."""
        topic = f"{BASE}/locks/{LOCK}/state"
        told = [each for each in self.told[self._begun :] if each.topic == topic and not each.retain]
        return dict(told[-1].body) if told else {}

    async def at_rest(self) -> None:
        """Return once the bolt is out, the bridge knows it, and it has let go of the lock."""
        self.twin.lock.turn(LockState.LOCKED)
        await eventually(
            lambda: self.state.get("lock_state") == "locked" and not self.connected and not self.twin.lock.busy, 60
        )

    def when_moving(self, do: Callable[[], object]) -> None:
        """Do something once, as soon as the motor turns."""
        self._then = do

    def _look(self) -> None:
        if self._then is not None and self.twin.lock.busy and self.twin.lock.state.moving:
            do, self._then = self._then, None
            do()

    def heal(self) -> None:
        """Undo all that was done to the lock, and all that was still to be done."""
        self._then = None
        self.ether.heal(ADDRESS)

    async def log(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the entries of the machine's journal that `journalctl` finds."""
        found = await self.machine.run(shlex.join(["journalctl", "--no-pager", "--output=json", *arguments]))
        return [json.loads(line) for line in found.splitlines()]

    async def command(self, custom_id: str, action: str = "unlock", **more: object) -> None:
        """Publish a command, with mosquitto_pub; it is good for a minute."""
        body = json.dumps({"action": action, "custom_id": custom_id, **more})
        publish = f"mosquitto_pub -V 5 -q 1 -D PUBLISH message-expiry-interval 60 -t {BASE}/locks/{LOCK}/actions"
        await self.machine.run(f"{publish} -m {shlex.quote(body)}")

    async def unlock(self, custom_id: str, **more: object) -> dict[str, Any]:
        """Have the lock unlocked; return the event that tells its outcome."""
        await self.command(custom_id, **more)
        return await self.outcome(custom_id)

    async def outcome(self, custom_id: str, patience: float = 30.0) -> dict[str, Any]:
        """Return the event that tells a command's outcome."""
        return await self.first("events/lock.action_completed/+", patience, custom_id=custom_id)

    def having(self, topic_filter: str, **fields: object) -> list[dict[str, Any]]:
        """Return what was told on topics below the base with these fields, in order."""
        bodies = [each.body for each in self.told if topic_matches_sub(f"{BASE}/{topic_filter}", each.topic)]
        return [body for body in bodies if all(body.get(name) == value for name, value in fields.items())]

    async def first(self, topic_filter: str, patience: float = 30.0, **fields: object) -> dict[str, Any]:
        """Return the first that was told on topics below the base with these fields."""
        await eventually(lambda: self.having(topic_filter, **fields), patience)
        return self.having(topic_filter, **fields)[0]


@asynccontextmanager
async def gateway(folder: Path, wheels: Path, motor_time: float = 1.0, linger: float = 0) -> AsyncIterator[Gateway]:
    """Make a lock and a machine before its door, which has no power yet and nothing installed.

    Args:
        folder: for its disk.
        wheels: has all that the bridge needs, when it is installed.
        motor_time: seconds that the bolt takes.
        linger: seconds for which the bridge keeps an idle link.
    """
    told: list[Heard] = []

    def hear(line: str) -> None:
        retain, topic, payload = line.split(" ")
        told.append(Heard(topic, bytes.fromhex(payload), retain == "1", None, None, {}))

    ether = Ether()
    driver = NukiDriver()
    twin, credential = driver.twin(ADDRESS, "Front door", VirtualSettings(motor_time=motor_time))
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    Credentials(keys).store(LOCK, driver, credential)
    machine = Machine(folder / "disk", ether, hear)
    async with on_air(ether, twin):
        try:
            config = CONFIG.format(linger=linger)
            yield Gateway(machine, twin, ether, told, config=config, keys=keys / "credentials", wheels=wheels)
        finally:
            machine.cut()
