"""A conversation with a SwitchBot lock: commands, answers and one action, over one pair of characteristics.

1. One command is under way at a time, for answers do not name theirs. What came before a command is never its answer.
2. Every wait is bounded. A lock that does not answer is as good as gone: `LinkLost`.
3. The action is written once, by `run`, and whatever happens from then on is an outcome (see `course`).
4. The IV is asked for anew after an exchange that was broken off, whose answer may still come, and before each look
   that is to prove an action's end: what the lock said under another IV is not understood. No IV serves twice.
5. Keys and messages are logged nowhere.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio

from drivers.base import (
    Action,
    DriverError,
    Fault,
    LinkLost,
    LogRecord,
    Outcome,
    Snapshot,
    Stage,
)
from drivers.once import Once
from drivers.switchbot import patience
from drivers.switchbot.course import Course, Next
from drivers.switchbot.protocol import commands
from drivers.switchbot.protocol.commands import NEWS_SECONDS, Turn
from drivers.switchbot.protocol.crypto import cipher
from drivers.switchbot.protocol.errors import DONE, NOT_UNDERSTOOD, ProtocolError, Status, refusal
from drivers.switchbot.protocol.frames import Answer, Push, Uuid, ask_iv, command, granted, heard
from drivers.switchbot.protocol.models import TRAITS
from drivers.switchbot.protocol.report import Report
from drivers.switchbot.snapshot import snapshot
from drivers.waiting import GONE, within

if TYPE_CHECKING:
    from datetime import datetime

    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Check, Link, Seen
    from drivers.switchbot.credential import SwitchBotCredential, SwitchBotOptions
    from drivers.switchbot.protocol.crypto import Cipher
    from drivers.switchbot.protocol.models import Model

BATTERY_AGE = 3600.0
"""Seconds for which the battery's charge is not asked for again."""
RENEWAL = 0.8 * NEWS_SECONDS
"""Seconds after which a lock that is listened to is asked for its pushes, and its state, again."""
_PERCENT = 100


class SwitchBotSession:
    """A `drivers.base.Session` with a SwitchBot lock."""

    def __init__(
        self,
        link: Link,
        stream: MemoryObjectReceiveStream[bytes],
        credential: SwitchBotCredential,
        options: SwitchBotOptions,
        model: Model,
    ) -> None:
        """Take the open subscription; `open_session` makes a session."""
        self._link = link
        self._stream = stream
        self._key_id = credential.key_number
        self._key = credential.key_bytes()
        self._door_sensor = options.door_sensor
        self._night_latch = options.night_latch
        self._model = model
        self._cipher: Cipher | None = None
        self._checked: bool | None = None
        self._ivs: set[bytes] = set()
        self._one_at_a_time = anyio.Lock()
        self._known: Report | None = None
        self._news = False
        self._low_battery: bool | None = None
        self._battery: int | None = None
        self._battery_at = -BATTERY_AGE
        self.closing = AsyncExitStack()

    async def read(self) -> Snapshot:
        """Ask the lock for its state now, and for its battery's charge now and then.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            report = await self._ask()
            await self._ask_battery()
            return self._snapshot(report)

    @property
    def lock_time(self) -> datetime | None:
        """None: the lock does not tell its time."""
        return None

    @property
    def has_log(self) -> bool:
        """No: the lock's log is the app's alone."""
        return False

    async def find(self, tag: bytes) -> LogRecord | None:
        """Find nothing: there is no log to look the tag up in."""
        del tag
        return None

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        """Refuse.

        Raises:
            DriverError: always.
        """
        del after, count
        raise DriverError(Fault.NOT_AUTHORIZED, "SwitchBot's locks do not show their log over Bluetooth.")

    async def changed(self) -> None:
        """Return once the lock's state is another than was last read, by its own report.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone.
        """
        while not self._news:
            if self._cipher is None:
                await self._renew()
            with anyio.move_on_after(RENEWAL) as pause:
                while self._cipher is not None and not self._news:
                    self._note(heard(await self._frame(), self._key_id, self._cipher))
            if pause.cancelled_caught:
                await self._renew()

    async def prepare(self, action: Action, tag: bytes) -> Once:
        """Ask the lock to report what will happen.

        Args:
            action: lock, unlock or unlatch.
            tag: left nowhere; the lock keeps no log that tells.

        Raises:
            DriverError: it is not known to have a latch to pull, or refused; `LinkLost`: the link is gone or the lock
                is mute.
        """
        del tag
        turn = self._turn(action)
        async with self._one_at_a_time:
            await self._do(commands.listen(self._model))
        return Once(partial(self._act, Course(action, night_latch=self._night_latch), turn))

    async def _act(self, course: Course, turn: Turn, seen: Seen, check: Check) -> Outcome:
        """Write the action and follow its course to the outcome."""
        async with self._one_at_a_time:
            try:
                current = self._cipher or await self._agree()
                self._drain()
                check()
                self._cipher = None  # whatever comes of it, what the lock says of it is the answer to nothing else
                await self._send(commands.act(self._model, turn), current)
                step: Outcome | Next = Next.WAIT
                while isinstance(step, Next):
                    look = step is Next.LOOK
                    step = await (self._look(course, seen) if look else self._listen(current, course, seen))
            except DriverError as error:
                return course.lost(error.message)
            return step

    async def start(self) -> None:
        """Agree on an IV and ask for pushes, which proves the key.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        answer = await self._exchange(commands.listen(self._model))
        if not answer.done:
            reason = refusal(answer.status) if answer.status == Status.BUSY else NOT_UNDERSTOOD
            raise DriverError(reason.fault, reason.message, vendor_code=answer.status)

    async def aclose(self) -> None:
        """Unsubscribe. The protocol knows no goodbye."""
        with suppress(DriverError):  # the link is gone, and the subscription with it
            await self.closing.aclose()

    def _turn(self, action: Action) -> Turn:
        if action is Action.LOCK:
            return Turn.LOCK
        if action is Action.UNLOCK:
            return Turn.UNLOCK_AND_UNLATCH if self._night_latch is False else Turn.UNLOCK
        if not self._night_latch:
            raise DriverError(
                Fault.UNCATEGORIZED,
                "This lock is not known to pull the latch. If its app is set so, set night_latch = true in"
                " [locks.switchbot].",
            )
        return Turn.UNLOCK_AND_UNLATCH

    async def _listen(self, current: Cipher, course: Course, seen: Seen) -> Next:
        """Take the next thing that the lock says."""
        with anyio.move_on_after(patience.RESPONSE_TIMEOUT if course.stage is Stage.WRITTEN else patience.QUIET):
            match heard(await self._frame(), self._key_id, self._cipher or current):
                case Answer() as answer if course.receipt_due and self._cipher is None:
                    current.advance()
                    return course.answered(answer)
                case Push(data):
                    return self._reported(data, course, seen)
                case _:
                    return Next.WAIT
        return Next.LOOK

    def _reported(self, data: bytes, course: Course, seen: Seen) -> Next:
        try:
            report = Report.decode(self._model, data)
        except ProtocolError:
            return Next.LOOK
        now = self._snapshot(report)
        seen(now)
        return course.reported(report, now)

    async def _look(self, course: Course, seen: Seen) -> Outcome | Next:
        """Ask for the state under an IV that nothing said before was said under."""
        self._cipher = None
        try:
            report = await self._ask()
        except DriverError as error:
            if error.vendor_code != Status.BUSY:
                raise
            return Next.WAIT
        now = self._snapshot(report)
        seen(now)
        return course.looked(report, now)

    async def _renew(self) -> None:
        """Have the lock go on reporting, and see for oneself whether it missed to."""
        async with self._one_at_a_time:
            await self._do(commands.listen(self._model))
            known = self._known
            self._news = self._news or await self._ask() != known
            self._known = known

    async def _ask(self) -> Report:
        answer = await self._do(commands.ask(self._model))
        try:
            self._known = Report.decode(self._model, answer.data)
        except ProtocolError as error:
            raise DriverError(
                Fault.UNCATEGORIZED, "The lock's answer is not to be understood. Is its model configured right?"
            ) from error
        self._low_battery = answer.low_battery
        self._news = False
        return self._known

    async def _ask_battery(self) -> None:
        if not TRAITS[self._model].battery or anyio.current_time() - self._battery_at < BATTERY_AGE:
            return
        data = (await self._do(commands.BASIC_INFO)).data
        self._battery = data[0] if data and data[0] <= _PERCENT else None
        self._battery_at = anyio.current_time()

    async def _do(self, message: bytes) -> Answer:
        """Send a command and return its answer.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        answer = await self._exchange(message)
        if not answer.done:
            reason = refusal(answer.status)
            raise DriverError(reason.fault, reason.message, vendor_code=answer.status)
        return answer

    async def _exchange(self, message: bytes) -> Answer:
        current = self._cipher or await self._agree()
        self._drain()
        self._cipher = None  # until the answer is there: broken off, it may still come
        with within(patience.RESPONSE_TIMEOUT):
            await self._send(message, current)
            while not isinstance(said := heard(await self._frame(), self._key_id, current), Answer):
                self._note(said)
        current.advance()
        self._cipher, self._checked = current, current.checked
        return said

    async def _agree(self) -> Cipher:
        """Ask for an IV, and for another if it is one that served before."""
        self._drain()
        with within(patience.RESPONSE_TIMEOUT):
            await self._link.write(Uuid.WRITE.value, ask_iv(self._key_id), response=False)
            while True:
                frame = await self._frame()
                try:
                    grant = granted(frame)
                except ProtocolError as error:
                    _check_refused(frame, error)
                    continue
                if grant.iv not in self._ivs:
                    break
        self._ivs.add(grant.iv)
        return cipher(grant.mode, self._key, grant.iv, checked=self._checked)

    async def _send(self, message: bytes, current: Cipher) -> None:
        with within(patience.RESPONSE_TIMEOUT):
            await self._link.write(Uuid.WRITE.value, command(message, self._key_id, current), response=False)

    async def _frame(self) -> bytes:
        try:
            return await self._stream.receive()
        except GONE as error:
            raise LinkLost from error

    def _note(self, said: Answer | Push | None) -> None:
        """Remember that the lock told something, if it is not what was last read."""
        if isinstance(said, Push):
            try:
                self._news = self._news or Report.decode(self._model, said.data) != self._known
            except ProtocolError:
                self._news = True  # reading tells

    def _drain(self) -> None:
        """Pass over everything that came before what is sent next."""
        with suppress(anyio.WouldBlock, *GONE):  # what is gone is told when an answer is waited for
            while True:
                frame = self._stream.receive_nowait()
                if self._cipher is not None:
                    self._note(heard(frame, self._key_id, self._cipher))

    def _snapshot(self, report: Report) -> Snapshot:
        return snapshot(
            report,
            night_latch=bool(self._night_latch),
            door_sensor=self._door_sensor,
            battery_level=self._battery,
            battery_critical=self._low_battery,
        )


async def open_session(link: Link, credential: SwitchBotCredential, options: SwitchBotOptions) -> SwitchBotSession:
    """Subscribe, agree on an IV and prove the key.

    Raises:
        DriverError: the device is no SwitchBot, its model is not told, or it refused the key; `LinkLost`: the link is
            gone or the lock is mute.
    """
    told = options.completed(credential)
    if told.model is None:
        raise DriverError(
            Fault.UNCATEGORIZED, 'Which SwitchBot lock it is has to be configured: model = "lock" in [locks.switchbot].'
        )
    if not (link.has(Uuid.WRITE.value) and link.has(Uuid.NOTIFY.value)):
        raise DriverError(Fault.UNCATEGORIZED, "The device at this address is no SwitchBot lock.")
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(link.subscribe(Uuid.NOTIFY.value))
        session = SwitchBotSession(link, stream, credential, told, told.model)
        await session.start()
        session.closing = stack.pop_all()
    return session


def _check_refused(frame: bytes, error: ProtocolError) -> None:
    """Raise if the lock refuses an IV; pass over what else it says, such as the answer to something broken off.

    Raises:
        DriverError: the lock refused.
    """
    bare = len(frame) < len((Status.OK, 0, 0, 0)) or not any(frame[1:])
    if frame and bare and frame[0] not in (*DONE, Status.PUSH):
        reason = refusal(frame[0])
        raise DriverError(reason.fault, reason.message, vendor_code=frame[0]) from error
