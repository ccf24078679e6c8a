"""Who operated the door: from what a lock says to what is told of it. Pure.

Rules:
1. The lock's log names who; its own report names what brought its present state about; silence names nobody.
2. The place in the log goes on in the same transaction as the events of what was found before it, so each entry is told
   once. A log that began anew is followed from its end, as on first acquaintance: what is in it was told, or was
   nobody's business here.
3. An entry that carries our own mark was told with its attempt, and proves nothing of a bolt that the attempt did not.
4. A state that nothing explains is somebody's doing: told as unknown, or by what the lock reports of it, and put right
   once an entry of that very time says otherwise.
5. Times are the lock's own, by their distance from its present: its clock may be wrong. Where there is no such distance
   nothing is put right.
6. A log that forgets what is read of it is of a lock that does not tell its time. An entry of it was made after the log
   was last found empty; where its date says so, too, the lock's clock is right, and else it is not dated.
7. Such a log does not tell our own operations from those of others' phones: as many as we did are ours.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from bridge.attempt import State
from bridge.errors import code_of
from bridge.model import Attempt, Event, Operation, Task
from bridge.watch.memory import Bolt, Memory, Own, Pending, Place
from bridge.wire import operation as wire
from bridge.wire import state, text
from bridge.wire.device import BatteryStatus, battery_status
from bridge.wire.seam import Identity
from drivers.base import Action, LockState, LogRecord, Method, Snapshot

HISTORIC = timedelta(minutes=2)
"""Age from which on an operation is told as historic."""
RESOLUTION = timedelta(seconds=1)
"""How exactly a lock dates the entries of its log."""
SLACK = timedelta(seconds=10)
"""By how much the lock's log and the bridge may date the same thing differently, where no entry fits exactly."""
SAME_CLOCK = timedelta(seconds=30)
"""By how much a lock's clock may differ from ours before its own dates are not told."""
PENDING = 16
"""Operations for which an explanation is waited for; beyond that the oldest stays as it was told."""
OWN = 256
"""Operations of ours that a log may still tell of, and not as ours: as many as a lock keeps."""
BATTERY_MARGIN = 5
"""Percent by which a battery must be over a limit before it is said to be better than it was."""

_STANDS: MappingProxyType[LockState, Bolt] = MappingProxyType(
    {LockState.LOCKED: "locked", LockState.UNLOCKED: "unlocked", LockState.UNLATCHED: "unlocked"}
)
_BRINGS: MappingProxyType[Action, Bolt] = MappingProxyType(
    {Action.LOCK: "locked", Action.UNLOCK: "unlocked", Action.UNLATCH: "unlocked"}
)
_DONE: MappingProxyType[Bolt, Action] = MappingProxyType({"locked": Action.LOCK, "unlocked": Action.UNLOCK})
_WORSE: tuple[BatteryStatus, ...] = ("critical", "low", "good", "full")


@dataclass(frozen=True, slots=True)
class Now:
    """The moment of a look."""

    wall: datetime
    uptime: timedelta
    """Since when the bridge has been watching."""
    lock_time: datetime | None = None
    """The same moment by the lock's own clock; None if it does not tell."""

    def age(self, record: LogRecord) -> timedelta | None:
        """Return how long ago an entry was made; None if that cannot be told."""
        if self.lock_time is None or record.at is None or record.at > self.lock_time:
            return None
        return self.lock_time - record.at

    def happened(self, record: LogRecord) -> datetime | None:
        """Return when an entry was made, by the bridge's clock; None if that cannot be told."""
        age = self.age(record)
        if age is None or record.at is None:
            return None
        at = self.wall - age
        return record.at if abs(at - record.at) <= SAME_CLOCK else at


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of the log, the oldest first."""

    records: Sequence[LogRecord]
    acquaintance: bool = False
    """Whether the log is followed from here on: what is in the page is not told, but may explain."""
    first_look: bool = False
    """Whether it is read for the first time in this life: what cannot be dated may be of any age."""
    taken: bool = False
    """Whether the log has forgotten them."""
    more: bool = False
    """Whether there may be more to read."""


def explained(memory: Memory, snapshot: Snapshot) -> bool:
    """Tell whether a lock stands where all that was told has brought it, as far as that is known."""
    return memory.bolt in (None, _STANDS.get(snapshot.lock_state, memory.bolt))


class Reckoner:
    """Reckons for one lock."""

    def __init__(self, lock_id: str, identity: Identity) -> None:
        self._lock_id = lock_id
        self._identity = identity

    def follow(self, memory: Memory, page: Page, now: Now) -> tuple[Memory, list[Event]]:
        """Take account of log entries that come after the memory's place."""
        if page.taken:
            memory, page, now = _of_a_log_that_forgets(memory, page, now)
        explains = _matches(memory.pending, page.records, now)
        events: list[Event] = []
        bolt, last = memory.bolt, memory.last_operation
        for record in page.records:
            if record.action is None:
                continue
            if record.succeeded and not page.acquaintance and not (record.ours and bolt is None):
                bolt = _BRINGS[record.action]
            if (pending := explains.get(record.record_id)) is not None:
                events += self._corrections(pending, record, now)
                last = _put_right(last, pending, record.method)
            elif not (record.ours or page.acquaintance):
                events += self._of_record(record, now, first_look=page.first_look)
                if record.succeeded:
                    at = now.happened(record) or now.wall
                    last = _latest(last, _last_operation(record.action, record.method, at))
        changes: dict[str, Any] = {"bolt": bolt, "last_operation": last}
        if page.records:
            changes["place"] = Place(index=page.records[-1].record_id, at=page.records[-1].at)
        elif memory.place is None:
            changes["place"] = Place(index=0)
        found = list(explains.values())
        changes["pending"] = tuple(pending for pending in memory.pending if pending not in found)
        return memory.model_copy(update=changes), events

    def settle(self, memory: Memory, snapshot: Snapshot, now: Now) -> tuple[Memory, list[Event]]:
        """Take account of where a lock stands that nothing more will explain for now."""
        bolt = _STANDS.get(snapshot.lock_state)
        seen: dict[str, Any] = {"bolt": bolt or memory.bolt, "seen_at": now.wall if bolt else memory.seen_at}
        if bolt is None or explained(memory, snapshot):
            return memory.model_copy(update=seen), []
        method = snapshot.method or Method.UNKNOWN
        operation = Operation(self._lock_id, _action_id(), _DONE[bolt], method, now.wall)
        events = self._of_operation(operation, now)
        seen["last_operation"] = _last_operation(operation.action, method, now.wall)
        pending = Pending(bolt=bolt, method=method, since=memory.seen_at or now.wall, until=now.wall)
        return _awaiting(memory.model_copy(update=seen), pending, events), events

    def ended(
        self, memory: Memory, attempt: Attempt, told: Sequence[Event], now: Now, *, log_is_nameless: bool = False
    ) -> Memory:
        """Take account of an attempt that was told.

        Args:
            memory: before it.
            attempt: which has its outcome.
            told: by what it was told.
            now: the moment.
            log_is_nameless: whether the lock's log will not tell it from what others did.
        """
        if isinstance(attempt.action, Task):
            return memory  # the bolt has nothing to do with it
        if log_is_nameless and attempt.state in (State.UNKNOWN, State.CONFIRMED) and attempt.changed is not False:
            own = Own(bolt=_BRINGS[attempt.action], since=attempt.accepted_at, until=now.wall)
            memory = memory.model_copy(update={"own": (*memory.own, own)[-OWN:]})
        if attempt.state is State.UNKNOWN:
            return memory.model_copy(update={"bolt": None})
        if attempt.state is not State.CONFIRMED:
            return memory
        changes: dict[str, Any] = {"bolt": _BRINGS[attempt.action], "seen_at": now.wall}
        if attempt.changed is not False:
            changes["last_operation"] = _last_operation(attempt.action, attempt.method, attempt.ended_at or now.wall)
        after = memory.model_copy(update=changes)
        if attempt.method is not Method.UNKNOWN:
            return after
        pending = Pending(
            bolt=_BRINGS[attempt.action],
            method=attempt.method,
            since=attempt.accepted_at,
            until=now.wall,
            attempt_id=str(attempt.attempt_id),
        )
        return _awaiting(after, pending, told)

    def condition(self, memory: Memory, known: state.Device, now: Now) -> tuple[Memory, list[Event]]:
        """Take account of whether a lock is available and how its battery is."""
        changes: dict[str, Any] = {}
        events: list[Event] = []
        if known["online"] is not memory.connected:
            changes["connected"] = known["online"]
        if known["online"] is not (memory.connected is not False):  # a lock is met as one that is available
            events.append(self._event(wire.connected(known, self._identity, _event_id(), now.wall)))
        before, status = memory.battery, _battery(memory.battery, known)
        if status != before and status is not None:
            changes["battery"] = status
            kinds = ["device.battery_status_changed"] if before is not None else []
            if status in ("critical", "low") and before not in ("critical", "low"):
                kinds.append("device.low_battery")
            events += [
                self._event(
                    wire.battery(kind, known, status, identity=self._identity, event_id=_event_id(), at=now.wall)
                )
                for kind in kinds
            ]
        return (memory.model_copy(update=changes) if changes else memory), events

    def _of_record(self, record: LogRecord, now: Now, *, first_look: bool) -> list[Event]:
        if record.action is None or record.succeeded is None:
            return []
        age = now.age(record)
        operation = Operation(
            lock_id=self._lock_id,
            action_id=_action_id(),
            action=record.action,
            method=record.method,
            at=now.happened(record) or now.wall,
            succeeded=record.succeeded,
            code=code_of(record.fault) if record.fault else None,
            historic=first_look if age is None else age > min(HISTORIC, now.uptime),
            code_id=record.code_id,
        )
        if record.denied is not None:
            body = wire.access_denied(operation, record.denied, self._identity, _event_id(), now.wall)
            return [self._event(body)]
        return self._of_operation(operation, now)

    def _of_operation(self, operation: Operation, now: Now) -> list[Event]:
        events = [self._event(wire.completed(operation, self._identity, _event_id()))]
        if operation.succeeded:
            events.append(self._event(wire.moved(operation, self._identity, _event_id(), now.wall)))
        return events

    def _corrections(self, pending: Pending, record: LogRecord, now: Now) -> list[Event]:
        if record.method is pending.method:
            return []
        by = wire.means(
            record.method,
            self._lock_id,
            self._identity,
            code_id=record.code_id,
            attempt_id=pending.attempt_id if record.ours else None,
        )
        return [self._event(wire.corrected(body, _event_id(), now.wall, by)) for body in pending.told]

    def _event(self, body: dict[str, Any]) -> Event:
        return Event(uuid.UUID(body["event_id"]), body["event_type"], self._lock_id, body)


_NAMES_MEANS = ("lock.action_completed", "lock.locked", "lock.unlocked")


def _of_a_log_that_forgets(memory: Memory, page: Page, now: Now) -> tuple[Memory, Page, Now]:
    """Return them as they are of one that does not: with a clock, where it is right, and with our own as ours."""
    earliest = memory.emptied_at - SAME_CLOCK if memory.emptied_at else None
    left, records = list(memory.own), list[LogRecord]()
    for record in page.records:
        if record.at is None or record.at > now.wall + SAME_CLOCK or (earliest is not None and record.at < earliest):
            record = replace(record, at=None)  # noqa: PLW2901 - as it can be believed
        own = next((each for each in left if _may_be(each, record)), None)
        if own is not None:
            left.remove(own)
            record = replace(record, ours=True, method=Method.REMOTE_API)  # noqa: PLW2901 - as above
        records.append(record)
    changes: dict[str, Any] = {"own": tuple(left)}
    if not page.more:
        changes = {"own": tuple(own for own in left if now.wall <= own.until + SLACK), "emptied_at": now.wall}
    lock_time = max([now.wall, *(record.at for record in records if record.at is not None)])
    return memory.model_copy(update=changes), replace(page, records=records), replace(now, lock_time=lock_time)


def _may_be(own: Own, record: LogRecord) -> bool:
    """Tell whether an entry may be of an operation of ours."""
    if not record.perhaps_ours or record.action is None or _BRINGS[record.action] != own.bolt:
        return False
    return record.at is None or own.since - SLACK <= record.at <= own.until + SLACK


def _awaiting(memory: Memory, pending: Pending, told: Sequence[Event]) -> Memory:
    """Wait for the log's word on an operation that was told."""
    bodies = tuple(dict(event.body) for event in told if event.event_type in _NAMES_MEANS)
    waiting = (*memory.pending, pending.model_copy(update={"told": bodies}))
    return memory.model_copy(update={"pending": waiting[-PENDING:]})


def _matches(pending: Sequence[Pending], records: Sequence[LogRecord], now: Now) -> dict[int, Pending]:
    """Return the operations that entries explain, by the entry: the latest of each one's own time, in their order."""
    found: dict[int, Pending] = {}
    left = list(records)
    for each in reversed(pending):
        for slack in (RESOLUTION, SLACK):
            if places := [place for place, record in enumerate(left) if _fits(each, record, now, slack)]:
                break
        if places:
            found[left[places[-1]].record_id] = each
            del left[places[-1] :]
    return found


def _fits(pending: Pending, record: LogRecord, now: Now, slack: timedelta) -> bool:
    """Tell whether an entry may be what brought an operation about."""
    at = now.happened(record)
    if at is None or record.action is None or not record.succeeded or _BRINGS[record.action] != pending.bolt:
        return False
    return pending.since - slack <= at <= pending.until + slack


def _battery(before: BatteryStatus | None, known: state.Device) -> BatteryStatus | None:
    """Return what is to be said of a battery; better than before only where it is so by a margin."""
    percent, critical = known.get("battery_level"), known.get("battery_critical", False)
    if percent is None:
        return before
    status = battery_status(percent, critical=critical)
    if before is None or _WORSE.index(status) <= _WORSE.index(before):
        return status
    surely = battery_status(max(0, percent - BATTERY_MARGIN), critical=critical)
    return surely if _WORSE.index(surely) > _WORSE.index(before) else before


def _last_operation(action: Action, method: Method, at: datetime) -> state.LastOperation:
    return {"action": action.value, "performed_via": method.value, "at": text.seconds(at)}


def _latest(last: state.LastOperation | None, found: state.LastOperation) -> state.LastOperation:
    return last if last is not None and last["at"] > found["at"] else found


def _put_right(last: state.LastOperation | None, pending: Pending, method: Method) -> state.LastOperation | None:
    """Name the means of the last operation, if that is the one that was waiting for it."""
    if last is None or not any(body.get("timestamp") == last["at"] for body in pending.told):
        return last
    return {**last, "performed_via": method.value}


def _action_id() -> str:
    return f"act_{secrets.token_hex(8)}"


def _event_id() -> str:
    return str(uuid.uuid4())
