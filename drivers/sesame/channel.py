"""What is said over one connection with a Sesame: in clear until the login, encrypted from then on.

1. Once encrypted, nothing in clear is believed. A message that does not open is not the next one, so something was lost
   or changed on the way, and there is nothing more to be had from this connection. Only a doubled one is passed over.
2. What is sent is sent whole: cancellation waits for the few segments, or the two counts of messages would differ.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from drivers.base import DriverError, Fault, LinkLost
from drivers.sesame.patience import RESPONSE_TIMEOUT, WRITE_TIME
from drivers.sesame.protocol.codes import NOTIFY, WRITE, Item
from drivers.sesame.protocol.crypto import PROOF_BYTES, RANDOM_BYTES, Opener, Sealer, token
from drivers.sesame.protocol.messages import Message, Publish, Response, decode
from drivers.sesame.protocol.segments import Joiner, split
from drivers.waiting import GONE, within

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Link

TIME_BYTES = 4
"""Seconds since 1970."""


class Channel:
    """A connection that is listened to; `open_channel` makes one."""

    def __init__(self, link: Link, stream: MemoryObjectReceiveStream[bytes], stack: AsyncExitStack) -> None:
        """Take the open subscription and what closes it."""
        self._link = link
        self._stream = stream
        self._stack = stack
        self._joiner = Joiner()
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._last = b""
        self._clock: tuple[int, float] | None = None
        self._broken = False

    async def login(self, secret: bytes) -> None:
        """Prove that we know the lock's secret ("2 Login").

        Raises:
            DriverError: the lock does not accept it; `LinkLost`: the link is gone or the lock is mute.
        """
        random = await self.greeting()
        key = token(secret, random)
        with within(RESPONSE_TIMEOUT):
            await self.send(Item.LOGIN, key[:PROOF_BYTES])
            try:
                answer = await self.response(Item.LOGIN)
            except LinkLost as error:
                raise LinkLost(
                    "The lock hung up on the bridge's key. If that goes on, the key is wrong: import it again."
                ) from error
        if not answer.succeeded:
            raise DriverError(
                Fault.NOT_AUTHORIZED,
                "The lock does not accept the bridge's key. Pair it again, or import its key again.",
                vendor_code=answer.result,
            )
        self._sealer, self._opener = Sealer(key, random), Opener(key, random)
        if len(answer.data) >= TIME_BYTES:
            self._clock = int.from_bytes(answer.data[:TIME_BYTES], "little"), anyio.current_time()

    @property
    def lock_time(self) -> datetime | None:
        """The lock's own time now, as it said at the login; None if it did not."""
        if self._clock is None:
            return None
        then, since = self._clock
        return datetime.fromtimestamp(then, UTC) + timedelta(seconds=anyio.current_time() - since)

    async def greeting(self) -> bytes:
        """Return the random number that the lock makes for each connection, once it is listened to ("14 Initial").

        Raises:
            LinkLost: the link is gone or the lock is mute.
        """
        with within(RESPONSE_TIMEOUT):
            while True:
                message = await self.receive()
                if isinstance(message, Publish) and message.item == Item.INITIAL and len(message.data) == RANDOM_BYTES:
                    return message.data

    async def response(self, item: Item) -> Response:
        """Return the next response about an item.

        Raises:
            LinkLost: the link is gone.
        """
        while True:
            message = await self.receive()
            if isinstance(message, Response) and message.item == item:
                return message

    async def send(self, item: Item, data: bytes = b"") -> None:
        """Send a message, encrypted after the login.

        Raises:
            LinkLost: the link is gone. The lock may have the message.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._broken:
            raise LinkLost
        message = bytes([item]) + data
        sealed = self._sealer is not None
        segments = split(self._sealer.seal(message) if self._sealer else message, sealed=sealed)
        try:
            with anyio.CancelScope(shield=True), within(WRITE_TIME):
                for segment in segments:
                    await self._link.write(WRITE, segment, response=False)
        except BaseException:
            self._broken = True
            raise

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            LinkLost: the link is gone, or of no more use.
        """
        while True:
            try:
                segment = await self._stream.receive()
            except GONE as error:
                raise LinkLost from error
            if (message := self._take(segment)) is not None:
                return message

    def waiting(self) -> Message | None:
        """Return the next message that has come already, if there is one.

        Raises:
            LinkLost: the link is gone, or of no more use.
        """
        while True:
            try:
                segment = self._stream.receive_nowait()
            except anyio.WouldBlock:
                return None
            except GONE as error:
                raise LinkLost from error
            if (message := self._take(segment)) is not None:
                return message

    async def aclose(self) -> None:
        """Unsubscribe. The protocol knows no goodbye."""
        with suppress(DriverError):  # the link is gone, and the subscription with it
            await self._stack.aclose()

    def _take(self, segment: bytes) -> Message | None:
        if self._broken:
            raise LinkLost
        joined = self._joiner.feed(segment)
        if joined is None:
            return None
        message, sealed = joined
        if self._opener is None:
            return None if sealed else decode(message)
        if not sealed:
            return None
        opened = self._opener.open(message)
        if opened is not None:
            self._last = message
            return decode(opened)
        if message == self._last:
            return None
        self._broken = True
        raise LinkLost("What the lock said was lost or changed on the way.")


async def open_channel(link: Link) -> Channel:
    """Listen to a lock.

    Raises:
        DriverError: the device is no Sesame, or the system's Bluetooth does not see that it is one; `LinkLost`: the
            link is gone.
    """
    if not (link.has(WRITE) and link.has(NOTIFY)):
        raise DriverError(
            Fault.UNCATEGORIZED,
            "The device at this address does not show a Sesame's service. If it is one, BlueZ is too old for it: "
            "5.82 is needed.",
        )
    stack = AsyncExitStack()
    stream = await stack.enter_async_context(link.subscribe(NOTIFY))
    return Channel(link, stream, stack)
