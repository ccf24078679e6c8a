"""The events as they go out, beside the device-maker's `maker.Completed`: what a reader can rely on in each.

An event may carry more than is said here, never less.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from bridge.wire.seam import ActionType


class Happened(TypedDict):
    """What every event in Seam's shape has."""

    event_id: str
    event_type: str
    workspace_id: str
    created_at: str
    occurred_at: str


class AttemptEnded(Happened):
    """`action_attempt.*.succeeded` and `action_attempt.*.failed`: an attempt has its outcome."""

    device_id: str
    connected_account_id: str
    action_attempt_id: str
    action_type: ActionType
    status: Literal["success", "error"]


class LockMoved(Happened):
    """`lock.locked` and `lock.unlocked`: the bolt has moved, and by what means."""

    device_id: str
    connected_account_id: str
    method: Literal["remote", "keycode", "card", "manual", "automatic", "unknown"]
    action_attempt_id: NotRequired[str]
    is_via_bluetooth: NotRequired[bool]
    is_via_nfc: NotRequired[bool]


class LockTold(Happened):
    """Any other event of a lock, such as `lock.access_denied` or `device.disconnected`."""

    device_id: str
    connected_account_id: str


class BridgeTold(Happened):
    """An event of the bridge itself, such as `bridge.journal_reset` or `bridge.command_refused`."""

    bridge_id: str
    message: NotRequired[str]
