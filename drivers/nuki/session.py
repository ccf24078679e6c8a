"""An authenticated conversation with a Nuki lock: requests, replies and one action, over the USDIO characteristic.

1. A reply is matched by its command, and an Error Report by the command that it names; what the lock reports unasked
   in between is passed over. What came before a request is never taken for its reply.
2. Every wait is bounded. A lock that does not answer is as good as gone: `LinkLost`.
3. The action is written once, by `run`, and whatever happens from then on is an outcome (see `course`).
4. An exchange that was broken off may still be answered, so nothing but reading the state is done after it.
"""

from __future__ import annotations

from collections import deque
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

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
from drivers.nuki.course import Course, Next
from drivers.nuki.history import Historian
from drivers.nuki.patience import GONE, RESPONSE_TIMEOUT, within
from drivers.nuki.protocol.codes import Command, ErrorCode, StatusCode, Uuid
from drivers.nuki.protocol.commands import (
    FROM_LOCK,
    SUFFIX_BYTES,
    AuthorizationEntry,
    Challenge,
    ErrorReport,
    KeyturnerStates,
    LockAction,
    LogCount,
    LogEntry,
    RemoveAuthorization,
    RequestAuthorizations,
    RequestData,
    RequestLog,
    Status,
    decode,
)
from drivers.nuki.protocol.config_commands import AdvancedConfig, RequestAdvancedConfig, SetAdvancedConfig
from drivers.nuki.protocol.errors import ProtocolError, refusal
from drivers.nuki.protocol.frames import Frame, Reassembler, sealed, take_first, take_plain, take_sealed
from drivers.nuki.setting import NukiSetting, auto_lock_of
from drivers.nuki.snapshot import TURNS, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime

    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Link
    from drivers.nuki.credential import NukiCredential, NukiOptions
    from drivers.nuki.protocol.wire import Message, Pin

M = TypeVar("M", bound="Message")

FIND_COUNT = 20
"""Newest log entries among which a tag is looked for: the action is the last thing that the bridge did."""
USERS_COUNT = 200
"""Most authorizations that a lock can have."""

_UNKNOWN_TO_THE_LOCK = (ErrorCode.NOT_AUTHORIZED, ErrorCode.INVALID_AUTH_ID)
"""What a lock may say in clear: it has no key to seal an answer to a stranger with."""
_PIN_REFUSED = (ErrorCode.BAD_PIN, ErrorCode.TOO_MANY_PIN_ATTEMPTS)


class NukiSession:
    """A `drivers.base.Session` with a Nuki lock."""

    def __init__(
        self,
        link: Link,
        stream: MemoryObjectReceiveStream[bytes],
        credential: NukiCredential,
        options: NukiOptions,
        stack: AsyncExitStack,
    ) -> None:
        """Take the open subscription and what closes it; `open_session` makes one."""
        self._link = link
        self._stream = stream
        self._stack = stack
        self._credential = credential
        self._key = credential.key_bytes()
        self._pin = credential.wire_pin()
        self._tags = options.log_tag and self._pin is not None
        self._log_is_shut = False
        self._historian = Historian(credential.auth_id, credential.name)
        self._holders: dict[int, int] | None = None
        self._frames = Reassembler(
            take_first(
                take_sealed(lambda auth_id: self._key if auth_id == credential.auth_id else None),
                take_plain({Command.ERROR_REPORT: 3}),
            )
        )
        self._waiting: deque[Frame] = deque()
        self._one_at_a_time = anyio.Lock()
        self._broken_off = False
        self._read_at: datetime | None = None
        self._passed_over = False

    async def read(self) -> Snapshot:
        """Ask the lock for its state now (Request Data for Keyturner States).

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            self._drain()
            self._passed_over = False
            states = await self._exchange(Command.KEYTURNER_STATES, KeyturnerStates)
        self._read_at = states.at
        return snapshot(states)

    @property
    def lock_time(self) -> datetime | None:
        """The lock's own time when it was last read; None if its clock was never set."""
        return self._read_at

    async def changed(self) -> None:
        """Return once the lock has told its state unasked since it was last read.

        Raises:
            LinkLost: the link is gone.
        """
        while not self._passed_over:
            try:
                self._passed_over = isinstance(await self._receive(in_clear=False), KeyturnerStates)
            except ProtocolError:
                self._passed_over = True  # authentic, but not to be understood: reading tells

    async def prepare(self, action: Action, tag: bytes) -> NukiActuation:
        """Get the nonce that the action will be sent with.

        Args:
            action: lock, unlock or unlatch.
            tag: what to leave behind the bridge's name in the lock's log, up to 20 bytes.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        turn = TURNS[action]
        async with self._one_at_a_time:
            with self._unbroken():
                nonce = (await self._exchange(Command.CHALLENGE, Challenge)).nonce
        suffix = tag[:SUFFIX_BYTES] if self._tags else b""
        request = LockAction(turn, self._credential.app_id, nonce, suffix=suffix)
        return NukiActuation(self, Course(turn, self._read_at), request)

    @property
    def has_log(self) -> bool:
        """Whether `find` can tell: tags are left, and the lock has not said that its log is off or the PIN wrong."""
        return self._tags and not self._log_is_shut

    async def find(self, tag: bytes) -> LogRecord | None:
        """Look the newest entries of the log up for the one that an actuation with this tag left.

        A lock that refuses the PIN is not asked again, so that it does not lock the PIN out.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        if self._pin is None or not self.has_log:
            return None
        try:
            entries = await self._entries(self._pin, after=None, count=FIND_COUNT)
        except DriverError as error:
            if error.vendor_code not in _PIN_REFUSED:
                raise
            self._log_is_shut = True
            return None
        found = next((entry for entry in entries if self._historian.is_tagged(entry, tag)), None)
        return self._historian.record(found, {}) if found else None

    async def log(self, after: int | None, count: int) -> list[LogRecord]:
        """Read the lock's log, which leaves it as it is.

        Args:
            after: the record after which to begin, oldest first; None for the newest entries, newest first.
            count: at most so many.

        Raises:
            DriverError: the PIN is not known or not right, the log is off, or the lock refused; `LinkLost`: the link
                is gone or the lock is mute.
        """
        if self._pin is None:
            raise DriverError(Fault.NOT_AUTHORIZED, "The lock's log needs its security PIN. Pair again with the PIN.")
        entries = await self._entries(self._pin, after=after, count=count)
        if self._log_is_shut:
            raise DriverError(Fault.NOT_AUTHORIZED, "The lock keeps no log. Switch it on in Nuki's app.")
        foreign = any(self._historian.needs_holder(entry) for entry in entries)
        holders = await self._users(self._pin) if foreign else {}
        return [self._historian.record(entry, holders) for entry in entries]

    async def auto_lock(self) -> AutoLock:
        """Ask the lock whether it locks itself, and when.

        Raises:
            DriverError: the lock refused, or its firmware is too old; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._one_at_a_time:
            with self._unbroken():
                return auto_lock_of((await self._advanced_config()).advanced)

    async def prepare_auto_lock(self, wanted: AutoLock) -> NukiSetting:
        """Get the configuration that is to be changed, and the nonce that the change will be sent with.

        Raises:
            DriverError: the PIN is not known, the lock refused, or its firmware is too old; `LinkLost`: the link is
                gone or the lock is mute.
        """
        if self._pin is None:
            raise DriverError(
                Fault.NOT_AUTHORIZED,
                "Changing the lock's auto lock needs its security PIN. Pair again with the PIN.",
            )
        async with self._one_at_a_time:
            with self._unbroken():
                advanced = (await self._advanced_config()).advanced
                auto_lock_of(advanced)
                changed = advanced.with_auto_lock(enabled=wanted.enabled, timeout=wanted.delay)
                nonce = (await self._exchange(Command.CHALLENGE, Challenge)).nonce
                return NukiSetting(self, wanted, SetAdvancedConfig(changed, nonce, self._pin))

    async def configure(self, request: SetAdvancedConfig, wanted: AutoLock) -> Outcome:
        """Write a new configuration and read it back."""
        async with self._one_at_a_time:
            self._drain()
            self._broken_off = True
            try:
                await self._send(request)
                refused = await self._completed(request)
                found = auto_lock_of((await self._advanced_config()).advanced)
                states = await self._exchange(Command.KEYTURNER_STATES, KeyturnerStates)
            except DriverError as error:
                return Unknown(Stage.WRITTEN, error.message)
            self._broken_off = False
        now = snapshot(states)
        if refused is not None:
            return Failed(refused.fault, refused.message, refused.vendor_code, now)
        if not wanted.met_by(found):
            return Failed(Fault.REFUSED, "The lock did not take the setting: it has another one.", snapshot=now)
        return Confirmed(now)

    async def revoke(self) -> None:
        """Have the lock forget the bridge's authorization (Remove User Authorization), which wants the security PIN.

        Raises:
            DriverError: the PIN is not known or not right, or the lock refused; `LinkLost`: the link is gone or
                the lock is mute.
        """
        pin = self._pin
        if pin is None:
            raise DriverError(Fault.NOT_AUTHORIZED, "The lock wants its security PIN for that, which was never given.")
        auth_id = self._credential.auth_id
        await self._collect(lambda nonce: RemoveAuthorization(auth_id, nonce, pin))

    async def act(self, course: Course, request: LockAction, seen: Callable[[Snapshot], None]) -> Outcome:
        """Write the action and follow its course to the outcome."""
        async with self._one_at_a_time:
            self._drain()
            self._broken_off = True
            outcome = await self._follow(course, request, seen)
            self._broken_off = isinstance(outcome, Unknown)
            return outcome

    async def aclose(self) -> None:
        """Unsubscribe. The protocol knows no goodbye."""
        with suppress(DriverError):  # the link is gone, and the subscription with it
            await self._stack.aclose()

    async def _follow(self, course: Course, request: LockAction, seen: Callable[[Snapshot], None]) -> Outcome:
        try:
            await self._send(request)
            step: Outcome | Next = Next.WAIT
            while isinstance(step, Next):
                if step is Next.ASK:
                    await self._send(RequestData(Command.KEYTURNER_STATES))
                step = await self._observe(course, seen)
        except DriverError as error:
            return course.lost(error.message)
        return step

    async def _observe(self, course: Course, seen: Callable[[Snapshot], None]) -> Outcome | Next:
        with anyio.move_on_after(RESPONSE_TIMEOUT):
            message = await self._receive_any()
            if isinstance(message, KeyturnerStates) and not course.is_late(message):
                seen(snapshot(message))
            return course.observe(message)
        return course.quiet()

    async def _receive_any(self) -> Message:
        """Return the next message that can be read; nothing in clear is believed once the bolt may move."""
        while True:
            try:
                return await self._receive(in_clear=False)
            except ProtocolError:
                continue  # authentic, but not to be understood: what it meant is found out by reading

    async def _entries(self, pin: Pin, *, after: int | None, count: int) -> list[LogEntry]:
        messages = await self._collect(
            lambda nonce: RequestLog(after or 0, count, newest_first=after is None, total=True, nonce=nonce, pin=pin)
        )
        self._log_is_shut = any(isinstance(message, LogCount) and not message.enabled for message in messages)
        return [message for message in messages if isinstance(message, LogEntry)]

    async def _users(self, pin: Pin) -> dict[int, int]:
        """Return the kind of every authorization, asked for once; none if the lock does not tell."""
        if self._holders is None:
            try:
                messages = await self._collect(lambda nonce: RequestAuthorizations(0, USERS_COUNT, nonce, pin))
            except DriverError as error:
                if error.vendor_code is None:
                    raise
                messages = []
            users = (message for message in messages if isinstance(message, AuthorizationEntry))
            self._holders = {user.auth_id: user.kind for user in users}
        return self._holders

    async def _collect(self, request_of: Callable[[bytes], Message]) -> list[Message]:
        """Send a request that needs a nonce, and return all that comes until the lock says complete."""
        async with self._one_at_a_time:
            with self._unbroken():
                request = request_of((await self._exchange(Command.CHALLENGE, Challenge)).nonce)
                self._drain()
                await self._send(request)
                found: list[Message] = []
                while True:
                    with within(RESPONSE_TIMEOUT):
                        message = await self._receive(in_clear=True)
                    if message == Status(StatusCode.COMPLETE):
                        return found
                    if isinstance(message, ErrorReport) and message.failed == request.command:
                        raise _refused(message.code)
                    self._passed_over = self._passed_over or isinstance(message, KeyturnerStates)
                    found.append(message)

    async def _advanced_config(self) -> AdvancedConfig:
        nonce = (await self._exchange(Command.CHALLENGE, Challenge)).nonce
        return await self._ask(RequestAdvancedConfig(nonce), AdvancedConfig, Command.REQUEST_ADVANCED_CONFIG)

    async def _completed(self, request: Message) -> DriverError | None:
        """Wait until the lock says that a request is complete; return why it says that it is not."""
        with within(RESPONSE_TIMEOUT):
            while True:
                message = await self._receive_any()
                if message == Status(StatusCode.COMPLETE):
                    return None
                if isinstance(message, ErrorReport) and message.failed == request.command:
                    return _refused(message.code)

    async def _exchange(self, wanted: Command, kind: type[M]) -> M:
        """Request data and return the reply."""
        return await self._ask(RequestData(wanted), kind, Command.REQUEST_DATA, wanted)

    async def _ask(self, request: Message, kind: type[M], *named: Command) -> M:
        """Send a request and return the reply; a refusal of it names one of the commands."""
        self._drain()
        with within(RESPONSE_TIMEOUT):
            await self._send(request)
            while True:
                message = await self._receive(in_clear=True)
                if isinstance(message, kind):
                    return message
                if isinstance(message, ErrorReport) and message.failed in named:
                    raise _refused(message.code)
                self._passed_over = True

    async def _send(self, message: Message) -> None:
        with within(RESPONSE_TIMEOUT):
            await self._link.write(Uuid.USDIO.value, sealed(message, self._key, self._credential.auth_id))

    async def _receive(self, *, in_clear: bool) -> Message:
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
                raise _refused(message.code)

    async def _frame(self) -> Frame:
        while not self._waiting:
            try:
                part = await self._stream.receive()
            except GONE as error:
                raise LinkLost from error
            self._waiting.extend(self._frames.feed(part))
        return self._waiting.popleft()

    def _drain(self) -> None:
        """Pass over everything that came before what is sent next."""
        with suppress(anyio.WouldBlock, *GONE):  # what is gone is told when an answer is waited for
            while True:
                self._waiting.extend(self._frames.feed(self._stream.receive_nowait()))
        self._passed_over = self._passed_over or bool(self._waiting)
        self._waiting.clear()

    @contextmanager
    def _unbroken(self) -> Generator[None]:
        """Refuse after an exchange that was broken off, and note if this one is."""
        if self._broken_off:
            raise LinkLost("An earlier exchange with the lock was broken off. It has to be connected again.")
        self._broken_off = True
        try:
            yield
        except (LinkLost, ProtocolError):
            raise
        except DriverError:
            self._broken_off = False
            raise
        self._broken_off = False


class NukiActuation:
    """A `drivers.base.Actuation`: a lock action with its nonce, good for one write."""

    def __init__(self, session: NukiSession, course: Course, request: LockAction) -> None:
        """Take what will be sent."""
        self._session = session
        self._course = course
        self._request: LockAction | None = request

    async def run(self, seen: Callable[[Snapshot], None]) -> Outcome:
        """Send the action, once, and wait for the lock's own report of its end; see `drivers.base.Actuation`."""
        request, self._request = self._request, None
        if request is None:
            raise RuntimeError("An actuation runs once.")
        return await self._session.act(self._course, request, seen)


async def open_session(link: Link, credential: NukiCredential, options: NukiOptions) -> NukiSession:
    """Subscribe to what the lock says. The protocol knows no handshake: every frame is authenticated by itself.

    Raises:
        DriverError: the device is no Nuki lock; `LinkLost`: the link is gone.
    """
    if not link.has(Uuid.USDIO.value):
        raise DriverError(Fault.UNCATEGORIZED, "The device at this address is no Nuki lock.")
    stack = AsyncExitStack()
    stream = await stack.enter_async_context(link.subscribe(Uuid.USDIO.value))
    return NukiSession(link, stream, credential, options, stack)


def _refused(code: int) -> DriverError:
    reason = refusal(code)
    return DriverError(reason.fault, reason.message, vendor_code=code)
