"""The answers to questions, from the journal, the states and the identity.

Rules:
1. A question changes nothing.
2. No question keeps the journal for long: pages are bounded, and a long search is done in stretches.
3. A list ends only where nothing is left: an answer that has no room for all has the cursor of the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from bridge.errors import Objection, StorageUnavailable, Unanswered
from bridge.journal import Journal, Sought
from bridge.lock import Lock
from bridge.questions.requests import (
    QUESTIONS,
    GetActionAttempt,
    GetDevice,
    GetEvent,
    GetLock,
    ListActionAttempts,
    ListDevices,
    ListEvents,
    ListLocks,
    ListQuestion,
    read,
)
from bridge.states import States
from bridge.wire import answer as wire
from bridge.wire import seam, text
from bridge.wire.device import Device, device

log = structlog.get_logger()

MAKERS_EVENT = "lock.action_completed"
"""Not in Seam's shape, which tells the same as `action_attempt.*`; listed only where it is asked for by name."""

SHORTEST_PREFIX = 4
"""Characters of an identity by which a lock is found."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question is answered with."""

    body: dict[str, Any]
    """A JSON object."""
    status: int
    """As HTTP counts."""
    request_id: str


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What an answer may hold."""

    room: int | None
    """Bytes of JSON; None for any number."""
    known: frozenset[str] | None
    """The locks that it may tell of; None for all."""

    def include(self, lock_id: str) -> bool:
        return self.known is None or lock_id in self.known


@dataclass(frozen=True, slots=True)
class _Page:
    """What was found for one page of a list."""

    items: Sequence[Any]
    places: Sequence[int]
    """The place from which the list goes on after each of the items."""
    rest: int | None
    """The place from which it goes on after the page; None if nothing is left."""

    def cut(self, number: int) -> _Page:
        """Keep as many items."""
        if number >= len(self.items):
            return self
        return _Page(self.items[:number], self.places[:number], self.places[number - 1])


def unanswered(reason: Unanswered) -> Answer:
    """Return the answer to a question that is not answered."""
    request_id = str(uuid.uuid4())
    return Answer(dict(wire.error(reason, request_id)), reason.objection.status, request_id)


class Questions:
    """Answers questions."""

    def __init__(
        self,
        locks: Sequence[Lock],
        *,
        journal: Journal,
        states: States,
        identity: seam.Identity,
        timezone: str,
        begun_at: str,
        sandbox: bool = False,
    ) -> None:
        """Take what to answer from.

        Args:
            locks: the configured ones, in the order in which they are listed.
            journal: what was asked of them and what came of it.
            states: how they stand.
            identity: whose they are.
            timezone: where they are.
            begun_at: since when the bridge has known them, RFC 3339.
            sandbox: whether they are virtual.
        """
        self._locks: dict[str, Lock] = {}
        self._lock_ids: dict[str, str] = {}
        self._journal = journal
        self._states = states
        self._identity = identity
        self._timezone = timezone
        self._begun_at = begun_at
        self._sandbox = sandbox
        for lock in locks:
            self.add(lock)

    def add(self, lock: Lock) -> None:
        """Answer for one more lock."""
        self._locks[lock.id] = lock
        self._lock_ids[str(self._identity.device_id(lock.id))] = lock.id

    async def answer(
        self, method: str, body: object, *, room: int | None = None, known: frozenset[str] | None = None
    ) -> Answer:
        """Answer a question.

        Args:
            method: such as `action_attempts/get`.
            body: decoded JSON.
            room: how many bytes of JSON a list's answer may have; what does not fit is left to the next page.
            known: the locks that whoever asks may know of; None for all.
        """
        try:
            found = await self._find(method, body, _Bounds(room, known))
        except Unanswered as reason:
            return unanswered(reason)
        except StorageUnavailable as error:
            log.warning("question not answered", method=method, reason=str(error))
            return unanswered(
                Unanswered(Objection.STORAGE_UNAVAILABLE, "The bridge cannot read its journal now; ask again later.")
            )
        return Answer({**found, "ok": True}, 200, str(uuid.uuid4()))

    async def _find(  # noqa: PLR0911 - one for each question
        self, method: str, body: object, bounds: _Bounds
    ) -> dict[str, Any]:
        if method not in QUESTIONS:
            raise Unanswered(Objection.NOT_FOUND, "There is no such method.")
        match read(QUESTIONS[method], body):
            case GetActionAttempt() as question:
                return await self._get_attempt(question, bounds)
            case ListActionAttempts() as question:
                return await self._list_attempts(question, bounds)
            case GetDevice() as question:
                return {"device": self._get_lock(question, bounds)}
            case GetLock() as question:
                found = self._get_lock(question, bounds)
                return {"lock": found, "device": found}
            case ListDevices() as question:
                page = self._list_locks(question, bounds, 1)
                return {"devices": page.items, "pagination": _pagination(question, page)}
            case ListLocks() as question:
                page = self._list_locks(question, bounds, 2)
                return {"locks": page.items, "devices": page.items, **_more(question, page)}
            case GetEvent() as question:
                return await self._get_event(question, bounds)
            case ListEvents() as question:
                return await self._list_events(question, bounds)
            case _:
                return {"workspace": seam.workspace(self._identity, sandbox=self._sandbox)}

    async def _get_attempt(self, question: GetActionAttempt, bounds: _Bounds) -> dict[str, Any]:
        attempt = await self._journal.search.attempt(question.action_attempt_id.lower())
        if attempt is None or not bounds.include(attempt.lock_id):
            raise Unanswered(
                Objection.ACTION_ATTEMPT_NOT_FOUND,
                "There is no such action attempt; attempts are kept for 30 days.",
                data={"action_attempt_id": question.action_attempt_id},
            )
        return {"action_attempt": seam.action_attempt(attempt)}

    async def _list_attempts(self, question: ListActionAttempts, bounds: _Bounds) -> dict[str, Any]:
        lock_ids = bounds.known
        if question.device_id is not None:
            lock_ids = frozenset([self.lock_id(question.device_id, bounds.known)])
        if question.action_attempt_ids is None:
            page = await self._latest_attempts(question, lock_ids)
        else:
            page = await self._named_attempts(question, question.action_attempt_ids, lock_ids)
        page = _fitted(page, bounds.room)
        return {"action_attempts": page.items, "pagination": _pagination(question, page)}

    async def _latest_attempts(self, question: ListActionAttempts, lock_ids: frozenset[str] | None) -> _Page:
        """Find attempts, the latest first."""
        before = question.place(10**18)
        found = await self._journal.search.attempts(lock_ids, before, question.size + 1)
        shown = found[: question.size]
        rest = shown[-1].seq if len(found) > len(shown) else None
        return _Page([seam.action_attempt(attempt) for attempt in shown], [attempt.seq for attempt in shown], rest)

    async def _named_attempts(
        self, question: ListActionAttempts, ids: Sequence[str], lock_ids: frozenset[str] | None
    ) -> _Page:
        """Find attempts in the order in which they are named; those that there are not are left out."""
        wanted = list(dict.fromkeys(each.lower() for each in ids))
        start = question.place(0)
        end = start + question.size
        found = await self._journal.search.attempts_named(wanted[start:end])
        kept = [
            (place, found[each])
            for place, each in enumerate(wanted[start:end], start + 1)
            if each in found and (lock_ids is None or found[each].lock_id in lock_ids)
        ]
        return _Page(
            [seam.action_attempt(attempt) for _, attempt in kept],
            [place for place, _ in kept],
            end if end < len(wanted) else None,
        )

    def _get_lock(self, question: GetLock, bounds: _Bounds) -> Device:
        lock_id = None if question.device_id is None else self.lock_id(question.device_id, bounds.known)
        for lock in self._locks.values():
            if lock_id in (None, lock.id) and question.name in (None, lock.name) and bounds.include(lock.id):
                return self._device(lock)
        raise _no_such_device({"name": question.name})

    def _list_locks(self, question: ListLocks, bounds: _Bounds, copies: int) -> _Page:
        """Find locks, each of which will stand so many times in the answer."""
        start = question.place(0)
        visible = [lock for lock in self._locks.values() if bounds.include(lock.id)]
        matching = [each for each in map(self._device, visible) if self._is_asked_for(each, question)]
        end = start + question.size
        rest = end if end < len(matching) else None
        items = matching[start:end]
        places = range(start + 1, start + 1 + len(items))
        return _fitted(_Page(items, places, rest), None if bounds.room is None else bounds.room // copies)

    def _is_asked_for(self, found: Device, question: ListLocks) -> bool:
        ids = None if question.device_ids is None else {self._lock_ids.get(i.lower(), i) for i in question.device_ids}
        return (
            not question.vain
            and _among(found["custom_metadata"]["lock_id"], ids)
            and _among(found["device_type"], question.device_types)
            and _among(found["connected_account_id"], question.connected_account_ids)
            and question.device_type in (None, found["device_type"])
            and question.manufacturer in (None, found["properties"]["manufacturer"])
            and question.connected_account_id in (None, found["connected_account_id"])
            and (question.created_before is None or text.parse_time(found["created_at"]) < question.created_before)
            and _has(found["custom_metadata"], question.custom_metadata_has or {})
            and (question.search is None or _is_found(found, question.search.lower()))
        )

    async def _get_event(self, question: GetEvent, bounds: _Bounds) -> dict[str, Any]:
        sought = Sought(
            event_types=_either(question.event_type, None),
            lock_ids=self._lock_ids_of(_either(question.device_id, None), bounds),
            event_ids=None if question.event_id is None else [question.event_id.lower()],
            but=None if question.event_type or question.event_id else MAKERS_EVENT,
        )
        for event in await self._journal.search.latest_events(sought, 1):
            return {"event": event.body}
        raise Unanswered(
            Objection.EVENT_NOT_FOUND,
            "There is no such event; events are kept for 7 days.",
            data=question.model_dump(mode="json", exclude_none=True),
        )

    async def _list_events(self, question: ListEvents, bounds: _Bounds) -> dict[str, Any]:
        devices = _either(question.device_id, question.device_ids)
        since, until = question.bounds
        sought = Sought(
            since,
            until,
            event_types=_either(question.event_type, question.event_types),
            lock_ids=self._lock_ids_of(devices, bounds),
            event_ids=[] if question.vain else _lower(question.event_ids),
            account_ids=_lower(_either(question.connected_account_id, question.connected_account_ids)),
            but=None if question.names_events else MAKERS_EVENT,
        )
        found = await self._journal.search.events(sought, question.place(0), question.size + 1, question.skipped)
        shown = found[: question.size]
        rest = shown[-1].seq if len(found) > len(shown) else None
        page = _fitted(_Page([event.body for event in shown], [event.seq for event in shown], rest), bounds.room)
        return {"events": page.items, **_more(question, page)}

    def lock_id(self, device_id: str, known: frozenset[str] | None = None) -> str:
        """Return the lock that a device id names: its UUID, or the lock's own id.

        Args:
            device_id: either of the two.
            known: the locks that whoever asks may know of; None for all.

        Raises:
            Unanswered: there is no such lock.
        """
        found = device_id if device_id in self._locks else self._lock_ids.get(device_id.lower())
        if found is None or (known is not None and found not in known):
            raise _no_such_device({"device_id": device_id})
        return found

    def _lock_ids_of(self, device_ids: Sequence[str] | None, bounds: _Bounds) -> Sequence[str] | None:
        """Return the locks whose events are asked for; None for all and the bridge itself."""
        if device_ids is None:
            return None if bounds.known is None else list(bounds.known)
        return [self.lock_id(each, bounds.known) for each in device_ids]

    def _device(self, lock: Lock) -> Device:
        return device(
            self._states.device(lock.id),
            self._identity,
            actions=lock.offered,
            auto_lock=lock.permission.auto_lock,
            timezone=self._timezone,
            created_at=self._begun_at,
        )


def _fitted(page: _Page, room: int | None) -> _Page:
    return page if room is None else page.cut(wire.fitting(page.items, room))


def _pagination(question: ListQuestion, page: _Page) -> wire.Pagination:
    """Return where a list goes on."""
    return wire.pagination(None if page.rest is None else question.cursor(page.rest))


def _more(question: ListQuestion, page: _Page) -> dict[str, Any]:
    """Return where a list goes on that has no pagination in Seam's shape: nothing, unless there is more."""
    return {} if page.rest is None else {"pagination": _pagination(question, page)}


def _either(one: str | None, many: Sequence[str] | None) -> Sequence[str] | None:
    """Return what a filter in singular and plural lets through; None for everything."""
    if one is None:
        return many
    return [one] if many is None or one in many else []


def _among(value: str, wanted: Sequence[str] | set[str] | None) -> bool:
    return wanted is None or value in wanted


def _lower(ids: Sequence[str] | None) -> Sequence[str] | None:
    return None if ids is None else [each.lower() for each in ids]


def _has(metadata: Mapping[str, str], wanted: Mapping[str, object]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())


def _is_found(found: Device, word: str) -> bool:
    """Tell whether a name or the metadata has a word in it, or an id begins with it."""
    ids = (found["device_id"], found["connected_account_id"]) if len(word) >= SHORTEST_PREFIX else ()
    said = (found["display_name"], *found["custom_metadata"].values())
    return any(each.startswith(word) for each in ids) or any(word in each.lower() for each in said)


def _no_such_device(data: dict[str, Any]) -> Unanswered:
    return Unanswered(Objection.DEVICE_NOT_FOUND, "There is no such device.", data=data)
