"""The answers to questions, from the journal, the states and the identity.

Rules:
1. A question changes nothing.
2. No question keeps the journal for long: pages are bounded, and a long search is done in stretches.
3. A list ends only where nothing is left: an answer that has no room for all has the cursor of the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from bridge.errors import Objection, StorageUnavailable, Unanswered
from bridge.journal import Journal, Sought
from bridge.lock import Lock
from bridge.questions.requests import (
    GetActionAttempt,
    GetLock,
    ListActionAttempts,
    ListEvents,
    ListLocks,
    ListQuestion,
    read,
)
from bridge.states import States
from bridge.wire import answer as wire
from bridge.wire import seam
from bridge.wire.device import Device, device

log = structlog.get_logger()

MAKERS_EVENT = "lock.action_completed"
"""Not in Seam's shape, which tells the same as `action_attempt.*`; listed only where it is asked for by name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question is answered with."""

    body: dict[str, Any]
    """A JSON object."""
    status: int
    """As HTTP counts."""
    request_id: str


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
    ) -> None:
        """Take what to answer from.

        Args:
            locks: the configured ones, in the order in which they are listed.
            journal: what was asked of them and what came of it.
            states: how they stand.
            identity: whose they are.
            timezone: where they are.
            begun_at: since when the bridge has known them, RFC 3339.
        """
        self._locks = {lock.id: lock for lock in locks}
        self._lock_ids = {str(identity.device_id(lock_id)): lock_id for lock_id in self._locks}
        self._journal = journal
        self._states = states
        self._identity = identity
        self._timezone = timezone
        self._begun_at = begun_at

    async def answer(self, method: str, body: object, *, room: int | None = None) -> Answer:
        """Answer a question.

        Args:
            method: such as `action_attempts/get`.
            body: decoded JSON.
            room: how many bytes of JSON a list's answer may have; what does not fit is left to the next page.
        """
        try:
            found = await self._find(method, body, room)
        except Unanswered as reason:
            return unanswered(reason)
        except StorageUnavailable as error:
            log.warning("question not answered", method=method, reason=str(error))
            return unanswered(
                Unanswered(Objection.STORAGE_UNAVAILABLE, "The bridge cannot read its journal now; ask again later.")
            )
        return Answer({**found, "ok": True}, 200, str(uuid.uuid4()))

    async def _find(self, method: str, body: object, room: int | None) -> dict[str, Any]:
        match method:
            case "action_attempts/get":
                return await self._get_attempt(read(GetActionAttempt, body))
            case "action_attempts/list":
                return await self._list_attempts(read(ListActionAttempts, body), room)
            case "locks/get":
                return self._get_lock(read(GetLock, body))
            case "locks/list":
                return self._list_locks(read(ListLocks, body), room)
            case "events/list":
                return await self._list_events(read(ListEvents, body), room)
            case _:
                raise Unanswered(Objection.NOT_FOUND, "There is no such method.")

    async def _get_attempt(self, question: GetActionAttempt) -> dict[str, Any]:
        attempt = await self._journal.attempt(question.action_attempt_id.lower())
        if attempt is None:
            raise Unanswered(
                Objection.ACTION_ATTEMPT_NOT_FOUND,
                "There is no such action attempt; attempts are kept for 30 days.",
                data={"action_attempt_id": question.action_attempt_id},
            )
        return {"action_attempt": seam.action_attempt(attempt)}

    async def _list_attempts(self, question: ListActionAttempts, room: int | None) -> dict[str, Any]:
        lock_id = None if question.device_id is None else self._lock_id(question.device_id)
        if question.action_attempt_ids is None:
            page = await self._latest_attempts(question, lock_id)
        else:
            page = await self._named_attempts(question, question.action_attempt_ids, lock_id)
        page = _fitted(page, room)
        cursor = None if page.rest is None else question.cursor(page.rest)
        return {"action_attempts": page.items, "pagination": wire.pagination(cursor)}

    async def _latest_attempts(self, question: ListActionAttempts, lock_id: str | None) -> _Page:
        """Find attempts, the latest first."""
        before = question.place(10**18)
        found = await self._journal.attempts(lock_id, before, question.size + 1)
        shown = found[: question.size]
        rest = shown[-1].seq if len(found) > len(shown) else None
        return _Page([seam.action_attempt(attempt) for attempt in shown], [attempt.seq for attempt in shown], rest)

    async def _named_attempts(self, question: ListActionAttempts, ids: Sequence[str], lock_id: str | None) -> _Page:
        """Find attempts in the order in which they are named; those that there are not are left out."""
        wanted = list(dict.fromkeys(each.lower() for each in ids))
        start = question.place(0)
        end = start + question.size
        found = await self._journal.attempts_named(wanted[start:end])
        kept = [
            (place, found[each])
            for place, each in enumerate(wanted[start:end], start + 1)
            if each in found and lock_id in (None, found[each].lock_id)
        ]
        return _Page(
            [seam.action_attempt(attempt) for _, attempt in kept],
            [place for place, _ in kept],
            end if end < len(wanted) else None,
        )

    def _get_lock(self, question: GetLock) -> dict[str, Any]:
        lock_id = None if question.device_id is None else self._lock_id(question.device_id)
        for lock in self._locks.values():
            if lock_id in (None, lock.id) and question.name in (None, lock.name):
                found = self._device(lock)
                return {"lock": found, "device": found}
        raise _no_such_device({"name": question.name})

    def _list_locks(self, question: ListLocks, room: int | None) -> dict[str, Any]:
        start = question.place(0)
        matching = [each for each in map(self._device, self._locks.values()) if self._is_asked_for(each, question)]
        end = start + question.size
        rest = end if end < len(matching) else None
        items = matching[start:end]
        places = range(start + 1, start + 1 + len(items))
        page = _fitted(_Page(items, places, rest), None if room is None else room // 2)
        return {"locks": page.items, "devices": page.items, **_more(question, page)}

    def _is_asked_for(self, found: Device, question: ListLocks) -> bool:
        ids = None if question.device_ids is None else {self._lock_ids.get(i.lower(), i) for i in question.device_ids}
        return (
            _among(found["custom_metadata"]["lock_id"], ids)
            and _among(found["device_type"], question.device_types)
            and _among(found["connected_account_id"], question.connected_account_ids)
            and question.device_type in (None, found["device_type"])
            and question.manufacturer in (None, found["properties"]["manufacturer"])
            and question.connected_account_id in (None, found["connected_account_id"])
        )

    async def _list_events(self, question: ListEvents, room: int | None) -> dict[str, Any]:
        devices = _either(question.device_id, question.device_ids)
        since, until = question.bounds
        sought = Sought(
            since,
            until,
            event_types=_either(question.event_type, question.event_types),
            lock_ids=None if devices is None else [self._lock_id(each) for each in devices],
            event_ids=None if question.event_ids is None else [each.lower() for each in question.event_ids],
            but=None if question.names_events else MAKERS_EVENT,
        )
        found = await self._journal.events(sought, question.place(0), question.size + 1)
        shown = found[: question.size]
        rest = shown[-1].seq if len(found) > len(shown) else None
        page = _fitted(_Page([event.body for event in shown], [event.seq for event in shown], rest), room)
        return {"events": page.items, **_more(question, page)}

    def _lock_id(self, device_id: str) -> str:
        """Return the lock that a device id names: its UUID, or the lock's own id.

        Raises:
            Unanswered: there is no such lock.
        """
        if device_id in self._locks:
            return device_id
        try:
            return self._lock_ids[device_id.lower()]
        except KeyError:
            raise _no_such_device({"device_id": device_id}) from None

    def _device(self, lock: Lock) -> Device:
        return device(
            self._states.device(lock.id),
            self._identity,
            actions=lock.actions,
            timezone=self._timezone,
            created_at=self._begun_at,
        )


def _fitted(page: _Page, room: int | None) -> _Page:
    return page if room is None else page.cut(wire.fitting(page.items, room))


def _more(question: ListQuestion, page: _Page) -> dict[str, Any]:
    """Return where a list goes on that has no pagination in Seam's shape: nothing, unless there is more."""
    return {} if page.rest is None else {"pagination": wire.pagination(question.cursor(page.rest))}


def _either(one: str | None, many: Sequence[str] | None) -> Sequence[str] | None:
    """Return what a filter in singular and plural lets through; None for everything."""
    if one is None:
        return many
    return [one] if many is None or one in many else []


def _among(value: str, wanted: Sequence[str] | set[str] | None) -> bool:
    return wanted is None or value in wanted


def _no_such_device(data: dict[str, Any]) -> Unanswered:
    return Unanswered(Objection.DEVICE_NOT_FOUND, "There is no such device.", data=data)
