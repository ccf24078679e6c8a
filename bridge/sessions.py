"""The session with one lock: opened when needed, kept for a while, dropped when in doubt."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

import anyio

from bridge.ble.radio import Absence, OpenLink, Radio, Unreachable
from bridge.lock import Lock
from bridge.service.progress import Progress
from bridge.states import States
from drivers.base import Credential, DriverError, Fault, LinkLost, Session, Snapshot

HEARD_POLL = 1.0
"""Seconds between looks at whether a lock has been heard again."""
MOVING_POLL = 0.3
"""Seconds between reads of a lock whose motor turns."""
DROP_TIME = 60.0
"""Seconds in which a link must be ended, which no cancellation cuts short."""


class OutOfTime(LinkLost):
    """The lock was reached, and what was wanted of it did not come in time."""

    def __init__(self) -> None:
        super().__init__("The lock was not ready in time.")


class Sessions:
    """The one session at a time with a lock. Used by that lock's worker alone."""

    def __init__(self, lock: Lock, radio: Radio, states: States, progress: Progress) -> None:
        self.lock = lock
        self._progress = progress
        self._radio = radio
        self._states = states
        self._link: OpenLink | None = None
        self._session: Session | None = None

    def rekey(self, credential: Credential | None) -> None:
        """Use another key from the next session on."""
        self.lock = replace(self.lock, credential=credential)

    @property
    def open(self) -> bool:
        """Whether a session stands, as far as is known."""
        return self._session is not None

    async def get(self, within: float) -> Session:
        """Return the session, connecting first if there is none.

        Args:
            within: seconds that connecting may take.

        Raises:
            DriverError: the lock cannot be reached, or refuses the bridge's key.
        """
        if self._session is not None:
            return self._session
        if self.lock.credential is None:
            raise DriverError(
                Fault.NOT_AUTHORIZED,
                f"There is no key for this lock; pair it with `lock-bridge pair {self.lock.driver.name}`.",
            )
        try:
            self._link = await self._radio.connect(self.lock.address, within=within)
            self._session = await self.lock.driver.open(self._link, self.lock.credential, self.lock.options)
        except BaseException:
            await self.drop()
            raise
        return self._session

    async def settled(self, within: float, *, tell: bool = True) -> tuple[Session, Snapshot]:
        """Return the session and what the lock says, freshly read, once its motor stands still.

        Args:
            within: seconds that connecting may take.
            tell: whether to make known where it stands; otherwise that is told with an outcome.

        Raises:
            DriverError: the lock cannot be reached, refuses, or falls silent.
        """
        session = await self.get(within)
        while True:
            snapshot = await session.read()
            moving = snapshot.lock_state.moving
            if tell or moving:
                self.saw(snapshot)
            if not moving:
                return session, snapshot
            await anyio.sleep(MOVING_POLL)

    @contextmanager
    def within(self, seconds: float) -> Generator[None]:
        """Bound what is done with the lock. Where it is cut short, the session is of no more use.

        Raises:
            Unreachable: the time is over, and there is no link.
            OutOfTime: the time is over.
        """
        with anyio.move_on_after(seconds) as scope:
            yield
        if scope.cancelled_caught:
            raise OutOfTime if self.open else Unreachable("The lock was not reached in time.", self._why_unheard())

    async def crowded(self) -> None:
        """Return once another lock waits for the place that this lock's link has."""
        await self._radio.wanted(self.lock.address)

    async def heard(self) -> None:
        """Return once the lock is heard on the air, from now on."""
        before = self._radio.presence(self.lock.address).heard_at
        while (at := self._radio.presence(self.lock.address).heard_at) is None or at == before:  # noqa: ASYNC110 - radios keep no list of who waits
            await anyio.sleep(HEARD_POLL)

    def saw(self, snapshot: Snapshot) -> None:
        """Make known what the lock reported."""
        self._states.saw(self.lock.id, snapshot, self._radio.presence(self.lock.address).rssi)

    async def give_up(self, error: DriverError) -> None:
        """End the session and make known that the lock is not available, if that is what the error means."""
        await self.drop()
        absence = _absence(error)
        if absence is not None:
            self._states.lost(self.lock.id, absence)

    def unheard(self) -> None:
        """Make known that the lock is not available: it is not heard any more, and a command is refused for that."""
        if self._states.known(self.lock.id):
            self._states.lost(self.lock.id, Absence.OUT_OF_RANGE)

    def _why_unheard(self) -> Absence:
        heard_at = self._radio.presence(self.lock.address).heard_at
        return Absence.NEVER_SEEN if heard_at is None else Absence.OUT_OF_RANGE

    async def leave(self) -> None:
        """Say goodbye, where the lock's protocol has such a thing, and end the link; cut short, only end the link."""
        try:
            if self._session is not None:
                await self._session.aclose()
        finally:
            await self.drop()

    async def drop(self) -> None:
        """End the link at once, whatever state it is in: a lock that is mute is not asked for a farewell."""
        session, self._session = self._session, None
        link, self._link = self._link, None
        name = f"letting go of {self.lock.id}"
        with anyio.CancelScope(shield=True), self._progress.expected(name, within=DROP_TIME):
            if link is not None:
                await link.aclose()
            if session is not None:
                await session.aclose()


def _absence(error: DriverError) -> Absence | None:
    """Return why the lock is not available; None for one that answers."""
    if isinstance(error, Unreachable):
        return error.absence
    return _ABSENCES.get(error.fault)


_ABSENCES = MappingProxyType(
    {
        Fault.UNREACHABLE: Absence.OUT_OF_RANGE,
        Fault.RADIO_DOWN: Absence.ADAPTER_DOWN,
        Fault.NOT_AUTHORIZED: Absence.CREDENTIALS_REFUSED,
    }
)
