"""Whole sessions over a hostile air: only outcomes and driver errors, one actuating write, no guessed success."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.base import (
    Action,
    Advertisement,
    AutoLock,
    Confirmed,
    DriverError,
    Failed,
    LinkLost,
    LockState,
    Outcome,
    PairingError,
    PairingRequest,
    Unknown,
)
from drivers.sesame import SesameDriver, SesameOptions
from drivers.sesame.advert import sight
from drivers.sesame.credential import KEY, credential_of
from drivers.sesame.protocol.codes import COMPANY, NOTIFY, WRITE, Flag, Item
from drivers.sesame.protocol.crypto import Opener, Sealer, token
from drivers.sesame.protocol.mech import MechSetting, MechStatus
from drivers.sesame.protocol.messages import Publish, Response
from drivers.sesame.protocol.segments import MAX_MESSAGE, Joiner, split
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings
from tests.support.fuzzing import effort, virtually
from tests.support.scripted_link import ScriptedLink

ADDRESS = "54:D2:72:AA:BB:CC"
SECRET, RANDOM = bytes(range(16)), b"\x01\x02\x03\x04"
TAG = b"act_0123456789abcdef"
DRIVER = SesameDriver()
LONGEST = 45.0
"""Seconds for which the bridge waits for an action's end."""
TARGETS = {Action.LOCK: LockState.LOCKED, Action.UNLOCK: LockState.UNLOCKED}
RANGES = {Action.LOCK: Flag.IN_LOCK_RANGE, Action.UNLOCK: Flag.IN_UNLOCK_RANGE}

actions = st.sampled_from(list(TARGETS))
items = st.sampled_from(list(Item)) | st.integers(0, 255)
states = st.builds(
    MechStatus,
    st.integers(0, 0xFFFF),
    st.sampled_from([10, 266, -32768]) | st.integers(-32768, 32767),
    st.sampled_from([10, 266]) | st.integers(-32768, 32767),
    st.integers(0, 127).map(Flag),
)
settings = st.builds(MechSetting, st.just(10), st.just(266), st.integers(0, 0xFFFF))
messages = st.one_of(
    states.map(lambda status: Publish(Item.MECH_STATUS, status.encode())),
    settings.map(lambda setting: Publish(Item.MECH_SETTING, setting.encode())),
    st.builds(Response, items, st.integers(0, 10), st.binary(max_size=60)),
    st.builds(Publish, items, st.binary(max_size=60)),
)
in_clear = st.one_of(
    st.binary(max_size=20),
    messages.map(lambda message: split(message.encode(), sealed=False)[0]),
    st.binary(min_size=4, max_size=15).map(lambda sealed: b"\x05" + sealed),
)


@dataclass
class Said:
    """What came of a session."""

    outcome: Outcome | None = None
    at_confirmation: object = None


async def converse(link, action: Action, secret: bytes, look: Callable[[], object]) -> Said:
    """Do all that a session can do; what is not a `DriverError` comes through."""
    said = Said()
    try:
        session = await DRIVER.open(link, credential_of(secret), SesameOptions())
    except DriverError:
        return said
    try:
        await session.read()
        actuation = await session.prepare(action, TAG)
    except DriverError:
        pass
    else:
        with anyio.move_on_after(LONGEST):
            said.outcome = await actuation.run(lambda _: None)
        said.at_confirmation = look()
    for ask in (session.read, session.auto_lock, lambda: configure(session), lambda: session.find(TAG)):
        with suppress(DriverError):
            await ask()
    await session.aclose()
    assert said.outcome is None or isinstance(said.outcome, Confirmed | Failed | Unknown)
    return said


async def configure(session):
    outcome = await (await session.prepare_auto_lock(AutoLock(enabled=True, delay=30))).run(lambda _: None)
    assert isinstance(outcome, Confirmed | Failed | Unknown)


# ---- a genuine lock, and everything between it and the bridge


@dataclass
class Meddler:
    """Does to each notification of the lock what the plan says."""

    plan: list
    link: TwinLink
    held: list[bytes] = field(default_factory=list)

    def __call__(self, _characteristic: str, data: bytes) -> list[bytes]:
        held, self.held = self.held, []
        return [*self._changed(self.plan.pop(0) if self.plan else "pass", data), *held]

    def _changed(self, mishap, data: bytes) -> list[bytes]:
        match mishap:
            case "later":
                self.held = [data]
                return []
            case "hang up":
                self.link.drop()
                return []
            case "flip", bit:
                changed = bytearray(data)
                changed[bit // 8 % len(data)] ^= 1 << bit % 8
                return [bytes(changed)]
            case "before", noise:
                return [noise, data]
            case "after", noise:
                return [data, noise]
            case _:
                return {"lose": [], "double": [data, data]}.get(mishap, [data])


@dataclass(frozen=True)
class Plan:
    """What happens to one session."""

    action: Action = Action.UNLOCK
    locked: bool = True
    motor_time: float = 1.0
    troubles: tuple[Trouble, ...] = ()
    mishaps: list = field(default_factory=list)
    noise: list[tuple[float, bytes]] = field(default_factory=list)
    replayed: bool = False
    """Whether all that the lock said in an earlier session is said again once this one is open."""


mishaps = st.lists(
    st.one_of(
        st.sampled_from(["pass"] * 6 + ["lose", "double", "later", "hang up"]),
        st.tuples(st.just("flip"), st.integers(0, 160)),
        st.tuples(st.sampled_from(["before", "after"]), in_clear),
    ),
    max_size=20,
)
plans = st.builds(
    Plan,
    action=actions,
    locked=st.booleans(),
    motor_time=st.sampled_from([0.0, 0.5, 3.0, 12.0]),
    troubles=st.lists(st.sampled_from(list(Trouble)), max_size=2).map(tuple),
    mishaps=mishaps,
    noise=st.lists(st.tuples(st.floats(0, 8), in_clear), max_size=6),
    replayed=st.booleans(),
)


@effort(300)
@given(plans)
@example(Plan(replayed=True))
@example(Plan(troubles=(Trouble.FALSE_SUCCESS,)))
@example(Plan(troubles=(Trouble.MUTE_AFTER_ACCEPTED,)))
def test_nothing_on_the_air_makes_a_success_that_the_motor_does_not_know(plan):
    virtually(_meddle, plan)


async def _meddle(plan: Plan) -> None:
    twin, credential = DRIVER.twin(
        ADDRESS, "Front door", VirtualSettings(locked=plan.locked, motor_time=plan.motor_time)
    )
    asked: list[int] = []
    act = twin._act
    twin._act = lambda item, data: (asked.append(item), act(item, data))
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        earlier = await _recorded(twin, credential, plan) if plan.replayed else []
        for trouble in plan.troubles:
            twin.lock.faults.arm(trouble)
        before, asked[:] = len(twin.lock.movements), []
        try:
            with TwinLink.connect(twin) as link:
                link.on_notify = Meddler(list(plan.mishaps), link)
                group.start_soon(_make_noise, link, [(0.0, data) for data in earlier] + plan.noise)
                said = await converse(link, plan.action, credential.secret_bytes(), lambda: twin.lock.state)
        except LinkLost:
            said = Said()
        group.cancel_scope.cancel()
    assert len(asked) <= 1
    assert len(twin.lock.movements) - before <= 1
    if isinstance(said.outcome, Confirmed):
        assert said.outcome.snapshot.lock_state is said.at_confirmation is TARGETS[plan.action]


async def _recorded(twin, credential, plan: Plan) -> list[bytes]:
    """Return what the lock says while the same action succeeds, and put the bolt back."""
    heard: list[bytes] = []
    with TwinLink.connect(twin) as link:
        link.on_notify = lambda _characteristic, data: heard.append(data) or [data]
        session = await DRIVER.open(link, credential, SesameOptions())
        with anyio.move_on_after(LONGEST):
            await (await session.prepare(plan.action, b"earlier")).run(lambda _: None)
        await session.aclose()
    await anyio.sleep(60)
    twin.lock.turn(LockState.LOCKED if plan.locked else LockState.UNLOCKED)
    await anyio.sleep(60)
    return heard


async def _make_noise(link: TwinLink, noise: list[tuple[float, bytes]]) -> None:
    for pause, data in noise:
        await anyio.sleep(pause)
        link.deliver(NOTIFY, data)


# ---- a lock that knows the secret, and says anything


@dataclass
class Liar:
    """Greets and takes the login as it should, and answers each request as told, genuinely in between."""

    link: ScriptedLink
    answers: list[tuple[bool, list]]
    status: MechStatus
    actions: int = 0
    said: list = field(default_factory=list)
    """What it said once an action was asked of it."""
    sealer: Sealer | None = None
    joiner: Joiner = field(default_factory=Joiner)
    opener: Opener | None = None

    def greet(self) -> None:
        self.link.push(*split(Publish(Item.INITIAL, RANDOM).encode(), sealed=False))

    def __call__(self, data: bytes) -> None:
        joined = self.joiner.feed(data)
        if joined is None:
            return
        message, sealed = joined
        if not sealed:
            self._log_in()
            return
        request = self.opener.open(message)
        assert request is not None
        self.actions += request[0] in (Item.LOCK, Item.UNLOCK)
        genuine, told = self.answers.pop(0) if self.answers else (True, [])
        self.say([*told, Response(request[0], 0)] if genuine else told)

    def _log_in(self) -> None:
        key = token(SECRET, RANDOM)
        self.sealer, self.opener = Sealer(key, RANDOM), Opener(key, RANDOM)
        self.link.push(*split(Response(Item.LOGIN, 0, bytes(4)).encode(), sealed=False))
        told = [Publish(Item.MECH_SETTING, MechSetting(10, 266).encode())]
        self.say([*told, Publish(Item.MECH_STATUS, self.status.encode())])

    def say(self, told: list) -> None:
        if self.sealer is None:
            return
        for message in told:
            if self.actions:
                self.said.append(message)
            for segment in split(self.sealer.seal(message.encode()), sealed=True):
                self.link.indicate(segment)


@effort(300)
@given(
    actions,
    states,
    st.lists(st.tuples(st.sampled_from([True, True, False]), st.lists(messages, max_size=3)), max_size=8),
    st.lists(st.tuples(st.floats(0, 8), st.lists(messages, max_size=3)), max_size=6),
    st.none() | st.floats(0, 20),
)
def test_whatever_a_lock_says_a_success_is_its_own_report(action, status, answers, unasked, hang_up):
    link = ScriptedLink(WRITE, NOTIFY)
    link.on_write = liar = Liar(link, list(answers), status)
    link.on_subscribe = liar.greet
    virtually(_listen, action, liar, unasked, hang_up)


async def _listen(action, liar, unasked, hang_up) -> None:
    link = liar.link

    async def speak() -> None:
        for pause, told in unasked:
            await anyio.sleep(pause)
            if link.open:
                liar.say(told)

    async def leave() -> None:
        await anyio.sleep(hang_up)
        link.drop()

    async with anyio.create_task_group() as group:
        if hang_up is not None:
            group.start_soon(leave)
        group.start_soon(speak)
        said = await converse(link, action, SECRET, lambda: list(liar.said))
        group.cancel_scope.cancel()
    assert liar.actions <= 1
    if isinstance(said.outcome, Confirmed):
        published = [Publish(Item.MECH_STATUS, liar.status.encode()), *said.at_confirmation]
        assert any(_shows_the_end(message, action) for message in published)
        assert any(isinstance(message, Response) for message in said.at_confirmation)


def _shows_the_end(message, action: Action) -> bool:
    if not isinstance(message, Publish) or message.item != Item.MECH_STATUS or len(message.data) < 7:
        return False
    flags = MechStatus.decode(message.data).flags
    return RANGES[action] in flags and Flag.STOPPED in flags and Flag.CRITICAL not in flags


# ---- pieces


@effort(300)
@given(st.lists(st.binary(max_size=20), max_size=60))
def test_any_segments_become_messages_of_bounded_length(segments):
    joiner = Joiner()
    for segment in segments:
        joined = joiner.feed(segment)
        assert joined is None or len(joined[0]) <= MAX_MESSAGE


@effort(200)
@given(st.lists(in_clear, max_size=6), st.none() | st.binary(max_size=90))
def test_whatever_a_reset_lock_says_registering_ends_with_a_key_or_an_error(noise, answer):
    virtually(_register, noise, answer)


async def _register(noise, answer) -> None:
    link = ScriptedLink(WRITE, NOTIFY)

    def say(_data: bytes) -> None:
        for segment in noise:
            link.indicate(segment)
        if answer is not None:
            link.push(*split(Response(Item.REGISTRATION, 0, answer).encode(), sealed=False))

    link.on_write = say
    link.on_subscribe = lambda: link.push(*split(Publish(Item.INITIAL, RANDOM).encode(), sealed=False))
    with suppress(DriverError):
        key = await DRIVER.pair(link, PairingRequest("Bridge", 1))
        assert len(key.secret_bytes()) == 16
    assert not link.subscriptions


@effort(500)
@given(
    st.text(max_size=90)
    | st.builds("ssm://UI?t=sk&sk={}&l={}&n={}".format, st.text(max_size=60), st.integers(0, 3), st.text(max_size=5))
)
def test_any_text_is_a_key_or_is_refused_without_being_shown(text):
    refusal = ""
    try:
        key = DRIVER.key_from({KEY.name: text}).secret_bytes()
    except PairingError as error:
        key, refusal = bytes(16), str(error)
    assert len(key) == 16
    assert len(text) < 8 or text not in refusal


advertisements = st.builds(
    Advertisement,
    st.just(ADDRESS),
    manufacturer_data=st.dictionaries(
        st.sampled_from([COMPANY, 0]) | st.integers(0, 0xFFFF), st.binary(max_size=30), max_size=3
    ),
)


@effort(500)
@given(advertisements)
def test_any_advertisement_is_a_sighting_or_none(advertisement):
    sighting = sight(advertisement)
    assert sighting is None or sighting.model
