"""Locks that are not available though nobody asked for them: what the air says, told in their state.

A lock that answers no command is told by its worker. This tells of the others: no adapter works, or a healthy scan
hears the lock no more. Both have to last, so that a moment's silence takes no lock offline.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from bridge.ble.radio import Absence, Radio
from bridge.states import States

LOOK = 5.0
"""Seconds between two looks."""
GRACE = 15.0
"""Seconds for which no adapter works before that is told: bluetoothd may be restarted, a stick plugged in anew."""
AWAY = 30.0
"""Seconds for which a lock is silent before that is told, on top of those that make it silent."""


class Availability:
    """Looks at the air from time to time.

    Args:
        addresses: of the locks, by their ids.
        radio: is asked.
        states: is told.
    """

    def __init__(self, addresses: Mapping[str, str], radio: Radio, states: States) -> None:
        self._addresses = addresses
        self._radio = radio
        self._states = states
        self._down_since: float | None = None
        self._silent_since: dict[str, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._look(anyio.current_time())
            await anyio.sleep(LOOK)

    def _look(self, now: float) -> None:
        if not self._radio.usable:
            self._down_since = now if self._down_since is None else self._down_since
            if now - self._down_since >= GRACE:
                for lock_id in self._addresses:
                    self._states.lost(lock_id, Absence.ADAPTER_DOWN)
            return
        self._down_since = None
        for lock_id, address in self._addresses.items():
            self._consider(lock_id, address, now)

    def _consider(self, lock_id: str, address: str, now: float) -> None:
        presence = self._radio.presence(address)
        adapter_was_down = self._states.absence(lock_id) is Absence.ADAPTER_DOWN
        if presence.silent:
            since = self._silent_since.setdefault(lock_id, now)
            if adapter_was_down or (self._states.known(lock_id) and now - since >= AWAY):
                self._states.lost(lock_id, Absence.OUT_OF_RANGE)
            return
        self._silent_since.pop(lock_id, None)
        if adapter_was_down and presence.heard_at is None:
            self._states.lost(lock_id, Absence.NEVER_SEEN)
