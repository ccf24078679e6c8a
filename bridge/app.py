"""The composition root: everything is made here, and runs in one task group."""

from __future__ import annotations

import signal
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import anyio
import structlog

from bridge import __version__, events, radios
from bridge.availability import Availability
from bridge.bell import Bell
from bridge.clock import Clock, SystemClock
from bridge.config import Config
from bridge.dispatcher import Dispatcher
from bridge.http import door as http
from bridge.interlock import Interlock
from bridge.journal import Journal, in_thread, open_journal
from bridge.keys.signing import Signers
from bridge.keys.signing_keys import SigningKeys
from bridge.lifecycle import Bridge
from bridge.lock import Lock
from bridge.locks import configured
from bridge.mqtt.announcements import Announcements
from bridge.mqtt.door import Announcer, Door
from bridge.mqtt.homeassistant import Discovery, discoveries
from bridge.mqtt.inbox import Inbox
from bridge.mqtt.session import Session
from bridge.mqtt.settings import mqtt_settings
from bridge.mqtt.topics import Topics
from bridge.outbox import Outbox
from bridge.policy import Rules
from bridge.questions import Questions
from bridge.radionews import RadioNews
from bridge.refusals import Refusals
from bridge.roster import Roster
from bridge.service import sdnotify
from bridge.service.progress import Progress
from bridge.sessions import Sessions
from bridge.simulation.sandbox import Sandbox
from bridge.simulation.simulator import Simulator
from bridge.states import States
from bridge.tasks import Tasks
from bridge.watch.memory import Memory
from bridge.watch.reckoning import Reckoner
from bridge.watch.watcher import Watcher, fact_of
from bridge.webhooks.delivery import Webhooks
from bridge.webhooks.settings import webhook_settings
from bridge.wire import text
from bridge.wire.seam import Identity
from bridge.worker import Worker

log = structlog.get_logger()

T = TypeVar("T")

JOURNAL_FILE = "journal.db"
FIRST_CONNECTION = 1.0
"""Seconds for which readiness waits for the broker; one that is away does not keep the bridge from being ready."""
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
        bridge = await assemble(config, journal, clock, bell, progress)
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


async def assemble(config: Config, journal: Journal, clock: Clock, bell: Bell, progress: Progress) -> Bridge:
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

    roster = Roster(config, workers, twins={lock_id: twin for lock_id, (twin, _) in virtual.items()}, take_in=take_in)
    caretaker = radios.caretaker(config, radio, clock, interlock, RadioNews(journal, clock, identity))
    return Bridge(
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
    expiry = config.commands.ttl if config.commands.require_expiry else None
    return discoveries(config.homeassistant.prefix, config.bridge.id, topics, locks, expiry=expiry)
