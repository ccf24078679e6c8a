"""Questions from the broker, answered beside the commands.

Rules:
1. A question is acknowledged as it comes: the broker holds back commands behind what is not acknowledged, and
   acknowledgements keep the order of arrival. A question that a crash loses is asked again by whoever waits.
2. Questions are answered one after the other, so that at most one of them uses the journal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import anyio.lowlevel
import structlog

from bridge.bell import Bell
from bridge.errors import Objection, Refused, Unanswered
from bridge.mqtt.broker import Message, PublishProperties, PublishRefused
from bridge.mqtt.connection import Connection
from bridge.mqtt.topics import SIMULATIONS, Topics
from bridge.questions import Answer, Questions, unanswered
from bridge.tasks import Tasks
from bridge.wire import text
from drivers.base import Method

log = structlog.get_logger()

MOST_WAITING = 16
"""Questions that wait for their answer."""
PACKET_BYTES = 64 * 1024
"""The longest answer, as a packet."""
_HEADERS = 256
"""Bytes that are enough for all of a packet but topic, correlation data and payload."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question and where its answer goes."""

    method: str
    message: Message
    topic: str

    @property
    def room(self) -> int:
        """How many bytes the answer may have."""
        return PACKET_BYTES - _HEADERS - len(self.topic.encode()) - len(self.message.correlation_data or b"")


class Desk:
    """Answers the questions of one connection."""

    def __init__(self, connection: Connection, topics: Topics, questions: Questions, tasks: Tasks) -> None:
        self._connection = connection
        self._topics = topics
        self._questions = questions
        self._tasks = tasks
        self._waiting: deque[_Asked] = deque()
        self._bell = Bell()

    def take(self, message: Message, method: str) -> None:
        """Take a question, or say at once why it is not answered."""
        misdirected = self._misdirected(message)
        topic = message.response_topic
        if topic is None or misdirected is not None:
            topic = self._topics.rpc_reply(method)
        asked = _Asked(method, message, topic)
        objection = misdirected or self._objection(message)
        if objection is None:
            self._waiting.append(asked)
            self._bell.ring()
        else:
            self._send(asked, unanswered(objection))

    async def run(self) -> None:
        """Answer for as long as the connection stands."""
        while True:
            while self._waiting:
                asked = self._waiting.popleft()
                self._send(asked, await self._answer(asked))
                await anyio.lowlevel.checkpoint()
            await self._bell.wait()

    async def _answer(self, asked: _Asked) -> Answer:
        try:
            body = text.decode(asked.message.payload or b"{}")
        except ValueError:
            return unanswered(Unanswered(Objection.INVALID_INPUT, "The question is not a JSON object in UTF-8."))
        if asked.method in SIMULATIONS:
            return await self._tasks.answer(asked.method, body, Method.REMOTE_API)
        return await self._questions.answer(asked.method, body, room=asked.room)

    def _misdirected(self, message: Message) -> Unanswered | None:
        """Return why the answer may not go to the question's Response Topic, if it may not."""
        try:
            if message.response_topic is not None:
                self._topics.check_response(message.response_topic)
        except Refused as refusal:
            return Unanswered(Objection.INVALID_INPUT, refusal.message)
        return None

    def _objection(self, message: Message) -> Unanswered | None:
        """Return why a question is not even considered, if it is not."""
        if message.retain:
            return Unanswered(Objection.RETAINED_COMMAND, "A question must not be retained.")
        if len(self._waiting) >= MOST_WAITING:
            return Unanswered(Objection.RATE_LIMITED, "Too many questions wait for their answer; ask again later.")
        return None

    def _send(self, asked: _Asked, answer: Answer) -> None:
        properties = PublishProperties(
            content_type="application/json",
            correlation_data=asked.message.correlation_data,
            user=(("schema", asked.method if answer.body["ok"] else "error"),),
        )
        try:
            self._connection.send(asked.topic, text.encode(answer.body), properties=properties)
        except PublishRefused as error:
            log.warning("answer not sent", topic=asked.topic[:200], reason=error.reason)
