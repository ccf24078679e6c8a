"""A configured lock: what the rest of the bridge needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.policy import Permission
from drivers.base import Action, Capabilities, Credential, Driver, Options, capabilities


@dataclass(frozen=True, slots=True)
class Lock:
    """One configured lock with its driver and its key."""

    id: str
    name: str
    address: str
    driver: Driver
    options: Options
    credential: Credential | None
    """None until it is paired."""
    actions: frozenset[Action]
    """What the configuration allows."""
    require_signature: bool = False
    """Whether it takes from elsewhere what is signed alone."""
    connection: Literal["on_demand", "always"] = "on_demand"
    linger: float = 10.0
    """Seconds that a link is kept after its last use."""
    read_log: bool = True
    """Whether its log is read, to tell who operated it."""
    poll: int | None = None
    """Seconds between looks at it; 0 for never, None where only a lock that gives no hint is looked at."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, as far as its options and its key tell."""
        return capabilities(self.driver, self.options, self.credential)

    @property
    def offered(self) -> frozenset[Action]:
        """What its configuration allows of what it can do."""
        return self.actions & self.capabilities.actions

    @property
    def permission(self) -> Permission:
        """What may be asked of it."""
        can = self.capabilities
        return Permission(self.actions, can.actions, can.auto_lock, self.require_signature)
