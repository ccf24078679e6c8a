"""What can be asked of a Nuki lock over one link, and one action.

The action is written once, by `run`, and whatever happens from then on is an outcome (see `course`).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from drivers.base import (
    Action,
    AutoLock,
    Confirmed,
    DriverError,
    Failed,
    Fault,
    LogRecord,
    Outcome,
    Snapshot,
    Stage,
    Unknown,
)
from drivers.nuki.conversation import Conversation
from drivers.nuki.course import Course, Next
from drivers.nuki.history import Historian
from drivers.nuki.patience import RESPONSE_TIMEOUT
from drivers.nuki.protocol.codes import Command, ErrorCode, Uuid
from drivers.nuki.protocol.commands import (
    SUFFIX_BYTES,
    AuthorizationEntry,
    Challenge,
    KeyturnerStates,
    LockAction,
    LogCount,
    LogEntry,
    RemoveAuthorization,
    RequestAuthorizations,
    RequestData,
    RequestLog,
)
from drivers.nuki.protocol.config_commands import AdvancedConfig, RequestAdvancedConfig, SetAdvancedConfig
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.setting import auto_lock_of
from drivers.nuki.snapshot import TURNS, snapshot
from drivers.once import Once

if TYPE_CHECKING:
    from datetime import datetime

    from anyio.streams.memory import MemoryObjectReceiveStream

    from drivers.base import Check, Link, Seen
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
        self._talk = Conversation(link, stream, credential.auth_id, credential.key_bytes())
        self._stack = stack
        self._credential = credential
        self._pin = credential.wire_pin()
        self._tags = options.log_tag and self._pin is not None
        self._log_is_shut = False
        self._historian = Historian(credential.auth_id, credential.name)
        self._holders: dict[int, int] | None = None
        self._read_at: datetime | None = None

    async def read(self) -> Snapshot:
        """Ask the lock for its state now (Request Data for Keyturner States).

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        async with self._talk.one_at_a_time:
            self._talk.drain()
            self._talk.passed_over = False
            states = await self._talk.exchange(Command.KEYTURNER_STATES, KeyturnerStates)
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
        while not self._talk.passed_over:
            try:
                self._talk.passed_over = isinstance(await self._talk.receive(in_clear=False), KeyturnerStates)
            except ProtocolError:
                self._talk.passed_over = True  # authentic, but not to be understood: reading tells

    async def prepare(self, action: Action, tag: bytes) -> Once:
        """Get the nonce that the action will be sent with.

        Args:
            action: lock, unlock or unlatch.
            tag: what to leave behind the bridge's name in the lock's log, up to 20 bytes.

        Raises:
            DriverError: the lock refused; `LinkLost`: the link is gone or the lock is mute.
        """
        turn = TURNS[action]
        async with self._talk.one_at_a_time:
            with self._talk.unbroken():
                nonce = (await self._talk.exchange(Command.CHALLENGE, Challenge)).nonce
        suffix = tag[:SUFFIX_BYTES] if self._tags else b""
        request = LockAction(turn, self._credential.app_id, nonce, suffix=suffix)
        return Once(partial(self._act, Course(turn, self._read_at), request))

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
        async with self._talk.one_at_a_time:
            with self._talk.unbroken():
                return auto_lock_of((await self._advanced_config()).advanced)

    async def prepare_auto_lock(self, wanted: AutoLock) -> Once:
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
        async with self._talk.one_at_a_time:
            with self._talk.unbroken():
                advanced = (await self._advanced_config()).advanced
                auto_lock_of(advanced)
                changed = advanced.with_auto_lock(enabled=wanted.enabled, timeout=wanted.delay)
                nonce = (await self._talk.exchange(Command.CHALLENGE, Challenge)).nonce
                return Once(partial(self._configure, SetAdvancedConfig(changed, nonce, self._pin), wanted))

    async def _configure(self, request: SetAdvancedConfig, wanted: AutoLock, _: Seen, check: Check) -> Outcome:
        """Write a new configuration and read it back."""
        async with self._talk.one_at_a_time:
            self._talk.drain()
            check()
            self._talk.broken_off = True
            try:
                await self._talk.send(request)
                refused = await self._talk.completed(request)
                found = auto_lock_of((await self._advanced_config()).advanced)
                states = await self._talk.exchange(Command.KEYTURNER_STATES, KeyturnerStates)
            except DriverError as error:
                return Unknown(Stage.WRITTEN, error.message)
            self._talk.broken_off = False
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
        await self._talk.collect(lambda nonce: RemoveAuthorization(auth_id, nonce, pin))

    async def _act(self, course: Course, request: LockAction, seen: Seen, check: Check) -> Outcome:
        """Write the action and follow its course to the outcome."""
        async with self._talk.one_at_a_time:
            self._talk.drain()
            check()
            self._talk.broken_off = True
            outcome = await self._follow(course, request, seen)
            self._talk.broken_off = isinstance(outcome, Unknown)
            return outcome

    async def aclose(self) -> None:
        """Unsubscribe. The protocol knows no goodbye."""
        with suppress(DriverError):  # the link is gone, and the subscription with it
            await self._stack.aclose()

    async def _follow(self, course: Course, request: LockAction, seen: Seen) -> Outcome:
        try:
            await self._talk.send(request)
            step: Outcome | Next = Next.WAIT
            while isinstance(step, Next):
                if step is Next.ASK:
                    await self._talk.send(RequestData(Command.KEYTURNER_STATES))
                step = await self._observe(course, seen)
        except DriverError as error:
            return course.lost(error.message)
        return step

    async def _observe(self, course: Course, seen: Seen) -> Outcome | Next:
        with anyio.move_on_after(RESPONSE_TIMEOUT):
            message = await self._talk.receive_any()
            if isinstance(message, KeyturnerStates) and not course.is_late(message):
                seen(snapshot(message))
            return course.observe(message)
        return course.quiet()

    async def _entries(self, pin: Pin, *, after: int | None, count: int) -> list[LogEntry]:
        messages = await self._talk.collect(
            lambda nonce: RequestLog(after or 0, count, newest_first=after is None, total=True, nonce=nonce, pin=pin)
        )
        self._log_is_shut = any(isinstance(message, LogCount) and not message.enabled for message in messages)
        return [message for message in messages if isinstance(message, LogEntry)]

    async def _users(self, pin: Pin) -> dict[int, int]:
        """Return the kind of every authorization, asked for once; none if the lock does not tell."""
        if self._holders is None:
            try:
                messages = await self._talk.collect(lambda nonce: RequestAuthorizations(0, USERS_COUNT, nonce, pin))
            except DriverError as error:
                if error.vendor_code is None:
                    raise
                messages = []
            users = (message for message in messages if isinstance(message, AuthorizationEntry))
            self._holders = {user.auth_id: user.kind for user in users}
        return self._holders

    async def _advanced_config(self) -> AdvancedConfig:
        nonce = (await self._talk.exchange(Command.CHALLENGE, Challenge)).nonce
        return await self._talk.ask(RequestAdvancedConfig(nonce), AdvancedConfig, Command.REQUEST_ADVANCED_CONFIG)


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
