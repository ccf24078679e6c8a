"""What is observed of an adapter, as it happens: from this its health is told. No I/O."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from bleak.exc import BleakDBusError

from bridge.ble.health import Down, Health, Missing, Stuck
from bridge.ble.radio import RadioDown, Unreachable

FRESH = 30.0
"""Seconds for which a lock that was heard is taken to be there."""

_REMEMBERED = 1024
"""Addresses whose last hearing is kept. Phones around change theirs every quarter of an hour."""

_STUCK = frozenset({"org.bluez.Error.InProgress", "org.bluez.Error.AlreadyConnected"})
"""What BlueZ says of a device whose earlier connection it has not come to an end with."""

_ABORTED = "le-connection-abort-by-local"
"""What BlueZ says of a connection that this side gave up, which a lock that is heard gives no reason for."""


class _Clock(Protocol):
    def boottime(self) -> float: ...


class Vitals:
    """Takes note of what becomes of one adapter, or of bluetoothd as a whole. Nothing here fails or waits."""

    def __init__(self, clock: _Clock) -> None:
        self._clock = clock
        self._down: Down | None = None
        self._listening_since: float | None = None
        self._scanning = False
        self._heard_at: float | None = None
        self._connecting = 0
        self._heard: dict[str, float] = {}
        self._stuck: dict[str, Stuck] = {}
        self._missing: dict[str, Missing] = {}

    @property
    def listening_since(self) -> float | None:
        """Since when a scan has run with no connection being made, which pauses it; None if none does."""
        return self._listening_since

    def up(self) -> None:
        """It can be used: a scan was started, or bluetoothd answers."""
        self._down = None
        self._scanning = True
        self._listening_since = None if self._connecting else self._clock.boottime()

    def down(self, error: RadioDown) -> None:
        """It cannot be used."""
        since = self._down.since if self._down and self._down.cause is error.cause else self._clock.boottime()
        self._down = Down(error.cause, error.message, since)
        self._scanning = False
        self._listening_since = None

    def heard(self, address: str) -> None:
        """Something advertises."""
        self._note_heard(address)
        self._missing.pop(address, None)

    @contextmanager
    def connecting(self, address: str) -> Generator[None, None, None]:
        """Take note of a connection being made inside the block, and of what comes of it."""
        fresh = self._clock.boottime() - self._heard.get(address, float("-inf")) < FRESH
        self._connecting += 1
        self._listening_since = None
        try:
            yield
        except RadioDown:
            raise  # it says nothing of the lock
        except Unreachable as error:
            if _is_stuck(error.__cause__):
                self._note_stuck(address)
            elif isinstance(error.__cause__, TimeoutError):
                self._note_missing(address, fresh=fresh)
            raise
        except BaseException:
            self._note_missing(address, fresh=fresh)
            raise
        else:
            self._stuck.pop(address, None)
            self._missing.pop(address, None)
            self._note_heard(address)
        finally:
            self._connecting -= 1
            if self._scanning and not self._connecting:
                self._listening_since = self._clock.boottime()

    def heard_at(self, address: str) -> float | None:
        """Return the boot time at which a device was last heard or connected to; None if it was not."""
        return self._heard.get(address)

    def treated(self, address: str | None = None) -> None:
        """Forget what was held against a lock, or against all of them: something was done about it."""
        for notes in (self._stuck, self._missing):
            if address is None:
                notes.clear()
            else:
                notes.pop(address, None)

    def health(self, *, linked: bool) -> Health:
        """Return the sum of it.

        Args:
            linked: whether a link stands on this adapter.
        """
        return Health(
            down=self._down,
            listening_since=self._listening_since,
            heard_at=self._heard_at,
            linked=linked,
            connecting=self._connecting > 0,
            stuck=tuple(self._stuck.values()),
            missing=tuple(self._missing.values()),
        )

    def _note_heard(self, address: str) -> None:
        """Note when a device was heard, forgetting the one that was not heard for longest."""
        self._heard_at = self._clock.boottime()
        self._heard.pop(address, None)
        self._heard[address] = self._heard_at
        if len(self._heard) > _REMEMBERED:
            del self._heard[next(iter(self._heard))]

    def _note_stuck(self, address: str) -> None:
        now = self._clock.boottime()
        before = self._stuck.get(address, Stuck(address, 0, now))
        self._stuck[address] = Stuck(address, before.failures + 1, before.since)

    def _note_missing(self, address: str, *, fresh: bool) -> None:
        """Note that a connect to a lock that was there was called off: from now on it should be heard again."""
        if fresh:
            self._missing.setdefault(address, Missing(address, self._clock.boottime()))


def _is_stuck(error: BaseException | None) -> bool:
    return isinstance(error, BleakDBusError) and (
        error.dbus_error in _STUCK or _ABORTED in (error.dbus_error_details or "")
    )
