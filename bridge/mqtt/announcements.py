"""What the bridge leaves retained of its locks, so that it can take back what is no longer so.

Rules:
1. A topic is remembered before anything is retained there, and forgotten once the broker has taken the empty message
   that clears it: nothing is left behind, whatever ends in between.
2. A journal that cannot be written keeps nothing from being announced.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

import structlog

from bridge.bell import Bell
from bridge.errors import StorageUnavailable
from bridge.journal import Journal
from bridge.mqtt.broker import PublishProperties, PublishRefused
from bridge.mqtt.connection import Connection
from bridge.mqtt.homeassistant import Discovery
from bridge.wire import text

log = structlog.get_logger()

FACT = "retained topics"
"""The name by which the journal keeps them."""


class Announcements:
    """Announces the locks on each connection.

    Args:
        journal: remembers the topics.
        discoveries: what is announced.
        states: the topics of the locks' states, which are published elsewhere.
    """

    def __init__(self, journal: Journal, discoveries: Sequence[Discovery], states: Collection[str]) -> None:
        self._journal = journal
        self._discoveries = list(discoveries)
        self._topics = {topic for topic, _ in discoveries} | set(states)
        self._more = Bell()

    def add(self, discoveries: Iterable[Discovery], states: Iterable[str]) -> None:
        """Announce more, on this connection and on those after it."""
        added = list(discoveries)
        self._discoveries += added
        self._topics |= {topic for topic, _ in added} | set(states)
        self._more.ring()

    async def remember(self) -> set[str]:
        """Remember every topic that is about to be used, and return those that are used no more."""
        try:
            known: set[str] = set(json.loads(await self._journal.fact(FACT, "[]")))
            if not known >= self._topics:
                await self._keep(known | self._topics)
        except StorageUnavailable as error:
            log.warning("retained topics not remembered", reason=str(error))
            return set()
        return known - self._topics

    def announce(self, connection: Connection, told: int = 0) -> int:
        """Retain what there is to announce but for so many that were; return how many are retained then."""
        properties = PublishProperties(content_type="application/json")
        for topic, body in self._discoveries[told:]:
            try:
                connection.send(topic, text.encode(body), retain=True, properties=properties)
            except PublishRefused as error:
                log.warning("message not sent", topic=topic, reason=error.reason)
        return len(self._discoveries)

    async def announce_more(self, connection: Connection, told: int) -> None:
        """Remember and retain what is added, after so many that are retained. Ends only by cancellation."""
        while True:
            await self._more.wait()
            await self.remember()
            told = self.announce(connection, told)

    async def take_back(self, connection: Connection, gone: set[str]) -> None:
        """Clear topics and forget those that the broker has cleared."""
        deliveries = [(topic, connection.begin(topic, b"", retain=True)) for topic in sorted(gone)]
        left = {topic for topic, delivery in deliveries if not await delivery.taken()}
        for topic in left:
            log.warning("retained message not cleared", topic=topic)
        if left != gone:
            try:
                await self._keep(self._topics | left)
            except StorageUnavailable as error:
                log.warning("cleared topics not forgotten", reason=str(error))

    async def _keep(self, topics: set[str]) -> None:
        await self._journal.tell([], {FACT: json.dumps(sorted(topics))})
