"""What others did at a lock, and how the lock itself is, as events.

Source: Seam, "Implementing Lock Actions" for `lock.action_completed`; Seam API, "Events" for all others. Nobody's name
and no access code is in them: a code is told by a UUID that always stands for the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bridge.errors import Code
from bridge.model import Operation
from bridge.wire import seam, state, text
from bridge.wire.device import BatteryStatus, errors
from bridge.wire.seam import Identity
from drivers.base import Action, Denial, Method

_REASONS: Mapping[Denial, str] = MappingProxyType(
    {
        Denial.UNKNOWN_CODE: "A code was entered that the lock does not know.",
        Denial.CREDENTIAL_ERROR: "The lock did not accept what it was shown.",
    }
)
_OF_THE_METHOD = frozenset(key for fields in seam.METHODS.values() for key in fields)


def completed(operation: Operation, identity: Identity, event_id: str) -> dict[str, Any]:
    """Build `lock.action_completed` for an operation."""
    event: dict[str, Any] = {
        "event_type": "lock.action_completed",
        "event_id": event_id,
        "device_id": operation.lock_id,
        "action_id": operation.action_id,
        "action": operation.action.value,
        "status": "success" if operation.succeeded else "failed",
        "performed_via": operation.method.value,
        "was_confirmed_by_device": operation.succeeded,
        **_marks(operation, identity),
        "timestamp": text.seconds(operation.at),
    }
    if not operation.succeeded:
        event["error_code"] = (operation.code or Code.UNCATEGORIZED_ERROR).value
        event["message"] = "The lock's log says that the action failed."
    return event


def moved(operation: Operation, identity: Identity, event_id: str, created_at: datetime) -> dict[str, Any]:
    """Build `lock.locked` or `lock.unlocked` for an operation that succeeded."""
    kind = "lock.locked" if operation.action is Action.LOCK else "lock.unlocked"
    return {
        **seam.common(kind, identity, event_id, operation.lock_id, created_at=created_at, occurred_at=operation.at),
        **seam.METHODS[operation.method],
        **_marks(operation, identity),
    }


def access_denied(
    operation: Operation, denial: Denial, identity: Identity, event_id: str, created_at: datetime
) -> dict[str, Any]:
    """Build `lock.access_denied` for an operation that the lock did not carry out."""
    return {
        **seam.common(
            "lock.access_denied", identity, event_id, operation.lock_id, created_at=created_at, occurred_at=operation.at
        ),
        "reason": {"reason_code": denial.value, "message": _REASONS[denial]},
        **_marks(operation, identity),
    }


def corrected(body: Mapping[str, Any], event_id: str, created_at: datetime, by: Mapping[str, Any]) -> dict[str, Any]:
    """Build the event that puts right by what means an operation was done.

    Args:
        body: the event as it was told.
        event_id: the new one's.
        created_at: when it is told.
        by: what `means` gives.
    """
    kept = {name: value for name, value in body.items() if name not in _OF_THE_METHOD}
    fields = by["maker"] if "performed_via" in body else by["seam"]
    dated = {"created_at": text.milliseconds(created_at)} if "created_at" in body else {}
    return {**kept, **fields, **dated, "event_id": event_id, "corrects": body["event_id"]}


def means(
    method: Method, lock_id: str, identity: Identity, *, code_id: int | None, attempt_id: str | None
) -> dict[str, dict[str, Any]]:
    """Return what tells by what means something was done, for either face."""
    code = _code(lock_id, code_id, identity)
    attempt = {"action_attempt_id": attempt_id} if attempt_id and method is Method.REMOTE_API else {}
    return {
        "maker": {"performed_via": method.value, **code},
        "seam": {**seam.METHODS[method], **code, **attempt},
    }


def _marks(operation: Operation, identity: Identity) -> dict[str, Any]:
    historic = {"historic": True} if operation.historic else {}
    return {**_code(operation.lock_id, operation.code_id, identity), **historic}


def _code(lock_id: str, code_id: int | None, identity: Identity) -> dict[str, Any]:
    return {} if code_id is None else {"access_code_id": str(identity.access_code_id(lock_id, code_id))}


def connected(known: state.Device, identity: Identity, event_id: str, at: datetime) -> dict[str, Any]:
    """Build `device.connected`, or `device.disconnected` for a lock that is not available, with the reason."""
    if known["online"]:
        return seam.common("device.connected", identity, event_id, known["lock_id"], created_at=at)
    found = errors(known)
    by_hub = any(error["error_code"] == "hub_disconnected" for error in found)
    return {
        **seam.common("device.disconnected", identity, event_id, known["lock_id"], created_at=at),
        "error_code": "hub_disconnected" if by_hub else "device_disconnected",
        "connected_account_errors": [],
        "connected_account_warnings": [],
        "device_errors": [{key: error[key] for key in ("created_at", "error_code", "message")} for error in found],
        "device_warnings": [],
        "offline_reason": known.get("offline_reason"),
    }


def battery(
    event_type: str, known: state.Device, status: BatteryStatus, *, identity: Identity, event_id: str, at: datetime
) -> dict[str, Any]:
    """Build `device.low_battery` or `device.battery_status_changed` for a lock that tells its charge."""
    return {
        **seam.common(event_type, identity, event_id, known["lock_id"], created_at=at),
        "battery_level": known.get("battery_level", 0) / 100,
        "battery_status": status,
    }
