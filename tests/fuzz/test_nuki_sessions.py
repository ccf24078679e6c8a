"""Whole sessions over a hostile air: only outcomes and driver errors, one actuating write, no guessed success."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from drivers.base import Action, Advertisement, Confirmed, DriverError, Failed, LinkLost, LockState, Outcome, Unknown
from drivers.nuki import NukiDriver
from drivers.nuki.advert import sight
from drivers.nuki.credential import NukiCredential, NukiOptions
from drivers.nuki.protocol import commands as c
from drivers.nuki.protocol.codes import Bolt, Command, ErrorCode, Uuid
from drivers.nuki.protocol.frames import plain, sealed, take_sealed
from drivers.nuki.session import open_session
from drivers.nuki.snapshot import TURNS
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.virtual.operation import Completion
from drivers.virtual.peripheral import VirtualSettings
from tests.support.fuzzing import effort, virtually
from tests.support.nuki_host import ADDRESS
from tests.support.scripted_link import ScriptedLink

KEY = bytes(range(32))
FOREIGN = bytes(32)
AUTH_ID = 77
TAG = b"act_0123456789abcdef"
CREDENTIAL = NukiCredential(app_id=9, auth_id=AUTH_ID, key=SecretStr(KEY.hex()), name="Bridge", pin=SecretStr("1234"))
LONGEST = 45.0
"""Seconds for which the bridge waits for an action's end."""
START = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
TARGETS = {Action.LOCK: LockState.LOCKED, Action.UNLOCK: LockState.UNLOCKED, Action.UNLATCH: LockState.UNLATCHED}
BOLTS = {Action.LOCK: [Bolt.LOCKED], Action.UNLOCK: [Bolt.UNLOCKED, Bolt.UNLOCKED_LOCK_N_GO]}

actions = st.sampled_from(list(Action))


@dataclass(frozen=True)
class Raw:
    """Any payload of any command."""

    command: int
    payload: bytes

    def encode(self) -> bytes:
        return self.payload


@dataclass
class Said:
    """What came of a session."""

    outcome: Outcome | None = None
    errors: list[DriverError] = field(default_factory=list)
    at_confirmation: object = None


async def converse(link, credential: NukiCredential, action: Action, look: Callable[[], object]) -> Said:
    """Do all that a session can do; what is not a `DriverError` comes through."""
    said = Said()
    session = await open_session(link, credential, NukiOptions())
    try:
        await session.read()
        actuation = await session.prepare(action, TAG)
    except DriverError as error:
        said.errors.append(error)
    else:
        with anyio.move_on_after(LONGEST):
            said.outcome = await actuation.run(lambda _: None)
        said.at_confirmation = look()
    for ask in (session.read, lambda: session.find(TAG), lambda: session.log(None, 20), lambda: session.log(1, 20)):
        try:
            await ask()
        except DriverError as error:
            said.errors.append(error)
    await session.aclose()
    assert said.outcome is None or isinstance(said.outcome, Confirmed | Failed | Unknown)
    return said


def actuating(writes: Iterable[bytes], key: bytes) -> int:
    """Count the writes that can move the bolt."""
    take = take_sealed(lambda _auth_id: key)
    return sum(taken is not None and taken[0].command == Command.LOCK_ACTION for taken in map(take, writes))


# ---- messages

numbers = st.integers(0, 255)
states = st.builds(
    c.KeyturnerStates,
    numbers,
    st.sampled_from(list(Bolt)) | numbers,
    numbers,
    st.none() | st.integers(-5, 60).map(lambda late: START + timedelta(seconds=late)),
    st.just(0),
    numbers,
    numbers,
    numbers,
    st.sampled_from([1, 2, 3]) | numbers,
    st.sampled_from([0, 1, 2]) | numbers,
    st.sampled_from([0, 1, 2, 9]) | numbers,
    st.sampled_from([0, 2, 3]),
)
commands = st.sampled_from(list(Command)) | st.integers(0, 0xFFFF)
messages = st.one_of(
    st.sampled_from([c.Status(0), c.Status(1)]),
    states,
    st.builds(c.Status, numbers),
    st.builds(c.ErrorReport, st.sampled_from(list(ErrorCode)) | numbers, commands),
    st.builds(c.Challenge, st.binary(min_size=32, max_size=32)),
    st.builds(c.LogCount, st.booleans(), st.integers(0, 0xFFFF)),
    st.builds(Raw, commands, st.binary(max_size=120)),
)
in_clear = st.one_of(
    st.binary(min_size=1, max_size=60),
    messages.map(plain),
    messages.map(lambda message: sealed(message, FOREIGN, AUTH_ID)),
    messages.map(lambda message: sealed(message, FOREIGN, AUTH_ID + 1)),
)


# ---- a genuine lock, and everything between it and the bridge

mishaps = st.lists(
    st.one_of(
        st.sampled_from(["pass"] * 6 + ["lose", "double", "later", "again", "hang up"]),
        st.tuples(st.just("flip"), st.integers(0, 400)),
        st.tuples(st.just("cut"), st.integers(0, 20)),
        st.tuples(st.just("before"), in_clear),
        st.tuples(st.just("after"), in_clear),
    ),
    max_size=40,
)


@dataclass
class Meddler:
    """Does to each indication of the lock what the plan says."""

    plan: list
    link: TwinLink
    heard: list[bytes] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)

    def __call__(self, _characteristic: str, data: bytes) -> list[bytes]:
        self.heard.append(data)
        held, self.held = self.held, []
        return [*self._changed(self.plan.pop(0) if self.plan else "pass", data), *held]

    def _changed(self, mishap, data: bytes) -> list[bytes]:
        match mishap:
            case "later":
                self.held = [data]
            case "hang up":
                self.link.drop()
            case "flip", bit:
                changed = bytearray(data)
                changed[bit // 8 % len(data)] ^= 1 << bit % 8
                return [bytes(changed)]
            case kind, noise:
                return [data[:noise]] if kind == "cut" else [noise, data] if kind == "before" else [data, noise]
            case _:
                again = [*self.heard[-6:-1], data]
                return {"lose": [], "double": [data, data], "again": again}.get(mishap, [data])
        return []


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
    """Whether all that the lock said in an earlier session is said again once the action is written."""
    swallowed: bool = False
    """Whether the action never reaches the lock."""


plans = st.builds(
    Plan,
    action=actions,
    locked=st.booleans(),
    motor_time=st.sampled_from([0.0, 0.5, 3.0, 12.0]),
    troubles=st.lists(
        st.sampled_from([trouble for trouble in Trouble if trouble != "jam_frees_itself"]), max_size=2
    ).map(tuple),
    mishaps=mishaps,
    noise=st.lists(st.tuples(st.floats(0, 8), in_clear), max_size=6),
    replayed=st.booleans(),
    swallowed=st.booleans(),
)


@effort(300)
@given(plans)
@example(Plan(replayed=True, swallowed=True))
@example(Plan(action=Action.LOCK, locked=False, replayed=True, swallowed=True))
@example(Plan(troubles=(Trouble.FALSE_SUCCESS,)))
def test_nothing_on_the_air_makes_a_success_that_the_motor_does_not_know(plan):
    virtually(_meddle, plan)


async def _meddle(plan: Plan) -> None:
    driver = NukiDriver()
    twin, credential = driver.twin(
        ADDRESS, "Front door", VirtualSettings(locked=plan.locked, motor_time=plan.motor_time)
    )
    twin.lock.now = lambda: START + timedelta(seconds=anyio.current_time())
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        earlier = await _recorded(twin, credential, plan) if plan.replayed else []
        for trouble in plan.troubles:
            twin.lock.faults.arm(trouble)
        before = len(twin.lock.movements)
        try:
            with TwinLink.connect(twin) as link:
                link.on_notify = Meddler(list(plan.mishaps), link)
                writes: list[bytes] = []
                link.on_write = _writer(plan, credential, writes, link, earlier)
                group.start_soon(_make_noise, link, plan.noise)
                said = await converse(link, credential, plan.action, lambda: (twin.lock.state, list(twin.lock.log)))
        except LinkLost:
            said, writes = Said(), []
        group.cancel_scope.cancel()
    key = credential.key_bytes()
    assert actuating(writes, key) <= 1
    assert len(twin.lock.movements) - before <= 1
    if isinstance(said.outcome, Confirmed):
        state, log = said.at_confirmation
        ours = [operation for operation in log if operation.tag == TAG]
        there_before = TARGETS[plan.action] is (LockState.LOCKED if plan.locked else LockState.UNLOCKED)
        assert there_before or [operation.completion for operation in ours] == [Completion.SUCCESS]
        assert said.outcome.snapshot.lock_state in (TARGETS[plan.action], LockState.UNLOCKED)
        assert plan.action is Action.UNLATCH or state is TARGETS[plan.action]


async def _recorded(twin, credential, plan: Plan) -> list[bytes]:
    """Return what the lock says while the same action succeeds, and put the bolt back."""
    heard: list[bytes] = []

    def record(_characteristic: str, data: bytes) -> list[bytes]:
        heard.append(data)
        return [data]

    with TwinLink.connect(twin) as link:
        link.on_notify = record
        session = await open_session(link, credential, NukiOptions())
        actuation = await session.prepare(plan.action, b"earlier")
        with anyio.move_on_after(LONGEST):
            await actuation.run(lambda _: None)
        await session.aclose()
    await anyio.sleep(60)
    twin.lock.turn(LockState.LOCKED if plan.locked else LockState.UNLOCKED)
    await anyio.sleep(60)
    return heard


def _writer(plan: Plan, credential: NukiCredential, writes: list[bytes], link: TwinLink, earlier: list[bytes]):
    def write(characteristic: str, data: bytes) -> list[bytes]:
        writes.append(data)
        if not actuating([data], credential.key_bytes()):
            return [data]
        for part in earlier:
            link.deliver(characteristic, part)
        return [] if plan.swallowed else [data]

    return write


async def _make_noise(link: TwinLink, noise: list[tuple[float, bytes]]) -> None:
    for pause, data in noise:
        await anyio.sleep(pause)
        link.deliver(Uuid.USDIO.value, data)


# ---- a lock that says anything

answers = st.lists(st.one_of(messages.map(lambda message: sealed(message, KEY, AUTH_ID)), in_clear), max_size=4)


@dataclass
class Liar:
    """Answers each write as told, and genuinely in between."""

    link: ScriptedLink
    answers: list[tuple[bool, list[bytes]]]
    bolt: Bolt
    after_write: list[bytes] = field(default_factory=list)

    def __call__(self, data: bytes) -> None:
        taken = take_sealed(lambda _: KEY)(data)
        assert taken is not None
        request = c.decode(c.FROM_HOST, taken[0].command, taken[0].payload)
        genuine, parts = self.answers.pop(0) if self.answers else (True, [])
        if genuine and isinstance(request, c.RequestData):
            parts = [*parts, sealed(self._reply(request), KEY, AUTH_ID)]
        self.say(parts, acted=isinstance(request, c.LockAction))

    def say(self, parts: list[bytes], *, acted: bool = False) -> None:
        if acted or actuating(self.link.writes[:-1], KEY):
            self.after_write += parts
        self.link.push(*parts)

    def _reply(self, request: c.RequestData):
        if request.wanted == Command.CHALLENGE:
            return c.Challenge(bytes(32))
        return c.KeyturnerStates(2, self.bolt, 0, START, 0, 100, 0, 0, 0, 0, 0, 2)


@effort(300)
@given(
    actions,
    st.sampled_from([Bolt.LOCKED, Bolt.UNLOCKED, Bolt.UNLOCKING, Bolt.MOTOR_BLOCKED]),
    st.lists(st.tuples(st.sampled_from([True, True, False]), answers), max_size=8),
    st.lists(st.tuples(st.floats(0, 8), answers), max_size=6),
    st.none() | st.floats(0, 20),
    st.sampled_from([20, 244]),
)
def test_whatever_a_lock_says_a_success_is_its_own_report(  # noqa: PLR0917 - hypothesis gives them by place
    action, bolt, replies, unasked, hang_up, fragment
):
    link = ScriptedLink(Uuid.USDIO.value, fragment=fragment)
    link.on_write = liar = Liar(link, list(replies), bolt)
    virtually(_listen, action, liar, unasked, hang_up)


async def _listen(action, liar, unasked, hang_up) -> None:
    link = liar.link

    async def speak() -> None:
        for pause, parts in unasked:
            await anyio.sleep(pause)
            if link.open:
                liar.say(parts)

    async def leave() -> None:
        await anyio.sleep(hang_up)
        link.drop()

    async with anyio.create_task_group() as group:
        said_task = converse(link, CREDENTIAL, action, lambda: None)
        if hang_up is not None:
            group.start_soon(leave)
        group.start_soon(speak)
        said = await said_task
        group.cancel_scope.cancel()
    assert actuating(link.writes, KEY) <= 1
    if isinstance(said.outcome, Confirmed):
        assert any(_shows_the_end(part, action) for part in liar.after_write)


def _shows_the_end(part: bytes, action: Action) -> bool:
    taken = take_sealed(lambda _: KEY)(part)
    if taken is None or taken[0].command != Command.KEYTURNER_STATES:
        return False
    told = c.KeyturnerStates.decode(taken[0].payload)
    if action is Action.UNLATCH:
        return told.lock_state == Bolt.UNLATCHED or (
            told.lock_state in BOLTS[Action.UNLOCK] and told.last_action == TURNS[action]
        )
    return told.lock_state in BOLTS[action]


# ---- advertisements

advertisements = st.builds(
    Advertisement,
    st.just(ADDRESS),
    st.none() | st.text(max_size=10),
    st.none() | st.integers(-200, 127),
    st.dictionaries(st.sampled_from([76, 0]) | st.integers(0, 0xFFFF), st.binary(max_size=30), max_size=3),
    st.dictionaries(
        st.sampled_from([each.value for each in Uuid]) | st.text(max_size=36), st.binary(max_size=30), max_size=3
    ),
    st.lists(st.sampled_from([each.value for each in Uuid]) | st.text(max_size=36), max_size=3).map(tuple),
)


@effort(500)
@given(advertisements)
def test_any_advertisement_is_a_sighting_or_none(advertisement):
    sighting = sight(advertisement)
    assert sighting is None or sighting.model
