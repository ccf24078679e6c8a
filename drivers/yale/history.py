"""What the records of the activity log mean: who did what, as far as they tell. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import Action, LogRecord, Method
from drivers.yale.protocol.codes import BLUETOOTH, Bolt, Source

if TYPE_CHECKING:
    from drivers.yale.protocol.activity import Activity

_ACTIONS: dict[int | None, Action] = {
    Bolt.LOCKED: Action.LOCK,
    Bolt.SECURE_MODE: Action.LOCK,
    Bolt.UNLOCKED: Action.UNLOCK,
    Bolt.UNLATCHED: Action.UNLATCH,
}
"""What the bolt's new place tells was done. A jam tells no direction, so it tells of no action."""

_METHODS: dict[int | None, Method] = {
    Source.MANUAL: Method.MANUAL_TURN,
    Source.AUTO_LOCK: Method.AUTO_LOCK,
    Source.PIN: Method.PIN_CODE,
}
"""A remote operation that did not come over Bluetooth is the vendor's cloud's, for whomever."""


def record(activity: Activity) -> LogRecord:
    """Return what a record says."""
    action = _ACTIONS.get(activity.bolt)
    over_bluetooth = activity.source == Source.REMOTE and activity.remote == BLUETOOTH
    method = _METHODS.get(activity.source, Method.UNKNOWN)
    if method is Method.PIN_CODE and not activity.slot:
        method = Method.UNKNOWN  # a key that needs no code
    return LogRecord(
        record_id=0,
        at=activity.at,
        action=action,
        method=Method.MOBILE_APP if over_bluetooth else method,
        succeeded=True if action else None,
        perhaps_ours=over_bluetooth,
        code_id=activity.slot or None,
    )
