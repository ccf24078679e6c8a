"""An authenticated conversation with a Sesame: what it publishes, one action, when it locks itself.

1. A Sesame cannot be asked for its state: it publishes it after the login and at every change. So a read asks for
   something that does not matter: messages come in their order and none is lost unnoticed (`protocol.crypto`), so once
   that is answered, the state that was published last is the lock's present one.
2. Every wait is bounded. A lock that does not answer is as good as gone: `LinkLost`.
3. The action is written once, by `run`, and whatever happens from then on is an outcome (see `course`).
4. Requests are answered in their order, so an answer belongs to a request by its number, though an earlier one's wait
   was called off.
"""

from __future__ import annotations

import struct
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio

from drivers.base import (
    Action,
    AutoLock,
    Confirmed,
    DriverError,
    Failed,
    Fault,
    LinkLost,
    LogRecord,
    Outcome,
    Snapshot,
    Stage,
    Unknown,
)
from drivers.once import Once
from drivers.sesame.course import Course, Next
from drivers.sesame.history import Historian, marked
from drivers.sesame.patience import RESPONSE_TIMEOUT
from drivers.sesame.protocol.codes import Item, Result
from drivers.sesame.protocol.errors import ProtocolError, refusal
from drivers.sesame.protocol.history import READ_OLDEST, HistoryEntry, number_of
from drivers.sesame.protocol.mech import MechSetting, MechStatus
from drivers.sesame.protocol.messages import Message, Publish, Response
from drivers.sesame.snapshot import COMMANDS, snapshot
from drivers.waiting import within

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.base import Check, Seen
    from drivers.sesame.channel import Channel

LONGEST_DELAY = 0xFFFF
"""Seconds after which a lock can lock itself at the latest."""


class SesameSession:
    """A `drivers.base.AutoLocking` and `Consuming` session with a Sesame."""

    def __init__(self, channel: Channel, secret: bytes, status: MechStatus, setting: MechSetting) -> None:
        """Take a channel that is logged in and what the lock published since; `open_session` makes one."""
        self._channel = channel
        self._secret = secret
        self._historian = Historian(secret)
        self._one_at_a_time = anyio.Lock()
        self._status = status
        self._setting = setting
        self._setting_is_known = True
        self._asked = Counter[int]()
        self._answered = Counter[int]()
        self._changed = False
        self._read_at: datetime | None = None

    async def read(self) -> Snapshot:
        """Return the lock's present state.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            await self._catch_up()
            self._changed = False
            self._read_at = self._channel.lock_time
            return self._snapshot()

    async def changed(self) -> None:
        """Return once the lock has published something since it was last read.

        Raises:
            LinkLost: the link is gone.
        """
        while not self._changed:
            try:
                self._take(await self._channel.receive())
            except ProtocolError:
                self._changed = True  # authentic, but not to be understood: reading tells

    async def prepare(self, action: Action, tag: bytes) -> Once:
        """Make the action ready; there is nothing to ask the lock for.

        Args:
            action: lock or unlock.
            tag: what to leave in the lock's history, up to 20 bytes; the last four give way to the driver's mark.

        Raises:
            LinkLost: the link is gone.
        """
        command = COMMANDS[action]
        async with self._one_at_a_time:
            self._drain()
        tag = marked(self._secret, tag)
        return Once(partial(self._act, action, command, bytes([len(tag)]) + tag))

    @property
    def has_log(self) -> bool:
        """Whether `find` can tell: no. Of the history, only the oldest entry can be read without deleting it."""
        return False

    async def find(self, tag: bytes) -> LogRecord | None:
        """Return None: what an action left in the history is behind everything that is older."""
        del tag
        return None

    @property
    def lock_time(self) -> datetime | None:
        """The lock's own time when it was last read."""
        return self._read_at

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        """Refuse: to read on in the history means to delete it, which the vendor's app does for itself.

        Raises:
            DriverError: always.
        """
        del after, count
        raise DriverError(Fault.NOT_AUTHORIZED, "A Sesame's history cannot be read without deleting it.")

    async def take(self) -> LogRecord | None:
        """Take the next operation out of the lock's history, which the vendor's app does not find there then.

        Broken off, it may be lost.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            while True:
                oldest = await self._request(Item.HISTORY, READ_OLDEST)
                if oldest.result == Result.NOT_FOUND:
                    return None
                if not oldest.succeeded:
                    raise refusal(oldest.result)
                number = number_of(oldest.data)
                deleted = await self._request(Item.HISTORY_DELETE, number)
                if not deleted.succeeded:
                    raise refusal(deleted.result)
                with suppress(
                    ProtocolError
                ):  # one that is not to be understood must not keep those after it from being
                    if (record := self._historian.read(HistoryEntry.decode(oldest.data))) is not None:
                        return record

    async def auto_lock(self) -> AutoLock:
        """Return whether the lock locks itself, and when.

        Raises:
            LinkLost: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            await self._catch_up()
            if not self._setting_is_known:
                raise LinkLost("The lock did not tell its settings. It has to be connected again.")
            return _auto_lock(self._setting)

    async def prepare_auto_lock(self, wanted: AutoLock) -> Once:
        """Make the change ready.

        Raises:
            DriverError: the lock cannot be set so; `LinkLost`: the link is gone or the lock is mute.
        """
        found = await self.auto_lock()
        delay = wanted.delay if wanted.delay is not None else found.delay
        if wanted.enabled and not delay:
            raise DriverError(
                Fault.NOT_AUTHORIZED,
                "A Sesame keeps no delay while its auto lock is off: say after how many seconds it is to lock itself.",
            )
        if delay is not None and delay > LONGEST_DELAY:
            raise DriverError(Fault.NOT_AUTHORIZED, f"A Sesame locks itself after at most {LONGEST_DELAY} seconds.")
        return Once(partial(self._configure, wanted, (delay or 0) if wanted.enabled else 0))

    async def _configure(self, wanted: AutoLock, seconds: int, _: Seen, check: Check) -> Outcome:
        """Write when the lock is to lock itself, and wait for it to publish its settings."""
        async with self._one_at_a_time:
            try:
                self._drain()
                check()
                self._setting_is_known = False
                answer = await self._request(Item.AUTO_LOCK, struct.pack("<H", seconds))
            except DriverError as error:
                return Unknown(Stage.WRITTEN, error.message)
            if not answer.succeeded:
                self._setting_is_known = True
                why = refusal(answer.result)
                return Failed(why.fault, why.message, why.vendor_code)
            try:
                with within(RESPONSE_TIMEOUT):
                    while not self._setting_is_known:
                        self._take(await self._channel.receive())
            except DriverError:
                return Unknown(Stage.ACCEPTED, "The lock took the setting, and did not tell what it has now.")
            if not wanted.met_by(_auto_lock(self._setting)):
                message = "The lock did not take the setting: it has another one."
                return Failed(Fault.REFUSED, message, snapshot=self._snapshot())
            return Confirmed(self._snapshot())

    async def _act(self, action: Action, command: Item, data: bytes, seen: Seen, check: Check) -> Outcome:
        """Write the action and follow its course to the outcome."""
        async with self._one_at_a_time:
            course = Course(action, self._status, self._setting)
            try:
                self._drain()
                course = Course(action, self._status, self._setting)
                check()
                return await self._follow(course, command, data, seen)
            except DriverError as error:
                return course.lost(error.message)

    async def aclose(self) -> None:
        """Unsubscribe. The protocol knows no goodbye."""
        await self._channel.aclose()

    async def _follow(self, course: Course, command: Item, data: bytes, seen: Seen) -> Outcome:
        number, asked = await self._send(command, data), 0
        step: Outcome | Next = Next.WAIT
        while isinstance(step, Next):
            if step is Next.ASK:
                asked = await self._send(Item.VERSION)
            step = Next.WAIT
            with anyio.move_on_after(course.patience) as patience:
                match self._take(await self._channel.receive()):
                    case MechStatus() as status:
                        seen(self._snapshot())
                        step = course.reported(status)
                    case Response(item=item) as response if item == command and self._answered[item] == number:
                        step = course.answered(response)
                    case Response(item=Item.VERSION) if asked and self._answered[Item.VERSION] == asked:
                        step = course.asked()
                    case _:
                        pass
            if patience.cancelled_caught:
                step = course.quiet()
        return step

    async def _catch_up(self) -> None:
        """Take all that the lock has published until now."""
        answer = await self._request(Item.VERSION)
        if not answer.succeeded:
            raise refusal(answer.result)

    async def _request(self, item: Item, data: bytes = b"") -> Response:
        """Send a request and return its response."""
        with within(RESPONSE_TIMEOUT):
            number = await self._send(item, data)
            while True:
                message = self._take(await self._channel.receive())
                if isinstance(message, Response) and message.item == item and self._answered[item] == number:
                    return message

    async def _send(self, item: Item, data: bytes = b"") -> int:
        """Send a request; return its number among those of its kind."""
        await self._channel.send(item, data)
        self._asked[item] += 1
        return self._asked[item]

    def _drain(self) -> None:
        """Take what has come already."""
        while (message := self._channel.waiting()) is not None:
            self._take(message)

    def _take(self, message: Message) -> Message | MechStatus | MechSetting:
        """Keep what a message says.

        Raises:
            ProtocolError: it cannot be understood.
        """
        match message:
            case Publish(item=Item.MECH_STATUS, data=data):
                self._status = MechStatus.decode(data)
                self._changed = True
                return self._status
            case Publish(item=Item.MECH_SETTING, data=data):
                self._setting = MechSetting.decode(data)
                self._setting_is_known = True
                return self._setting
            case Response(item=item):
                self._answered[item] += 1
            case _:
                pass
        return message

    def _snapshot(self) -> Snapshot:
        return snapshot(self._status, self._setting)


async def open_session(channel: Channel, secret: bytes) -> SesameSession:
    """Log in and wait for what the lock publishes then.

    Raises:
        DriverError: the lock does not accept the secret, or cannot be understood; `LinkLost`: the link is gone or the
            lock is mute.
    """
    await channel.login(secret)
    status: MechStatus | None = None
    setting: MechSetting | None = None
    with within(RESPONSE_TIMEOUT):
        while status is None or setting is None:
            match await channel.receive():
                case Publish(item=Item.MECH_STATUS, data=data):
                    status = MechStatus.decode(data)
                case Publish(item=Item.MECH_SETTING, data=data):
                    setting = MechSetting.decode(data)
                case _:
                    pass
    return SesameSession(channel, secret, status, setting)


def _auto_lock(setting: MechSetting) -> AutoLock:
    return AutoLock(enabled=setting.auto_lock > 0, delay=setting.auto_lock or None)
