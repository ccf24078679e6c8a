"""The locks as a device maker's API lists them.

Source: Seam, device model and discovery (building a Seam-compatible smart lock API). `lock_id` and `device_id` are both
the lock's own id; the bolt is `locked`, `unlocked` or `unknown`, whatever it does in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from bridge.wire import state, text


class Lock(TypedDict):
    """A lock."""

    lock_id: str
    device_id: str
    name: str
    model: str
    address: str
    device_type: Literal["smart_lock"]
    device_model: str
    online: bool
    lock_state: Literal["locked", "unlocked", "unknown"]
    door_state: Literal["open", "closed", "unknown"]
    battery_level: NotRequired[int]
    signal_quality: NotRequired[int]
    bridge_id: str
    timezone: str
    device_time: NotRequired[str]
    """By the bridge's clock, which dates what is told of the lock; left out while it may be wrong."""
    updated_at: str


class Locks(TypedDict):
    """All of them."""

    locks: list[Lock]


_BOLTS: Mapping[str, Literal["locked", "unlocked"]] = MappingProxyType(
    {"locked": "locked", "unlocked": "unlocked", "unlatched": "unlocked"}
)


def lock(
    known: state.Device, *, address: str, bridge_id: str, timezone: str, device_time: datetime | None = None
) -> Lock:
    """Build a lock's object.

    Args:
        known: the lock as it stands.
        address: its Bluetooth address.
        bridge_id: the bridge that it is reached through.
        timezone: where it is, such as `Europe/Berlin`.
        device_time: now, where that is known.
    """
    model = f"{known['driver'].title()} lock"
    found: Lock = {
        "lock_id": known["lock_id"],
        "device_id": known["lock_id"],
        "name": known["name"],
        "model": model,
        "address": address,
        "device_type": "smart_lock",
        "device_model": model,
        "online": known["online"],
        "lock_state": _BOLTS.get(known["lock_state"], "unknown"),
        "door_state": known["door_state"],
        "bridge_id": bridge_id,
        "timezone": timezone,
        "updated_at": known["updated_at"],
    }
    if device_time is not None:
        found["device_time"] = text.seconds(device_time)
    if "battery_level" in known:
        found["battery_level"] = known["battery_level"]
    if "signal_quality" in known:
        found["signal_quality"] = known["signal_quality"]
    return found
