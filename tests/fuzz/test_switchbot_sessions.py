"""Whole sessions with a SwitchBot lock over a hostile air: only outcomes and driver errors, one write that can move the
bolt, no guessed success.

Who knows the key stream can forge anything in counter mode; here nobody knows it, and everything that was said may be
said again, late, changed or cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.base import Action, Advertisement, Confirmed, DriverError, Failed, LinkLost, LockState, Outcome, Unknown
from drivers.switchbot import SwitchBotOptions
from drivers.switchbot.advert import sight
from drivers.switchbot.protocol.adverts import COMPANY, SERVICE
from drivers.switchbot.protocol.commands import act, turn_of
from drivers.switchbot.protocol.crypto import Mode, cipher
from drivers.switchbot.protocol.errors import ProtocolError, Status
from drivers.switchbot.protocol.frames import Uuid, asked_iv, commanded, grant, granted, heard, said
from drivers.switchbot.protocol.models import Model
from drivers.switchbot.protocol.report import Bolt, Report
from drivers.switchbot.session import open_session
from drivers.switchbot.virtual import SwitchBotTwin
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings
from tests.support.fuzzing import effort, virtually
from tests.support.scripted_link import ScriptedLink
from tests.support.switchbot_bench import ADDRESS, TAG

LONGEST = 45.0
"""Seconds for which the bridge waits for an action's end."""
TARGETS = {Action.LOCK: LockState.LOCKED, Action.UNLOCK: LockState.UNLOCKED}
BOLTS = {Action.LOCK: Bolt.LOCKED, Action.UNLOCK: Bolt.LATCHED, Action.UNLATCH: Bolt.UNLOCKED}

actions = st.sampled_from(list(Action))
models = st.sampled_from(Model)
modes = st.sampled_from(Mode)


@dataclass
class Said:
    """What came of a session."""

    outcome: Outcome | None = None
    errors: list[DriverError] = field(default_factory=list)
    at_confirmation: object = None


async def converse(link, credential, action: Action, look) -> Said:
    """Do all that a session can do; what is not a `DriverError` comes through."""
    found = Said()
    try:
        session = await open_session(link, credential, SwitchBotOptions())
    except DriverError as error:
        found.errors.append(error)
        return found
    try:
        await session.read()
        actuation = await session.prepare(action, TAG)
    except DriverError as error:
        found.errors.append(error)
    else:
        with anyio.move_on_after(LONGEST):
            found.outcome = await actuation.run(lambda _: None)
        found.at_confirmation = look()
    for ask in (session.read, lambda: session.find(TAG), lambda: session.log(None, 20), session.changed):
        try:
            with anyio.move_on_after(60):
                await ask()
        except DriverError as error:
            found.errors.append(error)
    await session.aclose()
    assert found.outcome is None or isinstance(found.outcome, Confirmed | Failed | Unknown)
    return found


# ---- a genuine lock, and everything between it and the bridge

noise = st.one_of(
    st.binary(min_size=1, max_size=24),
    st.builds(
        lambda status, key_id, rest: bytes((status, key_id)) + rest,
        st.sampled_from(list(Status)),
        st.sampled_from([1, 2]),
        st.binary(max_size=18),
    ),
    st.builds(grant, modes, st.binary(min_size=12, max_size=16)),
)
mishaps = st.lists(
    st.one_of(
        st.sampled_from(["pass"] * 6 + ["lose", "double", "later", "again", "hang up"]),
        st.tuples(st.just("flip"), st.integers(0, 31)),
        st.tuples(st.just("cut"), st.integers(0, 19)),
        st.tuples(st.just("before"), noise),
        st.tuples(st.just("after"), noise),
    ),
    max_size=30,
)


@dataclass
class Meddler:
    """Does to each notification of the lock what the plan says; a flip spares what is enciphered (see above)."""

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
            case kind, more:
                return [data[:more]] if kind == "cut" else [more, data] if kind == "before" else [data, more]
            case _:
                again = [*self.heard[-6:-1], data]
                return {"lose": [], "double": [data, data], "again": again}.get(mishap, [data])
        return []


@dataclass(frozen=True)
class Plan:
    """What happens to one session."""

    action: Action = Action.UNLOCK
    model: Model = Model.LOCK
    mode: Mode = Mode.CTR
    locked: bool = True
    motor_time: float = 1.0
    troubles: tuple[Trouble, ...] = ()
    mishaps: list = field(default_factory=list)
    noise: list[tuple[float, bytes]] = field(default_factory=list)
    replayed: bool = False
    """Whether all that the lock said in an earlier session and in this one is said again once the action is written."""
    swallowed: bool = False
    """Whether the action never reaches the lock."""


plans = st.builds(
    Plan,
    action=actions,
    model=models,
    mode=modes,
    locked=st.booleans(),
    motor_time=st.sampled_from([0.0, 0.5, 3.0, 12.0]),
    troubles=st.lists(st.sampled_from(list(Trouble)), max_size=2).map(tuple),
    mishaps=mishaps,
    noise=st.lists(st.tuples(st.floats(0, 8), noise), max_size=6),
    replayed=st.booleans(),
    swallowed=st.booleans(),
)


@effort(300)
@given(plans)
@example(Plan(replayed=True, swallowed=True))
@example(Plan(mode=Mode.GCM, replayed=True, swallowed=True))
@example(Plan(action=Action.LOCK, locked=False, replayed=True, swallowed=True))
@example(Plan(troubles=(Trouble.FALSE_SUCCESS,)))
@example(Plan(troubles=(Trouble.STALL,), mishaps=["pass"] * 8 + ["again"] * 8))
def test_nothing_on_the_air_makes_a_success_that_the_lock_does_not_know(plan):
    virtually(_meddle, plan)


async def _meddle(plan: Plan) -> None:
    settings = VirtualSettings(locked=plan.locked, motor_time=plan.motor_time)
    twin = SwitchBotTwin(ADDRESS, "Front door", settings, model=plan.model, mode=plan.mode)
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        heard_before = await _recorded(twin, plan) if plan.replayed else []
        for trouble in plan.troubles:
            twin.lock.faults.arm(trouble)
        before = len(twin.lock.movements)
        writes = 0

        def write(characteristic: str, data: bytes) -> list[bytes]:
            nonlocal writes
            message = commanded(data, twin.key_id, twin._cipher) if twin._cipher and asked_iv(data) is None else None
            if message is None or turn_of(plan.model, message) is None:
                return [data]
            writes += 1
            for part in [*heard_before, *meddler.heard] if plan.replayed else []:
                link.deliver(Uuid.NOTIFY.value, part)
            return [] if plan.swallowed else [data]

        try:
            with TwinLink.connect(twin) as link:
                link.on_notify = meddler = Meddler(list(plan.mishaps), link)
                link.on_write = write
                group.start_soon(_make_noise, link, plan.noise)
                found = await converse(link, twin.credential(), plan.action, lambda: twin.lock.state)
                unlatched = any(movement.action is Action.UNLATCH for movement in twin.lock.movements[before:])
        except LinkLost:
            found, unlatched = Said(), False
        group.cancel_scope.cancel()
    assert writes <= 1
    assert len(twin.lock.movements) - before <= 1
    if isinstance(found.outcome, Confirmed):
        if plan.action is Action.UNLATCH:
            assert unlatched
            assert found.at_confirmation in (LockState.UNLATCHED, LockState.UNLOCKED)
        else:
            assert found.at_confirmation is TARGETS[plan.action]


async def _recorded(twin, plan: Plan) -> list[bytes]:
    """Return what the lock says while the same action succeeds, and put the bolt back."""
    kept: list[bytes] = []

    def record(_characteristic: str, data: bytes) -> list[bytes]:
        kept.append(data)
        return [data]

    with TwinLink.connect(twin) as link:
        link.on_notify = record
        session = await open_session(link, twin.credential(), SwitchBotOptions())
        actuation = await session.prepare(plan.action, TAG)
        with anyio.move_on_after(LONGEST):
            await actuation.run(lambda _: None)
        await session.aclose()
    await anyio.sleep(60)
    twin.lock.turn(LockState.LOCKED if plan.locked else LockState.UNLOCKED)
    return kept


async def _make_noise(link: TwinLink, noises: list[tuple[float, bytes]]) -> None:
    for pause, data in noises:
        await anyio.sleep(pause)
        link.deliver(Uuid.NOTIFY.value, data)


# ---- a lock that says anything

KEY_ID, KEY = 1, bytes(range(16))
statements = st.lists(
    st.tuples(
        st.sampled_from([Status.OK, Status.OK, Status.PUSH, Status.PUSH, *Status]),
        st.one_of(
            st.binary(max_size=16),
            st.builds(Report, st.integers(0, 7), st.booleans(), st.booleans()),
        ),
    ),
    max_size=4,
)


@dataclass
class Liar:
    """Answers each write as told, in the session's cipher, and genuinely in between."""

    link: ScriptedLink
    model: Model
    mode: Mode
    bolt: Bolt
    answers: list
    ivs: int = 0
    cipher = None
    acted: int = 0
    told_after: list[bytes] = field(default_factory=list)

    def __call__(self, data: bytes) -> None:
        if asked_iv(data) is not None:
            self.ivs += 1
            iv = self.ivs.to_bytes(16, "big")[-12:].ljust(16, b"\1")
            iv = iv if self.mode is Mode.CTR else iv[:12]
            self.cipher = cipher(self.mode, KEY, iv, checked=False)
            self.link.push(grant(self.mode, iv))
            return
        message = commanded(data, KEY_ID, self.cipher)
        assert message is not None
        turning = turn_of(self.model, message) is not None
        self.acted += turning
        genuine, parts = self.answers.pop(0) if self.answers else (True, [])
        self.say(parts)
        if genuine:
            report = Report(self.bolt).encode(self.model)
            self._tell(said(Status.OK, report, KEY_ID, self.cipher), report)
        self.cipher.advance()

    def say(self, parts: list) -> None:
        for status, what in parts:
            data = what.encode(self.model) if isinstance(what, Report) else what
            if self.cipher is not None:
                self._tell(said(status, data, KEY_ID, self.cipher), data)

    def _tell(self, frame: bytes, data: bytes) -> None:
        if self.acted:
            self.told_after.append(data)
        self.link.indicate(frame)


@effort(300)
@given(
    actions,
    models,
    modes,
    st.sampled_from([Bolt.LOCKED, Bolt.UNLOCKED, Bolt.UNLOCKING, Bolt.LOCKING_BLOCKED]),
    st.lists(st.tuples(st.sampled_from([True, True, False]), statements), max_size=8),
    st.lists(st.tuples(st.floats(0, 8), statements), max_size=6),
    st.none() | st.floats(0, 20),
)
def test_whatever_a_lock_says_a_success_is_its_own_report(  # noqa: PLR0917 - hypothesis gives them by place
    action, model, mode, bolt, replies, unasked, hang_up
):
    link = ScriptedLink(Uuid.WRITE.value, Uuid.NOTIFY.value, fragment=20)
    link.on_write = liar = Liar(link, model, mode, bolt, list(replies))
    virtually(_listen, action, liar, unasked, hang_up)


async def _listen(action, liar, unasked, hang_up) -> None:
    link = liar.link

    async def speak() -> None:
        for pause, parts in unasked:
            await anyio.sleep(pause)
            if link.open and link.subscriptions:
                liar.say(parts)

    async def leave() -> None:
        await anyio.sleep(hang_up)
        link.drop()

    twin = SwitchBotTwin(ADDRESS, "Front door", VirtualSettings(), model=liar.model)
    twin.key_id, twin.key = KEY_ID, KEY
    async with anyio.create_task_group() as group:
        if hang_up is not None:
            group.start_soon(leave)
        group.start_soon(speak)
        found = await converse(link, twin.credential(), action, lambda: None)
        group.cancel_scope.cancel()
    assert liar.acted <= 1
    if isinstance(found.outcome, Confirmed):
        assert any(_shows_the_end(liar.model, data, action) for data in liar.told_after)


def _shows_the_end(model: Model, data: bytes, action: Action) -> bool:
    try:
        told = Report.decode(model, data)
    except ProtocolError:
        return False
    return told.calibrated and told.bolt == BOLTS[action]


# ---- what comes from the air, taken apart


@effort(500)
@given(modes, st.binary(max_size=40))
def test_any_frame_is_something_or_nothing(mode, frame):
    session = cipher(mode, KEY, bytes(16 if mode is Mode.CTR else 12), checked=True)
    heard(frame, KEY_ID, session)
    commanded(frame, KEY_ID, session)
    asked_iv(frame)
    try:
        granted(frame)
    except ProtocolError:
        assert len(frame) != 20 or frame[0] not in (1, 6) or frame[2] > 1


@effort(300)
@given(models, st.binary(max_size=20))
def test_any_message_is_a_report_or_a_protocol_error(model, data):
    turn_of(model, data)
    try:
        Report.decode(model, data)
    except ProtocolError:
        assert len(data) < len(act(model, 0))


advertisements = st.builds(
    Advertisement,
    st.just(ADDRESS),
    st.none() | st.text(max_size=10),
    st.none() | st.integers(-200, 127),
    st.dictionaries(st.just(COMPANY) | st.integers(0, 0xFFFF), st.binary(max_size=30), max_size=3),
    st.dictionaries(
        st.just(SERVICE) | st.text(max_size=36),
        st.one_of(st.binary(max_size=30), st.sampled_from([b"o\x80\x64", b"-\x80\x64", b"\0\x80\x34\0\x10\xa5\xb8"])),
        max_size=3,
    ),
    st.just(()),
)


@effort(500)
@given(advertisements)
def test_any_advertisement_is_a_sighting_or_none(advertisement):
    sighting = sight(advertisement)
    assert sighting is None or sighting.model
