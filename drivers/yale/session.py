"""An authenticated conversation with a Yale or August lock, over the normal channel.

1. An answer is matched by what it is about. What the lock says unasked is taken note of and passed over.
2. Every wait is bounded, and the lock is given its rest before each request.
3. The action is written once, by `run`, and whatever happens from then on is an outcome (see `course`).
4. After an exchange that was broken off, its answer may still come, and one side's chain may be a frame ahead. A status
   asked for and passed over puts both right. After an action whose end was not seen, nothing but reading is done.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
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
    LockState,
    LogRecord,
    Outcome,
    Snapshot,
    Stage,
    Unknown,
)
from drivers.once import Once
from drivers.waiting import GONE, within
from drivers.yale.course import Course, Next, is_report, reported
from drivers.yale.history import record
from drivers.yale.patience import KEEP_ALIVE, OPTIONAL_TIMEOUT, RESPONSE_TIMEOUT, REST
from drivers.yale.protocol.activity import Activity
from drivers.yale.protocol.codes import Flag, Op, Record, Result, Setting, Subject, Uuid
from drivers.yale.protocol.errors import ProtocolError, refusal
from drivers.yale.protocol.frames import VALUE_AT, Frame, Timers, request, seal, unseal
from drivers.yale.setting import auto_lock_of, timers_for
from drivers.yale.snapshot import charge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Check, Link, Seen
    from drivers.yale.protocol.crypto import Chain

SILENT = 2
"""How often a lock may not tell what not every model tells, before it is asked no more."""
_HARMLESS = (Op.STATUS, Op.READ_SETTING)
"""What may be asked again."""
BATTERY_PAUSE = 3600.0
"""Seconds between two questions for the battery on one link."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The normal channel of an open conversation."""

    stream: MemoryObjectReceiveStream[bytes]
    """What the lock says, as it arrives."""
    to_lock: Chain
    from_lock: Chain
    close: Callable[[], Awaitable[None]]
    """Says goodbye and unsubscribes; never raises."""
    tells: frozenset[Subject]
    """What the model tells besides its bolt."""


class YaleSession:
    """A `drivers.base.Session` with a Yale or August lock; `drivers.yale.handshake` opens it."""

    def __init__(self, link: Link, channel: Channel) -> None:
        """Take the connection and the channel that the handshake made on it."""
        self._link = link
        self._channel = channel
        self._silences = dict.fromkeys(channel.tells, 0)
        self._one_at_a_time = anyio.Lock()
        self._heard_at = self._asked_at = anyio.current_time()
        self._battery_at: float | None = None
        self._known = Snapshot(LockState.UNKNOWN)
        self._unsure = False
        self._acted = False
        self._news = False
        self._late = deque[Frame]()

    async def read(self) -> Snapshot:
        """Ask the lock for its bolt, its door and, once an hour, its battery.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            self._drain()
            self._news = False
            self._known = Snapshot(LockState.UNKNOWN)
            await self._status(Subject.LOCK)
            await self._told(Subject.DOOR)
            battery = await self._told(Subject.BATTERY) if self._battery_is_due else None
            if battery is None:
                return self._known
            self._battery_at = anyio.current_time()
            return replace(self._known, battery_level=charge(battery.number(VALUE_AT, 2)))

    @property
    def lock_time(self) -> datetime | None:
        """None: the lock does not tell its time."""
        return None

    async def changed(self) -> None:
        """Return once the lock has told of something new since it was last read; meanwhile keep the link alive.

        Raises:
            LinkLost: the link is gone.
        """
        while not self._news:
            with anyio.move_on_after(self._asked_at + KEEP_ALIVE - anyio.current_time()) as idle:
                self._note(await self._receive())
            if idle.cancelled_caught:
                before = self._known
                async with self._one_at_a_time:
                    await self._status(Subject.LOCK)
                self._news = self._news or self._known != before

    async def prepare(self, action: Action, tag: bytes) -> Once:
        """See that the link stands and that nothing of before is still to come.

        Args:
            action: lock, unlock or, on a lock that has a latch to pull, unlatch.
            tag: of no use: the lock's log has no room for one.

        Raises:
            LinkLost: the link is gone or the lock is mute.
        """
        del tag
        async with self._one_at_a_time:
            self._check()
            if self._unsure:
                await self._status(Subject.LOCK)
            await self._rest()
        return Once(partial(self._act, action))

    @property
    def has_log(self) -> bool:
        """False: actuations leave no tag."""
        return False

    async def find(self, tag: bytes) -> LogRecord | None:
        """Return None: actuations leave no tag."""
        del tag
        return None

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        """Refuse: the lock forgets what is read of its log; see `take`.

        Raises:
            DriverError: always.
        """
        del after, count
        raise DriverError(
            Fault.NOT_AUTHORIZED, "The lock forgets what is read of its log. Set `consume_log` to have it read."
        )

    async def take(self) -> LogRecord | None:
        """Take the oldest entry out of the lock's log; None if there is none.

        Raises:
            LinkLost: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            self._drain()
            if self._late:
                frame = self._late.popleft()
            else:
                self._check()
                frame = await self._ask(request(Op.ACTIVITY), lambda frame: _is_result(frame, Op.ACTIVITY))
        return None if frame.about == Record.END else record(Activity.decode(frame))

    async def auto_lock(self) -> AutoLock:
        """Ask the lock whether it locks itself, and when.

        Raises:
            DriverError: the lock does not tell; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            return auto_lock_of(await self._timers())

    async def prepare_auto_lock(self, wanted: AutoLock) -> Once:
        """Make the change of the lock's present setting.

        Raises:
            DriverError: the lock does not tell its setting, or cannot be set so; `LinkLost`: the link is gone or the
                lock is mute.
        """
        async with self._one_at_a_time:
            self._check()
            return Once(partial(self._configure, timers_for(wanted, await self._timers()), wanted))

    async def _configure(self, timers: Timers, wanted: AutoLock, _: Seen, check: Check) -> Outcome:
        """Write a setting and read it back."""
        change = request(Op.WRITE_SETTING, Setting.AUTO_LOCK, timers.encode())
        async with self._one_at_a_time:
            try:
                await self._settle()
                await self._rest()
                check()
                self._acted = True
                answer = await self._put(change, lambda frame: _is_setting(frame, Op.WRITE_SETTING))
                found = auto_lock_of(await self._timers())
                await self._status(Subject.LOCK)
            except DriverError as error:
                return Unknown(Stage.WRITTEN, error.message)
            self._acted = False
        if answer.result != Result.SUCCESS:
            reason = refusal(answer.result)
            return Failed(reason.fault, reason.message, answer.result, self._known)
        if not wanted.met_by(found):
            return Failed(Fault.REFUSED, "The lock did not take the setting: it has another one.", snapshot=self._known)
        return Confirmed(self._known)

    async def _act(self, action: Action, seen: Seen, check: Check) -> Outcome:
        """Write the action and follow its course to the outcome."""
        async with self._one_at_a_time:
            course = Course(action, self._known.door_state)
            try:
                if self._unsure:
                    await self._status(Subject.LOCK)
                await self._rest()
                self._drain()
                check()
                self._acted = self._unsure = True
                outcome = await self._follow(course, seen)
            except DriverError as error:
                return course.lost(error.message)
            self._acted = self._unsure = isinstance(outcome, Unknown)
            return outcome

    async def aclose(self) -> None:
        """Say goodbye, where the link stands, and unsubscribe."""
        await self._channel.close()

    async def _follow(self, course: Course, seen: Seen) -> Outcome:
        await self._send(course.request)
        step: Outcome | Next = Next.WAIT
        while isinstance(step, Next):
            if step is Next.ASK:
                await self._rest()
                await self._send(request(Op.STATUS, Subject.LOCK))
            step = await self._observe(course, seen)
        return step

    async def _observe(self, course: Course, seen: Seen) -> Outcome | Next:
        with anyio.move_on_after(RESPONSE_TIMEOUT):
            frame = await self._receive()
            if is_report(frame):
                self._known = reported(self._known, frame)
                seen(self._known)
            return course.observe(frame)
        return course.quiet()

    async def _timers(self) -> Timers:
        with anyio.move_on_after(OPTIONAL_TIMEOUT):
            asked = request(Op.READ_SETTING, Setting.AUTO_LOCK)
            return Timers.decode(await self._ask(asked, lambda frame: _is_setting(frame, Op.READ_SETTING)))
        await self._status(Subject.LOCK)
        raise DriverError(Fault.UNCATEGORIZED, "The lock does not tell of an auto lock. Its model may have none.")

    @property
    def _battery_is_due(self) -> bool:
        return self._battery_at is None or anyio.current_time() >= self._battery_at + BATTERY_PAUSE

    async def _told(self, subject: Subject) -> Frame | None:
        """Ask for what not every model tells; None if it does not."""
        if self._silences.get(subject, SILENT) >= SILENT:
            return None
        with anyio.move_on_after(OPTIONAL_TIMEOUT):
            frame = await self._status(subject)
            self._silences[subject] = 0
            return frame
        self._silences[subject] += 1
        return None

    async def _status(self, subject: Subject) -> Frame:
        return await self._ask(request(Op.STATUS, subject), lambda frame: is_report(frame) and frame.about == subject)

    async def _ask(self, asked: Frame, answers: Callable[[Frame], bool]) -> Frame:
        """Send a request and return the answer."""
        await self._settle()
        return await self._put(asked, answers)

    async def _put(self, asked: Frame, answers: Callable[[Frame], bool]) -> Frame:
        self._unsure = True
        answer = await self._exchange(asked, answers)
        self._unsure = False
        return answer

    async def _settle(self) -> None:
        """Put right what an exchange before left in doubt."""
        if self._unsure:
            with anyio.move_on_after(OPTIONAL_TIMEOUT):
                await self._exchange(request(Op.STATUS, Subject.LOCK), is_report)

    async def _exchange(self, asked: Frame, answers: Callable[[Frame], bool]) -> Frame:
        await self._rest()
        self._drain()
        with within(RESPONSE_TIMEOUT):
            await self._send(asked)
            while (frame := await self._next()) is None or not answers(frame):
                if frame is not None:
                    self._note(frame)
                elif asked.op in _HARMLESS:  # the answer, garbled by the loss of what came before it
                    await self._rest()
                    await self._send(asked)
            if is_report(frame):
                self._known = reported(self._known, frame)
        return frame

    async def _rest(self) -> None:
        await anyio.sleep_until(self._heard_at + REST)

    async def _send(self, frame: Frame) -> None:
        self._asked_at = anyio.current_time()
        with within(RESPONSE_TIMEOUT):
            await self._link.write(Uuid.WRITE.value, seal(self._channel.to_lock, frame.encode()))

    async def _receive(self) -> Frame:
        """Return the next frame that can be understood.

        Raises:
            LinkLost: the link is gone.
        """
        while (frame := await self._next()) is None:
            pass
        return frame

    async def _next(self) -> Frame | None:
        """Return the next frame; None for one that cannot be understood."""
        try:
            return self._take(await self._channel.stream.receive())
        except GONE as error:
            raise LinkLost from error

    def _drain(self) -> None:
        """Take note of everything that came before what is asked next."""
        with suppress(anyio.WouldBlock, *GONE):  # what is gone is told when an answer is waited for
            while True:
                if (frame := self._take(self._channel.stream.receive_nowait())) is not None:
                    self._note(frame)

    def _take(self, data: bytes) -> Frame | None:
        self._heard_at = anyio.current_time()
        try:
            return Frame.decode(unseal(self._channel.from_lock, data))
        except ProtocolError:
            return None  # what it meant is found out by asking

    def _note(self, frame: Frame) -> None:
        if is_report(frame):
            self._known = reported(self._known, frame)
            self._news = True
        elif _is_result(frame, Op.LOCK) or _is_result(frame, Op.UNLOCK):
            self._news = True
        elif _is_result(frame, Op.ACTIVITY) and frame.about != Record.END:
            self._late.append(frame)  # it was asked for, and the asking broken off: the lock has forgotten it

    def _check(self) -> None:
        """See that more than reading may be done.

        Raises:
            LinkLost: the link is gone, or is to be made anew.
        """
        self._link.has(Uuid.WRITE.value)
        if self._acted:
            raise LinkLost("An earlier action's end was not seen. The lock has to be connected again.")


def _is_result(frame: Frame, op: Op) -> bool:
    return frame.flag == Flag.RESULT and frame.op == op


def _is_setting(frame: Frame, op: Op) -> bool:
    return _is_result(frame, op) and frame.about == Setting.AUTO_LOCK
