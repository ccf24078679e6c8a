"""The contract finds out a driver that does not keep it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import trio.testing

from drivers.base import (
    Action,
    Advertisement,
    Confirmed,
    DriverError,
    Failed,
    Fault,
    LockState,
    PairingError,
    Sighting,
    Snapshot,
    Stage,
    Unknown,
)
from drivers.contract import DriverContract
from drivers.contract.bench import ADDRESS, bench, in_process
from drivers.nuki import NukiDriver
from drivers.sesame import SesameDriver
from drivers.virtual.faults import Trouble
from drivers.virtual.peripheral import VirtualSettings


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class Changed:
    """Something, but for what a test changes about it."""

    def __init__(self, whole, **changes) -> None:
        self._whole = whole
        self.__dict__ |= changes

    def __getattr__(self, name):
        return getattr(self._whole, name)


def driver(session=lambda session: session, **changes):
    """Return the Nuki driver with changed sessions."""

    async def opened(link, key, options):
        return session(await honest.open(link, key, options))

    honest = NukiDriver()
    return Changed(honest, open=opened, **changes)


def acting(run):
    """Return a change of sessions: what is done when an action is run."""

    def changed(session):
        async def prepare(action, tag):
            actuation = await session.prepare(action, tag)
            return Changed(actuation, run=partial(run, session, actuation, action))

        return Changed(session, prepare=prepare)

    return changed


async def twice(session, actuation, action, seen, *check):
    await actuation.run(seen, *check)
    return await (await session.prepare(action, b"")).run(seen, *check)


async def heedless(_session, actuation, action, seen, *check):
    return await actuation.run(seen)


async def believing(_session, actuation, action, seen, *check):
    await actuation.run(seen, *check)
    return Confirmed(Snapshot(LockState.LOCKED if action is Action.LOCK else LockState.UNLOCKED))


async def unlatching(session, actuation, action, seen, *check):
    if action is Action.UNLOCK:
        actuation = await session.prepare(Action.UNLATCH, b"")
    return await actuation.run(seen, *check)


async def again_after_unknown(session, actuation, action, seen, *check):
    outcome = await actuation.run(seen, *check)
    if not isinstance(outcome, Confirmed):
        outcome = await (await session.prepare(action, b"")).run(seen, *check)
    return outcome


def remembering(session):
    known = []

    async def read():
        known.append(await session.read())
        return known[0]

    return Changed(session, read=read)


def hasty(session):
    async def prepare(action, tag):
        actuation = await session.prepare(action, tag)
        await actuation.run(lambda _: None)
        return actuation

    return Changed(session, prepare=prepare)


def inventive(session):
    async def read():
        return replace(await session.read(), battery_level=50)

    return Changed(session, read=read)


async def failing_where_it_is(session, actuation, action, seen, *check):
    there = (await session.read()).lock_state is LockState.LOCKED and action is Action.LOCK
    outcome = await actuation.run(seen, *check)
    return Failed(Fault.REFUSED, "The bolt was there.") if there else outcome


def once(session):
    acted = []

    async def prepare(action, tag):
        acted.append(action)
        return Changed(await session.prepare(action, tag), run=run) if acted[1:] else await session.prepare(action, tag)

    async def run(*_):
        return Unknown(Stage.WRITTEN)

    return Changed(session, prepare=prepare)


async def again_and_again(session, _actuation, action, seen, *check):
    return await (await session.prepare(action, b"")).run(seen, *check)


def at_once(session):
    class AtOnce(type(session)):
        async def prepare_auto_lock(self, wanted):
            await (await super().prepare_auto_lock(wanted)).run(lambda _: None)
            return await super().prepare_auto_lock(wanted)

    session.__class__ = AtOnce
    return session


def consuming(session):
    told = []

    async def log(after, count):
        found = [record for record in await session.log(after, count) if record.record_id not in told]
        told.extend(record.record_id for record in found)
        return found

    return Changed(session, log=log)


def claiming(session):
    async def find(tag):
        return await session.find(tag) or Changed(None, action=None)

    return Changed(session, find=find)


class Talkative:
    """Shows the key that a lock refuses."""

    async def open(self, link, key, options):
        raise DriverError(Fault.NOT_AUTHORIZED, f"The lock refused {key.key.get_secret_value()}.")


async def test_a_driver_that_shows_a_key_is_found_out():
    broken = Changed(NukiDriver(), open=Talkative().open)
    suite = suite_of(broken)
    with pytest.raises(AssertionError):
        await suite.test_a_wrong_key_is_refused_and_not_shown_and_moves_nothing(in_process, "to read")


def suite_of(of):
    return type("Suite", (DriverContract,), {"driver": of})()


C = DriverContract
BROKEN = {
    "acts twice": (
        driver(acting(twice)),
        C.test_an_action_moves_the_bolt_once_and_is_confirmed_by_the_locks_own_report,
        [Action.UNLOCK],
    ),
    "believes in acceptance": (
        driver(acting(believing)),
        C.test_a_trouble_at_the_lock_is_never_told_as_success,
        [Trouble.JAM],
    ),
    "believes in a lost link": (
        driver(acting(believing)),
        C.test_a_bad_link_never_moves_the_bolt_twice_nor_gives_a_wrong_outcome,
        [Trouble.DROP_BEFORE_WRITE, 0],
    ),
    "unlatches": (driver(acting(unlatching)), C.test_unlocking_does_not_unlatch, []),
    "tries again": (
        driver(acting(again_after_unknown)),
        C.test_a_trouble_at_the_lock_is_never_told_as_success,
        [Trouble.JAM],
    ),
    "fails where nothing is to be done": (
        driver(acting(failing_where_it_is)),
        C.test_asked_of_a_bolt_that_is_there_already_it_does_not_fail,
        [],
    ),
    "acts once": (driver(once), C.test_one_action_after_another_each_has_its_own_outcome, []),
    "acts each time that it is run": (
        driver(acting(again_and_again)),
        C.test_what_was_made_ready_once_moves_the_bolt_once,
        [],
    ),
    "does not look again": (driver(remembering), C.test_waiting_for_news_can_be_called_off, [1.0]),
    "changes the auto lock too early": (
        driver(at_once),
        C.test_when_it_locks_itself_is_set_where_the_driver_says_that_it_can_be,
        [],
    ),
    "consumes the log": (driver(consuming), C.test_a_log_that_would_be_consumed_is_left_alone, []),
    "remembers": (driver(remembering), C.test_every_read_is_fresh, []),
    "acts whatever its caller says": (
        driver(acting(heedless)),
        C.test_what_its_caller_checks_last_can_keep_it_from_being_sent,
        [],
    ),
    "acts too early": (driver(hasty), C.test_nothing_moves_before_the_action_is_run, [Action.UNLOCK]),
    "makes up a battery": (driver(inventive), C.test_it_tells_what_it_says_it_can_tell_and_nothing_else, []),
    "claims what others did": (driver(claiming), C.test_what_it_did_is_found_by_its_tag_and_what_others_did_is_not, []),
}


@pytest.mark.parametrize(("broken", "test", "arguments"), BROKEN.values(), ids=BROKEN)
async def test_a_driver_that_does_not_keep_it_is_found_out(broken, test, arguments):
    await test(suite_of(NukiDriver()), partial(bench, NukiDriver(), in_process), *arguments)
    with pytest.RaisesGroup(AssertionError, allow_unwrapped=True, flatten_subgroups=True):
        await test(suite_of(broken), partial(bench, broken, in_process), *arguments)


class Boastful(NukiDriver):
    """Says of its locks what it does not say of itself."""

    capabilities = replace(NukiDriver.capabilities, door=False)

    def __init__(self, *, paired: bool) -> None:
        self._paired = paired

    def capabilities_with(self, _options, credential):
        return replace(self.capabilities, door=(credential is not None) is self._paired)


@pytest.mark.parametrize("paired", [True, False])
def test_a_lock_that_claims_more_than_its_driver_is_found_out(paired):
    suite_of(NukiDriver()).test_no_lock_can_do_what_its_driver_cannot()
    with pytest.raises(AssertionError):
        suite_of(Boastful(paired=paired)).test_no_lock_can_do_what_its_driver_cannot()


async def test_a_driver_that_makes_up_a_key_is_found_out():
    async def pair(_link, _request):
        return NukiDriver().twin(ADDRESS, "Front door", VirtualSettings())[1]

    with pytest.RaisesGroup(pytest.fail.Exception, allow_unwrapped=True, flatten_subgroups=True):
        await suite_of(driver(pair=pair)).test_a_lock_that_is_not_ready_to_pair_gives_no_key(in_process)


class Gullible(SesameDriver):
    def key_from(self, parts):
        return self.twin(ADDRESS, "Front door", VirtualSettings())[1]


class Gossip(SesameDriver):
    def key_from(self, parts):
        raise PairingError(f"{parts} is no key.")


@pytest.mark.parametrize("broken", [Gullible(), Gossip()])
def test_a_driver_that_takes_any_key_or_shows_it_is_found_out(broken):
    suite_of(SesameDriver()).test_a_key_that_is_brought_has_its_form_or_is_refused_without_being_shown()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        suite_of(broken).test_a_key_that_is_brought_has_its_form_or_is_refused_without_being_shown()


def test_a_driver_that_takes_every_device_for_its_own_is_found_out():
    broken = Changed(NukiDriver(), sight=lambda advertisement: Sighting("Nuki"))
    suite = suite_of(broken)
    assert suite.driver.sight(Advertisement("00:00:00:00:00:00"))
    with pytest.raises(AssertionError):
        suite.test_it_knows_its_own_lock_on_the_air_and_no_other()
