from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import pytest
import trio.testing
from pydantic import SecretStr

from drivers.base import Action, Confirmed, DriverError, Failed, Fault, LinkLost, LockState, Method, Stage, Unknown
from drivers.nuki.credential import NukiCredential, NukiOptions
from drivers.nuki.patience import RESPONSE_TIMEOUT
from drivers.nuki.protocol import commands as c
from drivers.nuki.protocol.codes import AuthorizationType, Bolt, Command, ErrorCode, LogType, Trigger, Turn, Uuid
from drivers.nuki.protocol.errors import ProtocolError
from drivers.nuki.protocol.frames import plain, sealed, take_sealed
from drivers.nuki.session import open_session
from tests.support.scripted_link import ScriptedLink

KEY = bytes(range(32))
AUTH_ID = 77
TAG = b"0123456789abcdef0123"
ACCEPTED, COMPLETE = c.Status(1), c.Status(0)
START = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
CREDENTIAL = NukiCredential(app_id=9, auth_id=AUTH_ID, key=SecretStr(KEY.hex()), name="Bridge", pin=SecretStr("1234"))


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def states(bolt, *, at=0, battery=200):
    return c.KeyturnerStates(2, bolt, 0, START + timedelta(seconds=at), 0, battery, 0, 0, 0, 0, 0, 2)


@dataclass(frozen=True)
class Malformed:
    """A message of this command that is too short for it."""

    command: int

    def encode(self):
        return b"\x01"


def frame(message):
    return sealed(message, KEY, AUTH_ID)


class Lock:
    """The other end: answers a request as told, a challenge always with a new nonce."""

    def __init__(self, link):
        self.link = link
        self.requests = []
        self.nonces = 0
        self.answers = {}
        self._take = take_sealed(lambda _: KEY)
        link.on_write = self._on_write

    @property
    def actions(self):
        return [request for request in self.requests if isinstance(request, c.LockAction)]

    def says(self, *messages):
        self.link.push(*[message if isinstance(message, bytes) else frame(message) for message in messages])

    def _on_write(self, data):
        taken, _ = self._take(data)
        assert taken.auth_id == AUTH_ID
        request = c.decode(c.FROM_HOST, taken.command, taken.payload)
        self.requests.append(request)
        asked = request.wanted if isinstance(request, c.RequestData) else request.command
        answer = self.answers.get(asked)
        if answer is None and asked == Command.CHALLENGE:
            self.nonces += 1
            answer = [c.Challenge(bytes([self.nonces]) * 32)]
        if callable(answer):
            answer()
        elif answer is not None:
            self.says(*answer)


@asynccontextmanager
async def talking(credential=CREDENTIAL, options=None, **kwargs):
    link = ScriptedLink(Uuid.USDIO.value, **kwargs)
    session = await open_session(link, credential, options or NukiOptions())
    try:
        yield session, Lock(link)
    finally:
        await session.aclose()
        assert link.subscriptions == 0


async def act(session, action=Action.UNLOCK, seen=None):
    actuation = await session.prepare(action, TAG)
    return await actuation.run(lambda _: None if seen is None else seen.append(_))


async def test_a_device_without_the_characteristic_is_no_lock():
    with pytest.raises(DriverError, match="no Nuki lock"):
        await open_session(ScriptedLink(), CREDENTIAL, NukiOptions())


@pytest.mark.parametrize("fragment", [20, 244])
async def test_a_read_tells_what_the_lock_says(fragment):
    async with talking(fragment=fragment) as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED, battery=41 << 2 | 1)]
        read = await session.read()
    assert (read.lock_state, read.battery_level, read.battery_critical) == (LockState.LOCKED, 82, True)


async def test_what_came_before_a_request_is_not_its_reply():
    async with talking() as (session, lock):
        lock.says(states(Bolt.UNLOCKED))
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_a_report_in_between_is_not_taken_for_a_challenge():
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [states(Bolt.UNLOCKED), COMPLETE, c.Challenge(b"n" * 32)]
        lock.answers[Command.LOCK_ACTION] = [c.ErrorReport(0x45, Command.LOCK_ACTION)]
        await act(session)
        assert lock.actions[0].nonce == b"n" * 32


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(b"\xff" * 50, id="garbage"),
        pytest.param(sealed(states(Bolt.UNLOCKED), KEY, 78), id="foreign authorization"),
        pytest.param(sealed(states(Bolt.UNLOCKED), bytes(32), AUTH_ID), id="foreign key"),
        pytest.param(plain(states(Bolt.UNLOCKED)), id="in clear"),
        pytest.param(plain(c.ErrorReport(0x45, Command.REQUEST_DATA)), id="an error in clear"),
        pytest.param(frame(c.ErrorReport(0x45, Command.REQUEST_LOG)), id="an error of something else"),
        pytest.param(frame(c.RequestConfig(bytes(32))), id="an unused command"),
    ],
)
async def test_noise_does_not_break_an_exchange(noise):
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [noise, states(Bolt.LOCKED)]
        assert (await session.read()).lock_state is LockState.LOCKED


async def test_garbage_does_not_hang_an_exchange():
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [b"\xff" * 2000]
        began = anyio.current_time()
        with pytest.raises(LinkLost):
            await session.read()
        assert anyio.current_time() - began == pytest.approx(RESPONSE_TIMEOUT)


async def test_a_malformed_answer_is_told_as_such():
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [Malformed(Command.CHALLENGE)]
        with pytest.raises(ProtocolError):
            await session.prepare(Action.LOCK, TAG)


@pytest.mark.parametrize("named", [Command.REQUEST_DATA, Command.KEYTURNER_STATES])
async def test_an_error_that_names_the_request_is_its_reply(named):
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [c.ErrorReport(ErrorCode.DISABLED, named)]
        with pytest.raises(DriverError) as error:
            await session.read()
    assert (error.value.fault, error.value.vendor_code) == (Fault.NOT_AUTHORIZED, 0x25)


@pytest.mark.parametrize("code", [ErrorCode.NOT_AUTHORIZED, ErrorCode.INVALID_AUTH_ID])
async def test_a_lock_that_does_not_know_us_may_say_so_in_clear(code):
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [plain(c.ErrorReport(code, Command.REQUEST_DATA))]
        with pytest.raises(DriverError) as error:
            await session.prepare(Action.LOCK, TAG)
    assert error.value.fault is Fault.NOT_AUTHORIZED


@pytest.mark.parametrize("end", ["mute", "dropped", "dropped before", "hangs"])
async def test_a_lock_that_does_not_answer_is_lost(end):
    async with talking() as (session, lock):
        if end == "dropped":
            lock.answers[Command.KEYTURNER_STATES] = lock.link.drop
        elif end == "dropped before":
            lock.link.drop()
        lock.link.hangs = end == "hangs"
        with anyio.fail_after(RESPONSE_TIMEOUT + 1), pytest.raises(LinkLost):
            await session.read()


async def test_a_link_that_ends_while_waiting_is_lost():
    async with talking() as (session, lock), anyio.create_task_group() as group:

        async def drop():
            await anyio.sleep(1)
            lock.link.drop()

        group.start_soon(drop)
        began = anyio.current_time()
        with pytest.raises(LinkLost):
            await session.read()
        assert anyio.current_time() - began == pytest.approx(1)


@pytest.mark.parametrize(
    ("action", "turn", "moving", "end", "target"),
    [
        (Action.LOCK, Turn.LOCK, Bolt.LOCKING, Bolt.LOCKED, LockState.LOCKED),
        (Action.UNLOCK, Turn.UNLOCK, Bolt.UNLOCKING, Bolt.UNLOCKED, LockState.UNLOCKED),
        (Action.UNLATCH, Turn.UNLATCH, Bolt.UNLATCHING, Bolt.UNLATCHED, LockState.UNLATCHED),
    ],
)
async def test_an_action_is_written_once_and_confirmed(action, turn, moving, end, target):
    seen = []
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(moving), states(end), COMPLETE]
        outcome = await act(session, action, seen)
        assert lock.actions == [c.LockAction(turn, 9, b"\x01" * 32, 0, TAG)]
    assert isinstance(outcome, Confirmed)
    assert outcome.snapshot.lock_state is target
    assert [snapshot.lock_state.moving for snapshot in seen] == [True, False]


async def test_preparing_moves_nothing():
    async with talking() as (session, lock):
        for _ in range(3):
            await session.prepare(Action.UNLATCH, TAG)
        assert lock.actions == []
        assert lock.nonces == 3


async def test_an_actuation_runs_once():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [c.ErrorReport(0x45, Command.LOCK_ACTION)]
        actuation = await session.prepare(Action.LOCK, TAG)
        await actuation.run(lambda _: None)
        with pytest.raises(RuntimeError):
            await actuation.run(lambda _: None)
        assert len(lock.actions) == 1


@pytest.mark.parametrize(
    ("credential", "options"),
    [(CREDENTIAL, NukiOptions(log_tag=False)), (CREDENTIAL.model_copy(update={"pin": None}), NukiOptions())],
)
async def test_no_tag_is_left_where_it_is_not_wanted_or_could_not_be_found(credential, options):
    async with talking(credential, options) as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [c.ErrorReport(0x45, Command.LOCK_ACTION)]
        await act(session)
        assert lock.actions[0].suffix == b""
        assert not session.has_log
        assert await session.find(TAG) is None
        assert not any(isinstance(request, c.RequestLog) for request in lock.requests)


async def test_what_came_before_the_write_is_no_report_of_it():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = []
        actuation = await session.prepare(Action.UNLOCK, TAG)
        lock.says(ACCEPTED, states(Bolt.UNLOCKED), COMPLETE)
        assert await actuation.run(lambda _: None) == Unknown(
            Stage.WRITTEN, "The lock fell silent after the command was sent."
        )


async def test_a_late_report_is_not_passed_on():
    seen = []
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [
            ACCEPTED,
            states(Bolt.UNLOCKING, at=5),
            states(Bolt.LOCKED, at=1),
            states(Bolt.UNLOCKED, at=6),
            COMPLETE,
        ]
        assert isinstance(await act(session, seen=seen), Confirmed)
    assert [snapshot.lock_state for snapshot in seen] == [LockState.UNLOCKING, LockState.UNLOCKED]


async def test_doubled_and_foreign_frames_do_not_change_an_outcome():
    course = [frame(m) for m in (ACCEPTED, states(Bolt.UNLOCKING), states(Bolt.UNLOCKED, at=1), COMPLETE)]
    noise = [
        b"\xff" * 30,
        sealed(COMPLETE, KEY, 5),
        plain(c.ErrorReport(0x20, Command.LOCK_ACTION)),
        frame(Malformed(Command.CHALLENGE)),
    ]
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [part for each in course for part in (each, *noise, each)]
        assert isinstance(await act(session), Confirmed)
        assert len(lock.actions) == 1


async def test_an_error_of_the_lock_is_a_failure():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(Bolt.LOCKING), c.ErrorReport(0x42, Command.LOCK_ACTION)]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.MOTOR_BLOCKED)]
        outcome = await act(session, Action.LOCK)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.vendor_code) == (Fault.JAMMED, 0x42)
    assert outcome.snapshot.lock_state is LockState.JAMMED


async def test_a_lost_complete_is_made_up_for_by_a_read():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(Bolt.LOCKING)]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        assert isinstance(await act(session, Action.LOCK), Confirmed)
        assert len(lock.actions) == 1


REPORTS = [ACCEPTED, states(Bolt.LOCKING), states(Bolt.LOCKED)]


@pytest.mark.parametrize(
    ("heard", "stage"), [(0, Stage.WRITTEN), (1, Stage.ACCEPTED), (2, Stage.MOVING), (3, Stage.MOVING)]
)
@pytest.mark.parametrize("end", ["dropped", "mute"])
async def test_an_end_that_was_not_seen_is_unknown(heard, stage, end):
    async with talking() as (session, lock):

        def answer():
            lock.says(*REPORTS[:heard])
            if end == "dropped":
                lock.link.drop()

        lock.answers[Command.LOCK_ACTION] = answer
        outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Unknown)
        # A write that was not acknowledged leaves no more to be heard.
        assert outcome.stage is (Stage.WRITTEN if end == "dropped" else stage)
        assert len(lock.actions) == 1


@pytest.mark.parametrize(("heard", "stage"), [(1, Stage.ACCEPTED), (2, Stage.MOVING), (3, Stage.MOVING)])
async def test_a_link_that_ends_on_the_way_leaves_the_stage_that_was_reached(heard, stage):
    async with talking() as (session, lock), anyio.create_task_group() as group:

        async def drop_later():
            await anyio.sleep(1)
            lock.link.drop()

        lock.answers[Command.LOCK_ACTION] = REPORTS[:heard]
        group.start_soon(drop_later)
        outcome = await act(session, Action.LOCK)
        assert isinstance(outcome, Unknown)
        assert outcome.stage is stage


@pytest.mark.parametrize("failure", ["raises", "hangs"])
async def test_a_write_that_fails_may_have_arrived(failure):
    async with talking() as (session, lock):
        actuation = await session.prepare(Action.LOCK, TAG)
        lock.link.hangs = failure == "hangs"
        if failure == "raises":
            lock.link.drop()
        outcome = await actuation.run(lambda _: None)
    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.WRITTEN


async def test_a_report_that_cannot_be_understood_does_not_end_an_action():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [
            Malformed(Command.KEYTURNER_STATES),
            ACCEPTED,
            states(Bolt.LOCKING),
            states(Bolt.LOCKED),
            COMPLETE,
        ]
        assert isinstance(await act(session, Action.LOCK), Confirmed)


async def test_cancellation_passes_through_and_leaves_reading_alone():
    async with talking() as (session, lock):
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKING)]
        with anyio.move_on_after(1) as scope:
            await act(session, Action.LOCK)
        assert scope.cancelled_caught
        assert (await session.read()).lock_state is LockState.LOCKING
        with pytest.raises(LinkLost):
            await session.prepare(Action.LOCK, TAG)
        assert len(lock.actions) == 1


async def test_a_refused_request_leaves_the_session_whole():
    async with talking() as (session, lock):
        lock.answers[Command.CHALLENGE] = [c.ErrorReport(0x45, Command.REQUEST_DATA)]
        with pytest.raises(DriverError, match="busy"):
            await session.prepare(Action.LOCK, TAG)
        del lock.answers[Command.CHALLENGE]
        await session.prepare(Action.LOCK, TAG)


async def test_a_read_waits_for_an_action_under_way():
    order = []
    async with talking() as (session, lock), anyio.create_task_group() as group:
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED]
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        actuation = await session.prepare(Action.LOCK, TAG)

        async def read():
            await session.read()
            order.append("read")

        async def run():
            await actuation.run(lambda _: None)
            order.append("run")

        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(read)
    assert order == ["run", "read"]


async def test_closing_twice_and_after_the_link_is_quiet():
    async with talking() as (session, lock):
        lock.link.drop()
        await session.aclose()
        with pytest.raises(LinkLost):
            await session.read()


def entry(index, auth_id=0, trigger=Trigger.SYSTEM, name=b""):
    return c.LogEntry(index, START, auth_id, name, LogType.LOCK_ACTION, bytes([Turn.LOCK, trigger, 0, 0, 0]))


async def test_the_newest_of_the_log_comes_first():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [
            c.LogCount(enabled=True, count=2),
            entry(9, trigger=Trigger.MANUAL),
            states(Bolt.LOCKED),
            entry(8, AUTH_ID, name=b"Bridge" + TAG),
            COMPLETE,
        ]
        records = await session.log(None, 10)
        request = lock.requests[-1]
    assert [record.record_id for record in records] == [9, 8]
    assert [record.method for record in records] == [Method.MANUAL_TURN, Method.REMOTE_API]
    assert (records[1].tag, records[1].ours) == (TAG, True)
    assert (request.start, request.count, request.newest_first, request.pin.value) == (0, 10, True, 1234)


async def test_the_log_goes_on_after_a_record():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9), COMPLETE]
        await session.log(8, 10)
        assert (lock.requests[-1].start, lock.requests[-1].newest_first) == (8, False)


async def test_the_list_of_users_is_asked_for_once():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9, 5), COMPLETE]
        lock.answers[Command.REQUEST_AUTHORIZATIONS] = [
            c.AuthorizationCount(1),
            c.AuthorizationEntry(5, AuthorizationType.FOB, "Fob"),
            COMPLETE,
        ]
        for _ in range(2):
            (record,) = await session.log(None, 1)
            assert record.method is Method.BLUETOOTH_KEY
        assert sum(isinstance(request, c.RequestAuthorizations) for request in lock.requests) == 1


async def test_without_the_list_of_users_the_method_is_unknown():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9, 5), COMPLETE]
        lock.answers[Command.REQUEST_AUTHORIZATIONS] = [c.ErrorReport(0x20, Command.REQUEST_AUTHORIZATIONS)]
        (record,) = await session.log(None, 1)
        assert record.method is Method.UNKNOWN


async def test_a_link_that_ends_with_the_list_of_users_is_told():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9, 5), COMPLETE]
        with pytest.raises(LinkLost):
            await session.log(None, 1)


async def test_the_log_needs_the_pin():
    async with talking(CREDENTIAL.model_copy(update={"pin": None})) as (session, _):
        with pytest.raises(DriverError, match="PIN"):
            await session.log(None, 1)


async def test_a_log_that_breaks_off_is_told_and_spoils_no_action():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [entry(9)]
        with pytest.raises(LinkLost):
            await session.log(None, 1)
        with pytest.raises(LinkLost, match="broken off"):
            await session.prepare(Action.LOCK, TAG)


async def test_an_action_is_found_by_its_tag():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [
            entry(9, 5, name=TAG),
            entry(8, AUTH_ID, name=b"Bridge" + TAG),
            COMPLETE,
        ]
        record = await session.find(TAG)
        assert (record.record_id, record.succeeded, record.action) == (8, True, Action.LOCK)
        assert await session.find(b"another tag") is None
        assert session.has_log


async def test_a_log_that_is_switched_off_can_prove_nothing():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.LogCount(enabled=False, count=0), COMPLETE]
        assert session.has_log
        assert await session.find(TAG) is None
        assert not session.has_log


@pytest.mark.parametrize("code", [ErrorCode.BAD_PIN, ErrorCode.TOO_MANY_PIN_ATTEMPTS])
async def test_a_refused_pin_is_not_tried_again(code):
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.ErrorReport(code, Command.REQUEST_LOG)]
        assert await session.find(TAG) is None
        assert await session.find(TAG) is None
        assert not session.has_log
        assert sum(isinstance(request, c.RequestLog) for request in lock.requests) == 1


async def test_another_refusal_of_the_log_is_told():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.ErrorReport(0x45, Command.REQUEST_LOG)]
        with pytest.raises(DriverError, match="busy"):
            await session.find(TAG)


async def test_an_ultra_gets_a_wide_pin():
    async with talking(CREDENTIAL.model_copy(update={"ultra": True})) as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [COMPLETE]
        assert await session.log(None, 1) == []
        assert lock.requests[-1].pin.wide


async def test_no_secret_is_shown():
    async with talking() as (session, _):
        actuation = await session.prepare(Action.LOCK, TAG)
        for shown in (repr(session), repr(actuation)):
            assert KEY.hex() not in shown
            assert "1234" not in shown


async def test_what_was_said_before_the_last_read_proves_nothing_after_the_write():
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.UNLOCKED, at=60)]
        await session.read()
        lock.answers[Command.LOCK_ACTION] = [ACCEPTED, states(Bolt.LOCKING), states(Bolt.LOCKED, at=2), COMPLETE]
        assert isinstance(await act(session, Action.LOCK), Unknown)


async def test_a_log_that_is_switched_off_may_not_be_read():
    async with talking() as (session, lock):
        lock.answers[Command.REQUEST_LOG] = [c.LogCount(enabled=False, count=3), entry(9), COMPLETE]
        with pytest.raises(DriverError, match="Switch it on") as refusal:
            await session.log(None, 1)
        assert refusal.value.fault is Fault.NOT_AUTHORIZED


async def test_the_locks_own_time_is_that_of_its_last_report():
    async with talking() as (session, lock):
        assert session.lock_time is None
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED, at=5)]
        await session.read()
        assert session.lock_time == START + timedelta(seconds=5)


@pytest.fixture
async def read_once():
    """A session whose lock was read, and the lock."""
    async with talking() as (session, lock):
        lock.answers[Command.KEYTURNER_STATES] = [states(Bolt.LOCKED)]
        await session.read()
        yield session, lock


async def is_news(session):
    """Tell whether the lock has told of something since it was last read."""
    with anyio.move_on_after(1):
        await session.changed()
        return True
    return False


async def test_what_the_lock_tells_unasked_is_news_until_it_is_read(read_once):
    session, lock = read_once
    assert not await is_news(session)
    lock.says(states(Bolt.UNLOCKED))
    assert await is_news(session)
    assert await is_news(session)
    await session.read()
    assert not await is_news(session)


@pytest.mark.parametrize("said", [COMPLETE, plain(c.Status(0)), b"garbage"])
async def test_what_tells_nothing_of_the_lock_is_no_news(read_once, said):
    session, lock = read_once
    lock.says(said)
    assert not await is_news(session)


async def test_what_cannot_be_understood_may_be_news(read_once):
    session, lock = read_once
    lock.says(Malformed(Command.KEYTURNER_STATES))
    assert await is_news(session)


async def test_news_that_comes_while_the_log_is_read_is_not_lost(read_once):
    session, lock = read_once
    lock.answers[Command.REQUEST_LOG] = [entry(9), states(Bolt.UNLOCKED), COMPLETE]
    await session.log(None, 1)
    assert await is_news(session)


async def test_news_that_comes_before_a_nonce_is_not_lost(read_once):
    session, lock = read_once
    lock.answers[Command.CHALLENGE] = [states(Bolt.UNLOCKED), c.Challenge(bytes(32))]
    await session.prepare(Action.LOCK, TAG)
    assert await is_news(session)


async def test_news_that_is_passed_over_before_a_request_is_not_lost(read_once):
    session, lock = read_once
    lock.says(states(Bolt.UNLOCKED))
    await session.prepare(Action.LOCK, TAG)
    assert await is_news(session)


async def test_who_waits_for_news_learns_of_the_links_end(read_once):
    session, lock = read_once
    lock.link.drop()
    with pytest.raises(LinkLost):
        await session.changed()
