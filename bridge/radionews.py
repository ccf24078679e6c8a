"""What is told upstream of the radio's health: remedies, a failure that they did not cure, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

from bridge import events
from bridge.clock import Clock
from bridge.errors import StorageUnavailable
from bridge.journal import Journal
from bridge.model import Event
from bridge.wire.seam import Identity

if TYPE_CHECKING:
    from bridge.ble.caretaker import Failure, Remedy
    from bridge.ble.health import Ailment
    from bridge.ble.recovery import Step

log = structlog.get_logger()


class RadioNews:
    """Records the events `bridge.radio_remedy`, `bridge.radio_failed` and `bridge.radio_recovered`."""

    def __init__(self, journal: Journal, clock: Clock, identity: Identity) -> None:
        self._journal = journal
        self._clock = clock
        self._identity = identity

    async def remedy(self, remedy: Remedy) -> None:
        """Tell that a step was taken; one that cannot be recorded was logged."""
        details = _details(remedy.adapter, remedy.ailment) | {
            "step": remedy.step.name.lower(),
            "taken": remedy.worked,
            "count": remedy.count,
        }
        try:
            await self._journal.tell([self._event("bridge.radio_remedy", details)])
        except StorageUnavailable as error:
            log.warning("remedy not recorded", reason=str(error))

    async def failed(self, adapter: str | None, failure: Failure | None) -> bool:
        """Tell that an adapter failed, or works again, if that is a change; False if it could not be recorded."""
        if failure is None:
            message = "The Bluetooth adapter works again." if adapter else "bluetoothd answers again."
            event = self._event("bridge.radio_recovered", {"adapter": adapter, "message": message})
        else:
            details = _details(adapter, failure.ailment) | {"steps": _named(failure.counts)}
            event = self._event("bridge.radio_failed", details)
        name = f"radio failed: {adapter or 'all'}"
        try:
            changed = await self._journal.tell_turn(name, [event], on=failure is not None)
        except StorageUnavailable as error:
            log.warning("the radio's health not recorded", reason=str(error))
            return False
        if changed:
            log.warning(event.event_type, adapter=adapter, reason=event.body["message"])
        return True

    def _event(self, event_type: str, details: Mapping[str, Any]) -> Event:
        return events.of_bridge(event_type, self._identity, self._clock.wall(), details)


def _details(adapter: str | None, ailment: Ailment) -> dict[str, Any]:
    details: dict[str, Any] = {"adapter": adapter, "symptom": ailment.symptom.value, "message": ailment.message}
    return details if ailment.lock is None else details | {"address": ailment.lock}


def _named(counts: Mapping[Step, int]) -> dict[str, int]:
    return {step.name.lower(): count for step, count in counts.items()}
