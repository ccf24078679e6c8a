"""A lock as Seam shows it.

Source: Seam API, "Devices" and "Locks". What is not known is left out: an absent key, never null and never an older
value.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from bridge.wire import state
from bridge.wire.seam import Identity
from drivers.base import Action

BATTERY_LOW = 20
"""Percent, up to which a battery counts as low; it is critical where the lock says so."""
BATTERY_FULL = 95
"""Percent, from which a battery counts as full."""

BatteryStatus = Literal["critical", "low", "good", "full"]


class Battery(TypedDict):
    """A battery's charge, from 0 to 1."""

    level: float
    status: BatteryStatus


class Properties(TypedDict):
    """What the lock says of itself."""

    online: bool
    name: str
    appearance: dict[str, str]
    manufacturer: str
    model: dict[str, str]
    locked: NotRequired[bool]
    door_open: NotRequired[bool]
    battery_level: NotRequired[float]
    battery: NotRequired[Battery]


class DeviceError(TypedDict):
    """Why a device cannot be used."""

    error_code: str
    message: str
    is_device_error: Literal[True]
    created_at: str


class Device(TypedDict):
    """A lock."""

    device_id: str
    device_type: str
    display_name: str
    capabilities_supported: list[str]
    can_remotely_lock: bool
    can_remotely_unlock: bool
    can_configure_auto_lock: bool
    properties: Properties
    location: dict[str, str]
    connected_account_id: str
    workspace_id: str
    errors: list[DeviceError]
    warnings: list[Any]
    created_at: str
    is_managed: Literal[True]
    custom_metadata: dict[str, str]
    space_ids: list[str]


_OFFLINE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "never_seen": ("device_disconnected", "The lock has not been heard since the bridge started."),
        "out_of_range": ("device_disconnected", "The lock is out of range, or has no power."),
        "held_by_another": ("device_disconnected", "The lock is connected to another device."),
        "credentials_refused": ("missing_device_credentials", "The lock refuses the bridge's key; pair it again."),
        "adapter_down": ("hub_disconnected", "The bridge has no Bluetooth adapter that works now."),
    }
)
"""The error that tells of each reason for being offline."""

_LOCKED: Mapping[str, bool] = MappingProxyType({"locked": True, "unlocked": False, "unlatched": False})
_DOOR_OPEN: Mapping[str, bool] = MappingProxyType({"open": True, "closed": False})


def device(
    known: state.Device,
    identity: Identity,
    *,
    actions: frozenset[Action],
    auto_lock: bool,
    timezone: str,
    created_at: str,
) -> Device:
    """Build a lock's object.

    Args:
        known: the lock as it stands.
        identity: whose lock it is.
        actions: what may be asked of it.
        auto_lock: whether it can be told when to lock itself.
        timezone: where it is, such as `Europe/Berlin`.
        created_at: since when it has been known, RFC 3339.
    """
    return {
        "device_id": str(identity.device_id(known["lock_id"])),
        "device_type": f"{known['driver']}_lock",
        "display_name": known["name"],
        "capabilities_supported": ["lock"],
        "can_remotely_lock": Action.LOCK in actions,
        "can_remotely_unlock": Action.UNLOCK in actions,
        "can_configure_auto_lock": auto_lock and Action.LOCK in actions,
        "properties": _properties(known),
        "location": {"timezone": timezone},
        "connected_account_id": str(identity.connected_account_id),
        "workspace_id": str(identity.workspace_id),
        "errors": errors(known),
        "warnings": [],
        "created_at": created_at,
        "is_managed": True,
        "custom_metadata": {"lock_id": known["lock_id"]},
        "space_ids": [],
    }


def _properties(known: state.Device) -> Properties:
    maker = known["driver"].title()
    properties: Properties = {
        "online": known["online"],
        "name": known["name"],
        "appearance": {"name": known["name"]},
        "manufacturer": known["driver"],
        "model": {"display_name": f"{maker} lock", "manufacturer_display_name": maker},
    }
    if (locked := _LOCKED.get(known["lock_state"])) is not None:
        properties["locked"] = locked
    if (door_open := _DOOR_OPEN.get(known["door_state"])) is not None:
        properties["door_open"] = door_open
    if (percent := known.get("battery_level")) is not None:
        level = percent / 100
        properties["battery_level"] = level
        properties["battery"] = {
            "level": level,
            "status": battery_status(percent, critical=known.get("battery_critical", False)),
        }
    return properties


def battery_status(percent: int, *, critical: bool) -> BatteryStatus:
    """Say how full a battery is."""
    if critical:
        return "critical"
    if percent <= BATTERY_LOW:
        return "low"
    return "full" if percent >= BATTERY_FULL else "good"


def errors(known: state.Device) -> list[DeviceError]:
    """Say why a lock cannot be used, if it cannot."""
    reason = known.get("offline_reason")
    if reason is None:
        return []
    code, message = _OFFLINE[reason]
    return [{"error_code": code, "message": message, "is_device_error": True, "created_at": known["updated_at"]}]
