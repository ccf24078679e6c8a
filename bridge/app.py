"""The composition root: everything is made here, and runs in one task group."""

from __future__ import annotations

import signal
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.abc
import structlog

from bridge import __version__, events, radios, sdnotify, supervision
from bridge.attempt import State, Step
from bridge.availability import Availability
from bridge.bell import Bell
from bridge.ble.radio import Radio
from bridge.clock import Clock, SystemClock
from bridge.config import Config
from bridge.dispatcher import Dispatcher
from bridge.errors import Code, StorageUnavailable
from bridge.http import door as http
from bridge.interlock import Interlock
from bridge.journal import Journal, in_thread, open_journal
from bridge.lock import Lock
from bridge.locks import configured
from bridge.memory import Memory
from bridge.model import Attempt, Ending
from bridge.mqtt.announcements import Announcements
from bridge.mqtt.door import Announcer, Door
from bridge.mqtt.homeassistant import Discovery, discoveries
from bridge.mqtt.inbox import Inbox
from bridge.mqtt.session import Session
from bridge.mqtt.settings import mqtt_settings
from bridge.mqtt.topics import Topics
from bridge.outbox import Outbox
from bridge.policy import Rules
from bridge.progress import Progress
from bridge.questions import Questions
from bridge.radionews import RadioNews
from bridge.reckoning import Reckoner
from bridge.refusals import Refusals
from bridge.roster import Roster
from bridge.sandbox import Sandbox
from bridge.sessions import Sessions
from bridge.signing import Signers
from bridge.signing_keys import SigningKeys
from bridge.simulator import TASKS, Simulator
from bridge.states import States
from bridge.tasks import Tasks
from bridge.watcher import Watcher, fact_of, keep_watch
from bridge.webhooks.delivery import Webhooks
from bridge.webhooks.settings import webhook_settings
from bridge.wire import text
from bridge.wire.seam import Identity
from bridge.worker import Worker
from drivers.virtual.lock import VirtualLock

if TYPE_CHECKING:
    from bridge.ble.caretaker import Caretaker

log = structlog.get_logger()

T = TypeVar("T")

JOURNAL_FILE = "journal.db"
STOP_GRACE = 20.0
"""Seconds in which attempts past their commit point may come to their outcome once the bridge is told to stop."""
FIRST_CONNECTION = 1.0
"""Seconds for which readiness waits for the broker; one that is away does not keep the bridge from being ready."""
FAREWELL = 3.0
"""Seconds in which the last events may reach the broker."""
PRUNE_PAUSE = 3600.0
"""Seconds between the journal's clean-ups."""
JOURNAL_TIME = 60.0
"""Seconds in which the journal must be done with one thing: more than the worst card takes."""


async def serve(config: Config) -> None:
    """Run the bridge until SIGTERM or SIGINT.

    Raises:
        StorageUnavailable: the journal cannot be used.
        ConfigError: a file that the configuration names cannot be used.
    """
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with running(config):
            sdnotify.notify("READY=1")
            await anext(signals)
            sdnotify.tell("STOPPING=1\nSTATUS=stopping")


@asynccontextmanager
async def running(config: Config) -> AsyncGenerator[Bridge]:
    """Run a bridge for as long as the context is open; leaving it lets what is under way end.

    Entered once commands can come, or the broker is found to be away.

    Raises:
        StorageUnavailable: the journal cannot be used.
        ConfigError: a file or an address that the configuration names cannot be used.
        SocketTaken: another bridge runs at the same place.
    """
    clock = SystemClock(config.bridge.trust_clock)
    bell = Bell()
    progress = Progress()

    async def run(work: Callable[[], T], /) -> T:
        with progress.expected("the journal", within=JOURNAL_TIME):
            return await in_thread(work)

    journal = await open_journal(config.bridge.state_dir / JOURNAL_FILE, clock, bell, run)
    try:
        bridge = await Bridge.make(config, journal, clock, bell, progress)
        with http.listening(config) as listeners:
            async with anyio.create_task_group() as group:
                await group.start(bridge.run)
                await group.start(http.serve, bridge, listeners)
                with anyio.move_on_after(FIRST_CONNECTION):
                    await bridge.door.opened.wait()
                log.info("ready", version=__version__, locks=len(bridge.workers))
                yield bridge
                await bridge.stop()
                group.cancel_scope.cancel()
    finally:
        await journal.close()


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

    @classmethod
    async def make(cls, config: Config, journal: Journal, clock: Clock, bell: Bell, progress: Progress) -> Bridge:
        """Put the bridge together; nothing runs yet.

        Raises:
            StorageUnavailable: the journal cannot be written.
            ConfigError: a file that the configuration names cannot be used.
        """
        identity = await _identity(config, journal)
        virtual = radios.virtual_locks(config)
        radio = radios.make(config, clock, {twin.address: twin for twin, _ in virtual.values()}, exclusive=True)
        locks = configured(config, {lock_id: key for lock_id, (_, key) in virtual.items()})
        states = States(clock, bell)
        facts = await journal.facts()
        interlock = Interlock()
        watchers: dict[str, Watcher] = {}
        addresses: dict[str, str] = {}
        for lock in locks:
            states.add(lock.id, lock.name, lock.driver.name)

        tell = partial(events.of_attempt, identity=identity)

        def worker_of(lock: Lock) -> Worker:
            sessions = Sessions(lock, radio, states, progress)
            addresses[lock.id] = lock.address
            watchers[lock.address] = watcher = Watcher(
                sessions=sessions,
                journal=journal,
                states=states,
                clock=clock,
                reckoner=Reckoner(lock.id, identity),
                memory=Memory.restored(facts.get(fact_of(lock.id))),
                progress=progress,
            )
            return Worker(
                sessions=sessions,
                journal=journal,
                watcher=watcher,
                clock=clock,
                interlock=interlock,
                tell=tell,
                progress=progress,
            )

        workers = {lock.id: worker_of(lock) for lock in locks}
        refusals = Refusals(journal, clock, identity)
        dispatcher = Dispatcher(
            workers,
            journal=journal,
            refusals=refusals,
            radio=radio,
            clock=clock,
            rules=_rules(config),
            memory=2.0 * config.commands.max_ttl,
            tell=tell,
            signers=partial(_signers, config.bridge.id, SigningKeys(config.bridge.state_dir)),
        )
        questions = Questions(
            locks,
            journal=journal,
            states=states,
            identity=identity,
            timezone=config.bridge.timezone,
            begun_at=await journal.fact("begun_at", text.milliseconds(clock.wall())),
            sandbox=config.bluetooth.radio == "virtual",
        )
        twins = {lock_id: twin.lock for lock_id, (twin, _) in virtual.items()}
        sandbox = Sandbox(twins)
        simulator = Simulator(sandbox, journal=journal, clock=clock, tell=tell, ttl=config.commands.ttl)
        tasks = Tasks(dispatcher, simulator, identity, clock)
        outbox = Outbox(journal, states, bell)
        announced = config.homeassistant.prefix if config.homeassistant.discovery else None
        topics = Topics(f"{config.mqtt.prefix}/{config.bridge.id}", config.mqtt.response_prefixes, announced)
        announcer = Announcer(clock)
        announcements = Announcements(
            journal, _discoveries(config, topics, locks), [topics.state(lock.id) for lock in locks]
        )
        door = Door(
            topics=topics,
            inbox=Inbox(topics, dispatcher, clock, journal),
            questions=questions,
            tasks=tasks,
            outbox=outbox,
            announcer=announcer,
            clock=clock,
            announcements=announcements,
            barrier_limit=config.commands.max_ttl,
        )
        session = Session(mqtt_settings(config, announcer.will(topics)), progress)

        def take_in(lock: Lock) -> Worker:
            states.add(lock.id, lock.name, lock.driver.name)
            worker = worker_of(lock)
            dispatcher.add(worker)
            questions.add(lock)
            announcements.add(_discoveries(config, topics, [lock]), [topics.state(lock.id)])
            return worker

        roster = Roster(
            config, workers, twins={lock_id: twin for lock_id, (twin, _) in virtual.items()}, take_in=take_in
        )
        caretaker = radios.caretaker(config, radio, clock, interlock, RadioNews(journal, clock, identity))
        return cls(
            config=config,
            journal=journal,
            bell=bell,
            clock=clock,
            progress=progress,
            identity=identity,
            radio=radio,
            caretaker=caretaker,
            availability=Availability(addresses, radio, states),
            states=states,
            refusals=refusals,
            workers=workers,
            watchers=watchers,
            roster=roster,
            dispatcher=dispatcher,
            questions=questions,
            outbox=outbox,
            session=session,
            door=door,
            twins=twins,
            sandbox=sandbox,
            simulator=simulator,
            tasks=tasks,
            webhooks=await _webhooks(config, journal, bell, clock),
        )

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


async def _identity(config: Config, journal: Journal) -> Identity:
    workspace = config.bridge.workspace_id or uuid.UUID(await journal.fact("workspace_id", str(uuid.uuid4())))
    account = config.bridge.connected_account_id or uuid.uuid5(workspace, config.bridge.id)
    return Identity(workspace, account, config.bridge.id)


async def _webhooks(config: Config, journal: Journal, bell: Bell, clock: Clock) -> Webhooks | None:
    settings = webhook_settings(config)
    if settings is None:
        if number := await journal.posting.end():
            log.warning("events given up: there is no webhook any more", number=number)
        return None
    from bridge.webhooks.poster import HttpPoster

    journal.posting.begin()
    return Webhooks(journal, bell, clock, signer=settings.signer, connect=lambda: HttpPoster.connect(settings))


def _rules(config: Config) -> Rules:
    commands = config.commands
    return Rules(commands.ttl, commands.require_expiry, commands.rate_limit, commands.queue_limit, commands.max_ttl)


def _signers(bridge_id: str, keys: SigningKeys) -> Signers:
    return Signers(bridge_id, keys.good())


def _discoveries(config: Config, topics: Topics, locks: list[Lock]) -> list[Discovery]:
    if not config.homeassistant.discovery:
        return []
    return discoveries(config.homeassistant.prefix, config.bridge.id, topics, locks)
