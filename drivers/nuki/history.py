"""What the lock's log entries mean: who did what, on the lock's own evidence."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from drivers.base import Action, Denial, LogRecord, Method
from drivers.nuki.protocol.codes import AuthorizationType, Completion, KeypadSource, LogType, Trigger, Turn
from drivers.nuki.protocol.errors import COMPLETIONS
from drivers.nuki.protocol.wire import unpack_name
from drivers.nuki.snapshot import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.nuki.protocol.commands import LogEntry

_ACTIONS: dict[int, Action] = {
    Turn.UNLOCK: Action.UNLOCK,
    Turn.LOCK: Action.LOCK,
    Turn.FULL_LOCK: Action.LOCK,
    Turn.UNLATCH: Action.UNLATCH,
    Turn.LOCK_N_GO: Action.UNLOCK,
    Turn.LOCK_N_GO_UNLATCH: Action.UNLATCH,
}
"""What the door did first; a lock'n'go locks again later, with an entry of its own."""

_SOURCES: dict[int, Method] = {
    KeypadSource.CODE: Method.PIN_CODE,
    KeypadSource.FINGERPRINT: Method.FINGERPRINT,
    KeypadSource.ARROW_KEY: Method.MANUAL_TURN,
}
"""The arrow key is a button that anyone may press: no code and no finger was presented."""

_HOLDERS: dict[int | None, Method] = {
    AuthorizationType.APP: Method.MOBILE_APP,
    AuthorizationType.FOB: Method.BLUETOOTH_KEY,
    AuthorizationType.KEYPAD: Method.PIN_CODE,
}
"""A vendor's bridge passes on what an app, the web or an automation asked, so it is unknown."""

_COMPLETIONS_AT: dict[int, int] = {
    LogType.LOCK_ACTION: 3,
    LogType.CALIBRATION: 3,
    LogType.INITIALIZATION: 3,
    LogType.KEYPAD: 2,
}
"""Where an entry's data tells how it ended."""

_DENIALS: dict[int | None, Denial] = {
    Completion.INVALID_CODE: Denial.UNKNOWN_CODE,
    Completion.INVALID_FINGERPRINT: Denial.CREDENTIAL_ERROR,
    Completion.NOT_AUTHORIZED: Denial.CREDENTIAL_ERROR,
}
"""How an entry of the keypad ends that let nobody in."""


class Historian:
    """Reads log entries as one authorization sees them."""

    def __init__(self, auth_id: int, name: str) -> None:
        """Take our own authorization and the name that it was given."""
        self._auth_id = auth_id
        self._name = name.encode()

    def is_ours(self, entry: LogEntry) -> bool:
        """Tell whether the entry carries our own authorization."""
        return entry.kind == LogType.LOCK_ACTION and entry.auth_id == self._auth_id

    def is_tagged(self, entry: LogEntry, tag: bytes) -> bool:
        """Tell whether the entry is ours and carries the tag."""
        tag = tag.rstrip(b"\0")
        return bool(tag) and self.is_ours(entry) and tag in entry.name

    def needs_holder(self, entry: LogEntry) -> bool:
        """Tell whether only the list of authorizations says what kind of key acted."""
        return (
            entry.kind == LogType.LOCK_ACTION
            and entry.data[1:2] == bytes([Trigger.SYSTEM])
            and entry.auth_id not in (0, self._auth_id)
        )

    def record(self, entry: LogEntry, holders: Mapping[int, int]) -> LogRecord:
        """Return what the entry says.

        Args:
            entry: as the lock sent it.
            holders: authorization id to `AuthorizationType`, as far as known.
        """
        turn = entry.data[0] if entry.data and entry.kind in (LogType.LOCK_ACTION, LogType.KEYPAD) else None
        completion = _completion(entry)
        refusal = None if completion is None else COMPLETIONS.get(completion)
        return LogRecord(
            record_id=entry.index,
            at=entry.at,
            action=None if turn is None else _ACTIONS.get(turn),
            method=self._method(entry, holders),
            succeeded=None if completion in (None, Completion.UNKNOWN) else completion == Completion.SUCCESS,
            fault=refusal.fault if refusal else None,
            actor=self._actor(entry),
            tag=self._tag(entry),
            ours=self.is_ours(entry),
            denied=_DENIALS.get(completion) if entry.kind == LogType.KEYPAD else None,
            code_id=_code_id(entry),
        )

    def _method(self, entry: LogEntry, holders: Mapping[int, int]) -> Method:
        if len(entry.data) < 2:  # noqa: PLR2004 - action, then trigger or source
            return Method.UNKNOWN
        evidence = entry.data[1]
        if entry.kind == LogType.KEYPAD:
            return _SOURCES.get(evidence, Method.UNKNOWN)
        if entry.kind != LogType.LOCK_ACTION:
            return Method.UNKNOWN
        if evidence != Trigger.SYSTEM:
            return METHODS.get(evidence, Method.UNKNOWN)
        if self.is_ours(entry):
            return Method.REMOTE_API
        return _HOLDERS.get(holders.get(entry.auth_id), Method.UNKNOWN)

    def _actor(self, entry: LogEntry) -> str | None:
        if self.is_ours(entry):
            return unpack_name(self._name) or None
        name = unpack_name(entry.name)
        return name or str(_code_id(entry) or "") or None

    def _tag(self, entry: LogEntry) -> bytes | None:
        """Return what follows our own name, which the lock may have cut to make room."""
        if not self.is_ours(entry):
            return None
        same = takewhile(lambda pair: pair[0] == pair[1], zip(entry.name, self._name, strict=False))
        return entry.name[sum(1 for _ in same) :] or None


def _code_id(entry: LogEntry) -> int | None:
    """Return the lock's number for the code that was entered; none for a wrong one, a finger or the arrow key."""
    if entry.kind != LogType.KEYPAD:
        return None
    return int.from_bytes(entry.data[3:5], "little") or None


def _completion(entry: LogEntry) -> int | None:
    at = _COMPLETIONS_AT.get(entry.kind)
    return entry.data[at] if at is not None and len(entry.data) > at else None
