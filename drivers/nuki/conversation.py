"""Requests to a Nuki lock and its replies, over the USDIO characteristic of one link.

1. A reply is matched by its command, and an Error Report by the command that it names; what the lock reports unasked
   in between is passed over. What came before a request is never taken for its reply.
2. Every wait is bounded. A lock that does not answer is as good as gone: `LinkLost`.
3. An exchange that was broken off may still be answered, so nothing but reading the state is done after it.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import anyio

from drivers.base import DriverError, LinkLost
from drivers.nuki.patience import RESPONSE_TIMEOUT
from drivers.nuki.protocol.codes import Command, ErrorCode, StatusCode, Uuid
from drivers.nuki.protocol.commands import (
    FROM_LOCK,
    Challenge,
    ErrorReport,
    KeyturnerStates,
    RequestData,
    Status,
    decode,
)
from drivers.nuki.protocol.errors import ProtocolError, refusal
from drivers.nuki.protocol.frames import Frame, Reassembler, sealed, take_first, take_plain, take_sealed
from drivers.waiting import GONE, within

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Link
    from drivers.nuki.protocol.wire import Message

M = TypeVar("M", bound="Message")

_UNKNOWN_TO_THE_LOCK = (ErrorCode.NOT_AUTHORIZED, ErrorCode.INVALID_AUTH_ID)
"""What a lock may say in clear: it has no key to seal an answer to a stranger with."""


class Conversation:
    """What is said over one link, sealed with one authorization's key. Whoever speaks holds `one_at_a_time`."""

    def __init__(self, link: Link, stream: MemoryObjectReceiveStream[bytes], auth_id: int, key: bytes) -> None:
        """Take the open subscription."""
        self._link = link
        self._stream = stream
        self._auth_id = auth_id
        self._key = key
        self._frames = Reassembler(
            take_first(
                take_sealed(lambda known: key if known == auth_id else None),
                take_plain({Command.ERROR_REPORT: 3}),
            )
        )
        self._waiting: deque[Frame] = deque()
        self.one_at_a_time = anyio.Lock()
        self.broken_off = False
        """Whether an answer may still come that nobody waits for."""
        self.passed_over = False
        """Whether the lock has told something that nobody waited for."""

    async def collect(self, request_of: Callable[[bytes], Message]) -> list[Message]:
        """Send a request that needs a nonce, and return all that comes until the lock says complete."""
        async with self.one_at_a_time:
            with self.unbroken():
                request = request_of((await self.exchange(Command.CHALLENGE, Challenge)).nonce)
                self.drain()
                await self.send(request)
                found: list[Message] = []
                while True:
                    with within(RESPONSE_TIMEOUT):
                        message = await self.receive(in_clear=True)
                    if message == Status(StatusCode.COMPLETE):
                        return found
                    if isinstance(message, ErrorReport) and message.failed == request.command:
                        raise refused(message.code)
                    self.passed_over = self.passed_over or isinstance(message, KeyturnerStates)
                    found.append(message)

    async def receive_any(self) -> Message:
        """Return the next message that can be read; nothing in clear is believed once the bolt may move."""
        while True:
            try:
                return await self.receive(in_clear=False)
            except ProtocolError:
                continue  # authentic, but not to be understood: what it meant is found out by reading

    async def completed(self, request: Message) -> DriverError | None:
        """Wait until the lock says that a request is complete; return why it says that it is not."""
        with within(RESPONSE_TIMEOUT):
            while True:
                message = await self.receive_any()
                if message == Status(StatusCode.COMPLETE):
                    return None
                if isinstance(message, ErrorReport) and message.failed == request.command:
                    return refused(message.code)

    async def exchange(self, wanted: Command, kind: type[M]) -> M:
        """Request data and return the reply."""
        return await self.ask(RequestData(wanted), kind, Command.REQUEST_DATA, wanted)

    async def ask(self, request: Message, kind: type[M], *named: Command) -> M:
        """Send a request and return the reply; a refusal of it names one of the commands."""
        self.drain()
        with within(RESPONSE_TIMEOUT):
            await self.send(request)
            while True:
                message = await self.receive(in_clear=True)
                if isinstance(message, kind):
                    return message
                if isinstance(message, ErrorReport) and message.failed in named:
                    raise refused(message.code)
                self.passed_over = True

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            LinkLost: the link is gone, or the lock does not acknowledge.
        """
        with within(RESPONSE_TIMEOUT):
            await self._link.write(Uuid.USDIO.value, sealed(message, self._key, self._auth_id))

    async def receive(self, *, in_clear: bool) -> Message:
        """Return the next message that is of use.

        Args:
            in_clear: whether to believe a lock that says, unsealed, that it does not know us.

        Raises:
            LinkLost: the link is gone.
            ProtocolError: the message is malformed.
        """
        while True:
            frame = await self._frame()
            message = decode(FROM_LOCK, frame.command, frame.payload)
            if frame.auth_id is not None and message is not None:
                return message
            if in_clear and isinstance(message, ErrorReport) and message.code in _UNKNOWN_TO_THE_LOCK:
                raise refused(message.code)

    async def _frame(self) -> Frame:
        while not self._waiting:
            try:
                part = await self._stream.receive()
            except GONE as error:
                raise LinkLost from error
            self._waiting.extend(self._frames.feed(part))
        return self._waiting.popleft()

    def drain(self) -> None:
        """Pass over everything that came before what is sent next."""
        with suppress(anyio.WouldBlock, *GONE):  # what is gone is told when an answer is waited for
            while True:
                self._waiting.extend(self._frames.feed(self._stream.receive_nowait()))
        self.passed_over = self.passed_over or bool(self._waiting)
        self._waiting.clear()

    @contextmanager
    def unbroken(self) -> Generator[None]:
        """Refuse after an exchange that was broken off, and note if this one is."""
        if self.broken_off:
            raise LinkLost("An earlier exchange with the lock was broken off. It has to be connected again.")
        self.broken_off = True
        try:
            yield
        except (LinkLost, ProtocolError):
            raise
        except DriverError:
            self.broken_off = False
            raise
        self.broken_off = False


def refused(code: int) -> DriverError:
    """Return the error that a lock's Error Report stands for."""
    reason = refusal(code)
    return DriverError(reason.fault, reason.message, vendor_code=code)
