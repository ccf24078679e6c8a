"""Watches over the radio's health and treats it, step by step, as `recovery` decides.

Rules:
1. bluetoothd comes first: adapters are treated only while it answers.
2. Nothing is treated while a bolt may be moving, and no attempt passes its commit point during a treatment.
3. Every step is counted, logged and told upstream; so is a failure of the radio, once, and its end.
4. One adapter's trouble does not end the bridge, nor restart bluetoothd, while another works.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol

import anyio
import structlog

from bridge.ble import recovery
from bridge.ble.health import Ailment, Health, Symptom, diagnose
from bridge.ble.radio import Cause, RadioDown
from bridge.ble.recovery import Record, Step
from bridge.ble.remedies import Patient, Remedies
from bridge.ble.rfkill import blocks
from bridge.ble.vitals import Vitals
from bridge.interlock import Interlock
from bridge.service.progress import Progress

LOOK = 1.0
"""Seconds between two looks."""
LOOK_TIME = 180.0
"""Seconds in which a look must be over, the steps that it takes included."""

_OF_BLUETOOTHD = frozenset({Cause.NO_BUS, Cause.FORBIDDEN, Cause.GONE, Cause.HUNG})

_log = structlog.get_logger()


class Adapter(Patient, Protocol):
    """One adapter, as it is watched."""

    @property
    def vitals(self) -> Vitals:
        """What was observed of it."""
        ...

    @property
    def linked(self) -> bool:
        """Whether a link stands on it."""
        ...

    def restart_scan(self) -> None:
        """Have the scan stopped and started again, or a failed one tried again. Returns at once."""


class Stack(Protocol):
    """A radio with its adapters."""

    @property
    def vitals(self) -> Vitals:
        """What was observed of bluetoothd."""
        ...

    @property
    def patients(self) -> Sequence[Adapter]:
        """Its adapters, those that are unplugged too."""
        ...


class Clock(Protocol):
    """Gives boot time."""

    def boottime(self) -> float:
        """Seconds since boot."""
        ...


@dataclass(frozen=True, slots=True)
class Remedy:
    """A step that was taken."""

    adapter: str | None
    """Its address; None for bluetoothd as a whole, or while it is not known."""
    ailment: Ailment
    step: Step
    worked: bool
    """Whether the step could be taken; whether it helped is seen later."""
    count: int
    """How often it was taken on this adapter since the start."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The ladder did not help."""

    ailment: Ailment
    counts: Mapping[Step, int]
    """How often each step was taken on this adapter since the start."""


class Teller(Protocol):
    """Tells upstream. Neither method raises."""

    async def remedy(self, remedy: Remedy) -> None:
        """Tell that a step was taken."""

    async def failed(self, adapter: str | None, failure: Failure | None) -> bool:
        """Tell that an adapter failed, or with None that it works again, if that is a change; False to be asked again.

        What is a change is remembered across restarts.
        """
        ...


Blocks = Callable[[str], Awaitable[tuple[bool, bool]]]


class Caretaker:
    """Watches one radio.

    Args:
        stack: the radio.
        clock: gives boot time.
        interlock: knows whether a bolt may be moving.
        remedies: carries out what was decided.
        teller: tells upstream.
        blocked: tells of an adapter (hci0) whether rfkill blocks it, by software and by hardware.
    """

    def __init__(
        self,
        stack: Stack,
        clock: Clock,
        interlock: Interlock,
        *,
        remedies: Remedies,
        teller: Teller,
        blocked: Blocks = blocks,
    ) -> None:
        self._stack = stack
        self._clock = clock
        self._interlock = interlock
        self._remedies = remedies
        self._teller = teller
        self._blocked = blocked
        self._records: dict[str | None, Record] = {}
        self._seen: dict[str | None, tuple[Symptom, str | None] | None] = {}
        self._failed: dict[str | None, bool] = {}

    @property
    def counts(self) -> Mapping[str | None, Mapping[Step, int]]:
        """How often each step was taken since the start, by adapter; None is bluetoothd as a whole."""
        return {key: record.counts for key, record in self._records.items()}

    async def run(self, progress: Progress) -> NoReturn:
        """Watch, and treat what ails.

        Args:
            progress: is told of each look.

        Raises:
            RadioDown: nothing helped, and the bridge is to be started afresh.
        """
        while True:
            with progress.expected("the care of the radio", within=LOOK_TIME):
                await self.look()
            await anyio.sleep(LOOK)

    async def look(self) -> None:
        """Look at bluetoothd, then at each adapter, and take the steps that are due."""
        vitals = self._stack.vitals
        health = vitals.health(linked=vitals.listening_since is not None)
        await self._see(None, health)
        if health.down is not None:
            return
        for adapter in self._stack.patients:
            health = await self._health(adapter)
            if health.down is None or health.down.cause not in _OF_BLUETOOTHD:  # it has not noticed yet that it is over
                await self._see(adapter, health)

    async def _see(self, adapter: Adapter | None, health: Health) -> None:
        key = None if adapter is None else adapter.address
        now = self._clock.boottime()
        record = self._records.get(key, Record())
        ailment = diagnose(health, now, unpowered=record.unpowered)
        well = health.well and (ailment is None or ailment.lock is not None)
        self._records[key] = record = recovery.observed(record, well=well, now=now)
        if well and self._failed.get(key, True):
            self._failed[key] = not await self._teller.failed(key, None)
        if ailment is None:
            self._seen[key] = None
            return
        alone = adapter is None or not any(each.well for each in self._others(adapter))
        decision = recovery.decide(
            ailment,
            record,
            held=self._interlock.moving,
            busy=health.linked or health.connecting,
            now=now,
            possible=self._possible(alone=alone),
        )
        if self._seen.get(key) != (ailment.symptom, ailment.lock):
            self._seen[key] = (ailment.symptom, ailment.lock)
            wait = None if decision.at is None else round(decision.at - now)
            _log.warning(
                "radio.ailing", adapter=key, symptom=ailment.symptom, reason=ailment.message, next_step_in=wait
            )
        if decision.step is not None:
            await self._take(decision.step, ailment, adapter, alone=alone)

    async def _take(self, step: Step, ailment: Ailment, adapter: Adapter | None, *, alone: bool) -> None:
        key = None if adapter is None else adapter.address
        _log.warning("radio.remedy", adapter=key, step=step.name.lower(), symptom=ailment.symptom, lock=ailment.lock)
        if step is Step.LEAVE:
            raise RadioDown(f"{ailment.message} Nothing helped: the bridge ends, to be started afresh.")
        if step is Step.REPORT:
            worked = await self._report(key, ailment)
        else:
            worked = await self._treat(step, ailment, adapter, alone=alone)
        record = recovery.took(self._records[key], ailment, step, self._clock.boottime(), worked=worked)
        self._records[key] = record
        if step is not Step.REPORT:
            await self._teller.remedy(Remedy(key, ailment, step, worked, record.counts[step]))

    async def _treat(self, step: Step, ailment: Ailment, adapter: Adapter | None, *, alone: bool) -> bool:
        try:
            with self._interlock.treat():
                await self._remedies.take(step, ailment, adapter, alone=alone)
        except RadioDown as error:
            _log.warning("radio.remedy_failed", step=step.name.lower(), reason=error.message)
            return False
        finally:
            for each in self._stack.patients if adapter is None else [adapter]:
                each.vitals.treated(ailment.lock if step < Step.POWER_ON else None)
                if step is not Step.FORGET:
                    each.restart_scan()  # or have a failed one tried again at once
        return True

    async def _report(self, key: str | None, ailment: Ailment) -> bool:
        told = await self._teller.failed(key, Failure(ailment, self._records[key].counts))
        self._failed[key] = True
        return told

    def _possible(self, *, alone: bool) -> frozenset[Step]:
        """Return the steps that can be taken: under systemd there is root to be asked, and somebody who restarts."""
        possible = recovery.ALL
        if not self._remedies.root:
            possible -= {Step.RESET, Step.LEAVE}
        return possible if alone else possible - {Step.LEAVE}

    async def _health(self, adapter: Adapter) -> Health:
        health = adapter.vitals.health(linked=adapter.linked)
        if health.down is not None and adapter.path is not None:
            name = adapter.path.rpartition("/")[2]
            soft, hard = await self._blocked(name)
            health = replace(health, soft_blocked=soft, hard_blocked=hard)
        others = [each for each in self._stack.patients if each is not adapter]
        missing = tuple(
            lock
            for lock in health.missing
            if not any((each.vitals.heard_at(lock.address) or 0.0) > lock.since for each in others)
        )
        return replace(health, missing=missing)

    def _others(self, adapter: Adapter) -> list[Health]:
        return [each.vitals.health(linked=each.linked) for each in self._stack.patients if each is not adapter]
