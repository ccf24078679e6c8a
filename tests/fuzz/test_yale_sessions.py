"""Whole Yale sessions over a hostile air: only outcomes and driver errors, one actuating write, no guessed success."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress

import anyio
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import (
    Action,
    Advertisement,
    AutoLock,
    Confirmed,
    DriverError,
    Failed,
    LockState,
    PairingError,
    Unknown,
)
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.yale import YaleOptions
from drivers.yale.advert import sight
from drivers.yale.credential import key_from
from drivers.yale.history import record
from drivers.yale.protocol.activity import Activity
from drivers.yale.protocol.codes import Bolt, Flag, Op, Result, Subject, Uuid, Variant
from drivers.yale.protocol.errors import ProtocolError
from drivers.yale.protocol.frames import Frame, SecureFrame
from drivers.yale.virtual.report import status
from tests.support.fuzzing import effort, virtually
from tests.support.yale_host import ADDRESS, DRIVER, TAG, living, operations, tap

LONGEST = 45.0
"""Seconds for which the bridge waits for an action's end."""
SHORT = 6
"""Characters that may be in a sentence by chance."""
TARGETS = {Action.LOCK: LockState.LOCKED, Action.UNLOCK: LockState.UNLOCKED, Action.UNLATCH: LockState.UNLATCHED}
PROOFS = {
    Action.LOCK: {Bolt.LOCKED, Bolt.SECURE_MODE},
    Action.UNLOCK: {Bolt.UNLOCKED},
    Action.UNLATCH: {Bolt.UNLATCHED, Bolt.UNLATCHING},
}
"""Of which one must have been reported."""

actions = st.sampled_from(list(Action))
pauses = st.floats(0, 12)
channels = st.sampled_from([Uuid.NOTIFY.value, Uuid.SECURE_NOTIFY.value])
strays = st.lists(st.tuples(pauses, channels, st.binary(max_size=24) | st.binary(min_size=18, max_size=18)), max_size=8)
troubles = st.lists(st.tuples(st.sampled_from(list(Trouble)), st.integers(0, 8)), max_size=4)


async def converse(link, credential, action):
    """Do all that a session can do; what is not a `DriverError` comes through. Return the action's outcome."""
    try:
        session = await DRIVER.open(link, credential, YaleOptions())
    except DriverError:
        return None
    outcome = None
    try:
        await session.read()
        actuation = await session.prepare(action, TAG)
    except DriverError:
        pass
    else:
        with anyio.move_on_after(LONGEST):
            outcome = await actuation.run(lambda _: None)
        assert outcome is None or isinstance(outcome, Confirmed | Failed | Unknown)
    for ask in (session.read, session.take, session.auto_lock, lambda: _set(session), session.read):
        try:
            await ask()
        except DriverError:
            continue
    await session.aclose()
    return outcome


async def _set(session):
    outcome = await (await session.prepare_auto_lock(AutoLock(enabled=True, delay=600))).run(lambda _: None)
    assert isinstance(outcome, Confirmed | Failed | Unknown)


@asynccontextmanager
async def hostile(action):
    async with living(locked=action is not Action.LOCK) as (twin, credential):
        asked = tap(twin)
        with TwinLink.connect(twin) as link:
            yield twin, credential, link, asked


@effort(150)
@given(actions, strays, troubles)
def test_whatever_is_heard_in_between_nothing_is_sent_twice_and_no_success_is_guessed(action, noise, armed):
    virtually(_through_noise, action, noise, armed)


async def _through_noise(action, noise, armed):
    async with hostile(action) as (twin, credential, link, asked):
        for trouble, after in armed:
            twin.lock.faults.arm(trouble, after=after)
        reached = []
        twin.lock.watch(lambda: reached.append(twin.lock.state))

        async def make_noise():
            for pause, channel, data in noise:
                await anyio.sleep(pause)
                link.deliver(channel, data)

        async with anyio.create_task_group() as group:
            group.start_soon(make_noise)
            outcome = await converse(link, credential, action)
            group.cancel_scope.cancel()
        assert len(operations(asked)) <= 1
        assert len(twin.lock.movements) <= 1
        if isinstance(outcome, Confirmed):
            assert TARGETS[action] in reached or twin.lock.state is TARGETS[action]


numbers = st.integers(0, 255)
reports = st.builds(
    lambda about, bolt, door: Frame.of(Flag.RESULT, Op.STATUS, {4: bytes([about]), 8: bytes([bolt, door])}),
    st.sampled_from(list(Subject)) | numbers,
    st.sampled_from(list(Bolt)) | numbers,
    numbers,
)
ends = st.builds(
    lambda op, code: Frame.of(Flag.RESULT, op, {15: bytes([code])}),
    st.sampled_from([Op.LOCK, Op.UNLOCK]),
    st.sampled_from(list(Result)) | numbers,
)
acknowledgements = st.builds(
    lambda op, variant: Frame.of(Flag.ACKNOWLEDGED, op, {4: bytes([variant])}),
    st.sampled_from([Op.LOCK, Op.UNLOCK]),
    st.sampled_from(list(Variant)),
)
anything = st.builds(Frame, st.sampled_from(list(Flag)), numbers, st.binary(min_size=12, max_size=12))
sayings = st.lists(st.one_of(reports, ends, acknowledgements, anything), max_size=5)


@effort(300)
@given(
    actions,
    st.lists(st.tuples(st.booleans(), sayings), max_size=12),
    st.lists(st.tuples(pauses, sayings), max_size=5),
    st.none() | st.floats(0, 30),
)
def test_whatever_a_lock_says_a_success_is_its_own_report(action, replies, unasked, hang_up):
    virtually(_listen, action, replies, unasked, hang_up)


class Liar:
    """Has a lock say as told, and what is true in between."""

    def __init__(self, twin, replies):
        self.asked = []
        self.after_write = []
        self._twin = twin
        self._replies = list(replies)
        self._answer, twin._answer = twin._answer, self.answer

    def say(self, frames):
        for frame in frames:
            self._said(frame)
            self._twin._say(frame)

    def answer(self, frame):
        self.asked.append(frame)
        genuine, frames = self._replies.pop(0) if self._replies else (True, [])
        self.say(frames)
        if genuine and frame.op not in (Op.LOCK, Op.UNLOCK):
            self._said(status(self._twin.lock, Subject.LOCK))
            self._answer(frame)

    def _said(self, frame):
        if operations(self.asked):
            self.after_write.append(frame)


async def _listen(action, replies, unasked, hang_up):
    async with hostile(action) as (twin, credential, link, _):
        liar = Liar(twin, replies)

        async def speak():
            for pause, frames in unasked:
                await anyio.sleep(pause)
                liar.say(frames)
            if hang_up is not None:
                await anyio.sleep(hang_up)
                link.drop()

        async with anyio.create_task_group() as group:
            group.start_soon(speak)
            outcome = await converse(link, credential, action)
            group.cancel_scope.cancel()
        assert len(operations(liar.asked)) <= 1
        if isinstance(outcome, Confirmed):
            assert {bolt for frame in liar.after_write for bolt in _told(frame)} & PROOFS[action]


def _told(frame):
    if frame.flag != Flag.RESULT or frame.op != Op.STATUS:
        return []
    return [frame.number(8)] if frame.about in (Subject.LOCK, Subject.BOTH) else []


@effort(500)
@given(st.binary(max_size=24) | st.binary(min_size=18, max_size=18))
def test_any_bytes_are_a_frame_or_none(data):
    for kind in (Frame, SecureFrame):
        with suppress(ProtocolError):
            assert kind.decode(data).encode()[:1] == data[:1]


@effort(500)
@given(st.binary(min_size=12, max_size=12))
def test_any_record_can_be_told(payload):
    found = record(Activity.decode(Frame(Flag.RESULT, Op.ACTIVITY, payload)))
    assert not found.ours
    assert found.succeeded is not False


@effort(500)
@given(
    st.dictionaries(st.sampled_from([465, 302, 76]), st.binary(max_size=24)),
    st.lists(st.sampled_from([Uuid.SERVICE.value, "0000180f-0000-1000-8000-00805f9b34fb"])),
)
def test_any_advertisement_is_a_sighting_or_none(data, services):
    sighting = sight(Advertisement(ADDRESS, manufacturer_data=data, service_uuids=tuple(services)))
    assert sighting is None or sighting.model


@effort(500)
@given(st.dictionaries(st.sampled_from(["key", "slot", "other"]), st.text(max_size=40)))
def test_what_the_owner_types_is_a_key_or_told_without_being_shown(parts):
    told = ""
    try:
        key_from(parts)
    except PairingError as error:
        told = str(error)
    assert not [value for value in parts.values() if len(value) > SHORT and value in told]
