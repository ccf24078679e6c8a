"""What the entries of a Sesame's history mean: who did what, on the lock's own evidence. Pure.

A command leaves an entry when the lock takes it, which says by what means, and another when the motor has done with it,
which says what came of it: they are put together here. An entry of the first kind alone proves nothing of the bolt.
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drivers.base import TAG_BYTES, Action, Fault, LogRecord, Method
from drivers.sesame.protocol.codes import HistoryType, TagType

if TYPE_CHECKING:
    from drivers.sesame.protocol.history import HistoryEntry

MARK_CHARACTERS = 4
DRIVING = 60
"""Seconds in which a motor has done with a command."""

_TAKEN: dict[int, tuple[Action, Method]] = {
    HistoryType.BLE_LOCK: (Action.LOCK, Method.UNKNOWN),
    HistoryType.BLE_UNLOCK: (Action.UNLOCK, Method.UNKNOWN),
    HistoryType.WIFI_LOCK: (Action.LOCK, Method.UNKNOWN),
    HistoryType.WIFI_UNLOCK: (Action.UNLOCK, Method.UNKNOWN),
    HistoryType.WEB_LOCK: (Action.LOCK, Method.REMOTE_API),
    HistoryType.WEB_UNLOCK: (Action.UNLOCK, Method.REMOTE_API),
    HistoryType.AUTO_LOCK: (Action.LOCK, Method.AUTO_LOCK),
}
_DRIVEN: dict[int, Action] = {
    HistoryType.DRIVE_LOCKED: Action.LOCK,
    HistoryType.DRIVE_UNLOCKED: Action.UNLOCK,
}
_TURNED: dict[int, Action] = {
    HistoryType.MANUAL_LOCKED: Action.LOCK,
    HistoryType.MANUAL_UNLOCKED: Action.UNLOCK,
}
_METHODS: dict[int | None, Method] = {
    TagType.CARD: Method.FOB_CARD,
    TagType.FINGER: Method.FINGERPRINT,
    TagType.PASSWORD: Method.PIN_CODE,
    TagType.REMOTE: Method.BLUETOOTH_KEY,
    TagType.REMOTE_NANO: Method.BLUETOOTH_KEY,
    TagType.BUSINESS: Method.REMOTE_API,
    TagType.WEB: Method.REMOTE_API,
    TagType.ANDROID_BLE: Method.MOBILE_APP,
    TagType.IOS_BLE: Method.MOBILE_APP,
    TagType.ANDROID_WIFI: Method.MOBILE_APP,
    TagType.IOS_WIFI: Method.MOBILE_APP,
}
"""There is no word for a face or a palm, nor for a button or a sensor of a Sesame Touch: these are unknown."""


def marked(secret: bytes, tag: bytes) -> bytes:
    """Return a tag with a mark by which it is known as ours again; it is cut to make room."""
    tag = tag[: TAG_BYTES - MARK_CHARACTERS]
    return tag + _mark(secret, tag)


def is_ours(secret: bytes, tag: bytes) -> bool:
    """Tell whether a tag has our mark."""
    return len(tag) > MARK_CHARACTERS and hmac.compare_digest(
        tag[-MARK_CHARACTERS:], _mark(secret, tag[:-MARK_CHARACTERS])
    )


def _mark(secret: bytes, tag: bytes) -> bytes:
    return base64.b32encode(hmac.digest(secret, tag, "sha256"))[:MARK_CHARACTERS]


class Historian:
    """Reads the entries of one lock's history in their order."""

    def __init__(self, secret: bytes) -> None:
        """Take the lock's secret, by which our marks are known."""
        self._secret = secret
        self._taken: HistoryEntry | None = None

    def read(self, entry: HistoryEntry) -> LogRecord | None:
        """Return what an entry says, with what those before it said; None if it says nothing by itself."""
        if entry.kind in _TAKEN:
            self._taken = entry
            return None
        if (action := _TURNED.get(entry.kind)) is not None:
            return LogRecord(0, _time(entry), action, Method.MANUAL_TURN, succeeded=True)
        action = _DRIVEN.get(entry.kind)
        if action is None and entry.kind != HistoryType.DRIVE_FAILED:
            return None
        taken, self._taken = self._taken, None
        if taken is not None and not (action in (None, _TAKEN[taken.kind][0]) and 0 <= entry.at - taken.at <= DRIVING):
            taken = None
        return self._driven(entry, action, taken)

    def _driven(self, entry: HistoryEntry, action: Action | None, taken: HistoryEntry | None) -> LogRecord:
        """Return what came of a command that was taken, if it is known which."""
        succeeded = action is not None
        fault = None if succeeded else Fault.JAMMED
        if taken is None:
            return LogRecord(0, _time(entry), action, Method.UNKNOWN, succeeded, fault)
        wanted, method = _TAKEN[taken.kind]
        ours = is_ours(self._secret, taken.name)
        if ours:
            method = Method.REMOTE_API
        elif taken.tag_type is not None:
            method = _METHODS.get(taken.tag_type, Method.UNKNOWN)
        return LogRecord(
            record_id=0,
            at=_time(entry),
            action=wanted,
            method=method,
            succeeded=succeeded,
            fault=fault,
            actor=taken.person or _text(taken.name),
            tag=taken.name or None,
            ours=ours,
        )


def _time(entry: HistoryEntry) -> datetime:
    return datetime.fromtimestamp(entry.at, UTC)


def _text(name: bytes) -> str | None:
    """Return a name that can be shown."""
    text = name.decode("utf-8", "replace").strip("\0 ")
    return text if text and text.isprintable() else None
