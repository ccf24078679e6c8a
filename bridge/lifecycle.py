"""The whole bridge, from its start to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import structlog

from bridge import events
from bridge.attempt import State, Step
from bridge.errors import Code, StorageUnavailable
from bridge.model import Attempt, Ending
from bridge.service import supervision
from bridge.simulation.simulator import TASKS
from bridge.watch.watcher import keep_watch

if TYPE_CHECKING:
    from bridge.availability import Availability
    from bridge.bell import Bell
    from bridge.ble.caretaker import Caretaker
    from bridge.ble.radio import Radio
    from bridge.clock import Clock
    from bridge.config import Config
    from bridge.dispatcher import Dispatcher
    from bridge.journal import Journal
    from bridge.mqtt.door import Door
    from bridge.mqtt.session import Session
    from bridge.outbox import Outbox
    from bridge.questions import Questions
    from bridge.refusals import Refusals
    from bridge.roster import Roster
    from bridge.service.progress import Progress
    from bridge.simulation.sandbox import Sandbox
    from bridge.simulation.simulator import Simulator
    from bridge.states import States
    from bridge.tasks import Tasks
    from bridge.watch.watcher import Watcher
    from bridge.webhooks.delivery import Webhooks
    from bridge.wire.seam import Identity
    from bridge.worker import Worker
    from drivers.virtual.lock import VirtualLock

log = structlog.get_logger()

STOP_GRACE = 20.0
"""Seconds in which attempts past their commit point may come to their outcome once the bridge is told to stop."""
FAREWELL = 3.0
"""Seconds in which the last events may reach the broker."""
PRUNE_PAUSE = 3600.0
"""Seconds between the journal's clean-ups."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """Everything, put together."""

    config: Config
    journal: Journal
    bell: Bell
    clock: Clock
    progress: Progress
    identity: Identity
    radio: Radio
    caretaker: Caretaker | None
    """Looks after a real radio."""
    availability: Availability
    states: States
    refusals: Refusals
    workers: Mapping[str, Worker]
    watchers: Mapping[str, Watcher]
    """By the lock's address."""
    roster: Roster
    dispatcher: Dispatcher
    questions: Questions
    outbox: Outbox
    session: Session
    door: Door
    twins: Mapping[str, VirtualLock]
    """The virtual locks of this process, by the lock's id."""
    sandbox: Sandbox
    simulator: Simulator
    tasks: Tasks
    webhooks: Webhooks | None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run; started once the radio is up and every attempt of an earlier life is in hand."""
        async with anyio.create_task_group() as group:
            await group.start(self.radio.run)
            if self.caretaker is not None:
                group.start_soon(self.caretaker.run, self.progress)
            group.start_soon(self.availability.run)
            await self._take_up()
            group.start_soon(self.roster.run)
            group.start_soon(keep_watch, self.radio, self.watchers)
            group.start_soon(self.simulator.run)
            if self.webhooks is not None:
                group.start_soon(self.webhooks.run)
            await group.start(self.session.run, self.door.serve)
            group.start_soon(self.refusals.run)
            group.start_soon(self._keep_tidy)
            group.start_soon(self._let_go)
            group.start_soon(supervision.keep_informed, self)
            task_status.started()

    async def stop(self) -> None:
        """Take no more commands, let what is under way end, and tell it."""
        log.info("stopping")
        self.dispatcher.stop()
        self.simulator.stop()
        for worker in self.workers.values():
            worker.stop()
        await self._wind_up()
        await self.refusals.tell_rest()
        with anyio.move_on_after(FAREWELL):
            await self.outbox.caught_up()

    async def _let_go(self) -> None:
        """Once the bridge ends, for whatever reason, give attempts past their commit point some time and no more."""
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self._wind_up()

    async def _wind_up(self) -> None:
        with anyio.move_on_after(STOP_GRACE):
            for worker in tuple(self.workers.values()):  # one may be added meanwhile
                await worker.stopped.wait()
        for worker in self.workers.values():
            worker.abandon()

    async def _take_up(self) -> None:
        """Give each attempt of an earlier life to its worker; end those whose lock is no longer configured."""
        if self.journal.set_aside is not None:
            await self._tell_loss(self.journal.set_aside)
        for attempt in await self.journal.open_attempts():
            worker = self.workers.get(attempt.lock_id)
            if attempt.action in TASKS:
                await self.simulator.give_up(attempt)
            elif worker is not None:
                worker.enqueue(attempt)
            else:
                ending = _orphaned(attempt)
                await self.journal.end(attempt, ending, lambda ended: events.of_attempt(ended, self.identity))

    async def _tell_loss(self, set_aside: Path) -> None:
        """Tell of a journal that was set aside, once, even if the start that found it came to nothing."""
        details = {
            "message": "An earlier journal was set aside; what it held is not remembered.",
            "epoch": self.journal.epoch,
        }
        event = events.of_bridge("bridge.journal_reset", self.identity, self.clock.wall(), details)
        if await self.journal.tell_once(f"loss told: {set_aside.name}", [event]):
            log.error("journal was set aside and begun anew", set_aside=str(set_aside))

    async def _keep_tidy(self) -> None:
        while True:
            try:
                await self.journal.prune()
            except StorageUnavailable as error:
                log.warning("journal not tidied", reason=str(error))
            await anyio.sleep(PRUNE_PAUSE)


def _orphaned(attempt: Attempt) -> Ending:
    message = "The lock was taken out of the configuration before the action ended."
    if attempt.state is State.COMMITTED:
        return Ending(Step.LOSE, code=Code.OUTCOME_UNKNOWN, message=message)
    return Ending(Step.FAIL, code=Code.LOCK_NOT_FOUND, message=message)
