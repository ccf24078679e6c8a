"""The Seam shapes: action attempts and their events.

Source: Seam API, "Action Attempts". In these shapes `device_id` is a UUID, an action has an `action_attempt_id`, and
its status is `pending`, `success` or `error`; an attempt always carries all five keys.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from typing_extensions import TypedDict

from bridge.attempt import State
from bridge.errors import Code
from bridge.model import Attempt, Task
from bridge.wire import text
from drivers.base import Action, Method

ActionType = Literal[
    "LOCK_DOOR",
    "UNLOCK_DOOR",
    "CONFIGURE_AUTO_LOCK",
    "SIMULATE_KEYPAD_CODE_ENTRY",
    "SIMULATE_MANUAL_LOCK_VIA_KEYPAD",
    "RESET_SANDBOX_WORKSPACE",
]
Status = Literal["pending", "success", "error"]


class AttemptError(TypedDict):
    """Why an attempt failed."""

    type: str
    message: str


class ActionAttempt(TypedDict):
    """An attempt as it can be asked for."""

    action_attempt_id: str
    action_type: ActionType
    status: Status
    result: dict[str, Any] | None
    error: AttemptError | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this bridge is in Seam shapes."""

    workspace_id: UUID
    connected_account_id: UUID
    bridge_id: str

    def device_id(self, lock_id: str) -> UUID:
        """Return a lock's UUID: always the same for this workspace, bridge and lock."""
        return uuid.uuid5(self.workspace_id, f"{self.bridge_id}/{lock_id}")

    def access_code_id(self, lock_id: str, number: int) -> UUID:
        """Return the UUID of one of a lock's access codes, from the lock's own number for it."""
        return uuid.uuid5(self.device_id(lock_id), f"code {number}")


_ACTION_TYPES: dict[Action | Task, ActionType] = {
    Action.LOCK: "LOCK_DOOR",
    Action.UNLOCK: "UNLOCK_DOOR",
    Action.UNLATCH: "UNLOCK_DOOR",
    Task.CONFIGURE_AUTO_LOCK: "CONFIGURE_AUTO_LOCK",
    Task.SIMULATE_KEYPAD_CODE_ENTRY: "SIMULATE_KEYPAD_CODE_ENTRY",
    Task.SIMULATE_MANUAL_LOCK_VIA_KEYPAD: "SIMULATE_MANUAL_LOCK_VIA_KEYPAD",
    Task.RESET_SANDBOX_WORKSPACE: "RESET_SANDBOX_WORKSPACE",
}


def action_type(action: Action | Task) -> ActionType:
    """Return the type of an attempt; an unlatch opens the door, so it is an `UNLOCK_DOOR`."""
    return _ACTION_TYPES[action]


def action_attempt(attempt: Attempt) -> ActionAttempt:
    """Build the attempt object."""
    state = status(attempt.state)
    return {
        "action_attempt_id": str(attempt.attempt_id),
        "action_type": action_type(attempt.action),
        "status": state,
        "result": _result(attempt) if state == "success" else None,
        "error": _error(attempt) if state == "error" else None,
    }


def _result(attempt: Attempt) -> dict[str, Any]:
    return {"was_confirmed_by_device": True} if isinstance(attempt.action, Action) else {}


def _error(attempt: Attempt) -> AttemptError:
    code = attempt.code or Code.UNCATEGORIZED_ERROR
    return {"type": code.error_type, "message": attempt.message or "The action failed."}


def attempt_event(attempt: Attempt, identity: Identity, event_id: str, created_at: datetime) -> dict[str, Any]:
    """Build `action_attempt.*.succeeded` or `.failed` for an attempt that has its outcome."""
    kind = action_type(attempt.action)
    suffix = "succeeded" if attempt.state is State.CONFIRMED else "failed"
    return {
        **_of_attempt(f"action_attempt.{kind.lower()}.{suffix}", identity, event_id, attempt, created_at),
        "action_attempt_id": str(attempt.attempt_id),
        "action_type": kind,
        "status": status(attempt.state),
    }


def lock_event(attempt: Attempt, identity: Identity, event_id: str, created_at: datetime) -> dict[str, Any]:
    """Build `lock.locked` or `lock.unlocked` for a confirmed attempt that moved the bolt."""
    kind = "lock.locked" if attempt.action is Action.LOCK else "lock.unlocked"
    return {
        **_of_attempt(kind, identity, event_id, attempt, created_at),
        **METHODS[attempt.method],
        **({} if attempt.method is Method.UNKNOWN else {"action_attempt_id": str(attempt.attempt_id)}),
    }


METHODS: dict[Method, dict[str, Any]] = {
    Method.REMOTE_API: {"method": "remote"},
    Method.BLUETOOTH_KEY: {"method": "remote", "is_via_bluetooth": True},
    Method.MOBILE_APP: {"method": "remote", "is_via_bluetooth": True},
    Method.PIN_CODE: {"method": "keycode"},
    Method.FOB_CARD: {"method": "card", "is_via_nfc": True},
    Method.FINGERPRINT: {"method": "unknown"},
    Method.MANUAL_TURN: {"method": "manual"},
    Method.AUTO_LOCK: {"method": "automatic"},
    Method.UNKNOWN: {"method": "unknown"},
}
"""How Seam names the means of an operation."""


def _of_attempt(
    event_type: str, identity: Identity, event_id: str, attempt: Attempt, created_at: datetime
) -> dict[str, Any]:
    return common(event_type, identity, event_id, attempt.lock_id, created_at=created_at, occurred_at=attempt.ended_at)


def common(
    event_type: str,
    identity: Identity,
    event_id: str,
    lock_id: str,
    *,
    created_at: datetime,
    occurred_at: datetime | None = None,
) -> dict[str, Any]:
    """Build what every event of a lock has; without `occurred_at` it is told as it occurs."""
    return {
        "event_id": event_id,
        "event_type": event_type,
        "workspace_id": str(identity.workspace_id),
        "created_at": text.milliseconds(created_at),
        "occurred_at": text.milliseconds(occurred_at or created_at),
        "device_id": str(identity.device_id(lock_id)),
        "connected_account_id": str(identity.connected_account_id),
    }


class Workspace(TypedDict):
    """All that this bridge has: to Seam's clients it is a workspace."""

    workspace_id: str
    name: str
    company_name: str
    is_sandbox: bool
    is_suspended: Literal[False]
    connect_partner_name: None


def workspace(identity: Identity, *, sandbox: bool) -> Workspace:
    """Build the workspace object."""
    return {
        "workspace_id": str(identity.workspace_id),
        "name": identity.bridge_id,
        "company_name": identity.bridge_id,
        "is_sandbox": sandbox,
        "is_suspended": False,
        "connect_partner_name": None,
    }


def status(state: State) -> Status:
    """Return an attempt's status in this vocabulary; never `failed`, which clients take for a success."""
    if not state.terminal:
        return "pending"
    return "success" if state is State.CONFIRMED else "error"
