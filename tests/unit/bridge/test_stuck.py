"""Where a part of the bridge gets stuck for good, that part is named; where it is only slow or kept waiting, none is.

What hangs here heeds no cancellation, as a lost wake-up or a call into the kernel does not, until the test lets it go.
"""

from __future__ import annotations

import json

import anyio
import pytest
import trio.testing

from bridge.attempt import Step
from bridge.ble.caretaker import LOOK_TIME as CARE_TIME
from bridge.ble.caretaker import Caretaker
from bridge.ble.radio import Unreachable
from bridge.ble.vitals import Vitals
from bridge.errors import Code
from bridge.http.application import ANSWER_TIME, Application
from bridge.http.faces.gateway import LONGEST_WAIT
from bridge.http.guard import LocalGuard
from bridge.http.operation import Operation
from bridge.interlock import Interlock
from bridge.model import Ending
from bridge.mqtt import session as mqtt
from bridge.mqtt.broker import BrokerUnreachable, Settings
from bridge.mqtt.session import CONNECT_TIME, Session
from bridge.readback import BUDGET
from bridge.service.progress import Progress
from bridge.sessions import DROP_TIME
from bridge.watch.logbook import Logbook
from bridge.watch.watcher import LOOK_TIME
from bridge.watch.watcher import SLACK as LOOK_SLACK
from bridge.worker import ACTUATION_TIME, SLACK
from drivers.virtual.faults import Trouble
from tests.support.clock import RunningClock
from tests.support.house import FRONT, TTL, House

AWAY = Unreachable("It does not answer.")


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT) as house:
        yield house


@pytest.fixture
async def idle(house):
    """A bridge that has done something and has left the lock."""
    async with house.life() as life:
        await life.ended(await life.submit())
        await anyio.sleep(60.0)
        yield life


class Hang:
    """A call that hangs.

    Args:
        then: what comes of it once it is let go.
    """

    def __init__(self, then: object = None) -> None:
        self._then = then
        self._begun, self._gone = anyio.Event(), anyio.Event()

    async def __call__(self, *_arguments, **_more):
        self._begun.set()
        with anyio.CancelScope(shield=True):
            await self._gone.wait()
        if isinstance(self._then, Exception):
            raise self._then
        return self._then

    async def overdue(self, progress: Progress, within: float) -> list[str]:
        """Return what is overdue after it has hung for so many seconds, before which nothing is; then let it go."""
        await self._begun.wait()
        try:
            await anyio.sleep(within - 1.0)
            assert progress.overdue() == []
            await anyio.sleep(2.0)
            return progress.overdue()
        finally:
            self._gone.set()


async def test_a_link_that_does_not_end_is_named(house, idle, monkeypatch):
    hang = Hang()

    def arm(link):
        monkeypatch.setattr(link, "aclose", hang)
        house.radio.on_link = lambda _link: None

    house.radio.on_link = arm
    await idle.ended(await idle.submit("lock"))
    assert await hang.overdue(idle.bridge.progress, DROP_TIME) == [f"letting go of {FRONT}"]


async def test_an_approach_that_does_not_end_is_named(house, idle, monkeypatch):
    hang = Hang(AWAY)
    monkeypatch.setattr(house.radio, "connect", hang)
    receipt = await idle.submit("lock")
    assert await hang.overdue(idle.bridge.progress, TTL + SLACK) == [f"the approach at {FRONT}"]
    assert (await idle.ended(receipt)).code == "DEVICE_OFFLINE"


async def test_an_approach_that_began_while_its_command_was_recorded_is_named(house, idle, monkeypatch):
    hang = Hang(AWAY)
    monkeypatch.setattr(house.radio, "connect", hang)
    disk = house.disk_delay = 2.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(idle.submit, "lock")
        await hang._begun.wait()
        house.disk_delay = 0.0
        assert await hang.overdue(idle.bridge.progress, TTL - disk + SLACK) == [f"the approach at {FRONT}"]


async def test_an_action_that_does_not_end_is_named(house, idle, monkeypatch):
    hang = Hang(Ending(Step.LOSE, code=Code.OUTCOME_UNKNOWN, message="It is not known."))
    monkeypatch.setattr("bridge.worker.read_back", hang)
    house.lock.faults.arm(Trouble.DROP_BEFORE_WRITE)
    await idle.submit("lock")
    assert await hang.overdue(idle.bridge.progress, ACTUATION_TIME + BUDGET + SLACK) == [f"the action at {FRONT}"]


async def test_a_look_back_at_an_attempt_of_an_earlier_life_that_does_not_end_is_named(house, monkeypatch):
    hang = Hang(Ending(Step.LOSE, code=Code.OUTCOME_UNKNOWN, message="It is not known."))
    monkeypatch.setattr("bridge.worker.read_back", hang)
    async with house.last_moments("after_commit") as life:
        await life.submit()
    async with house.life() as life:
        assert await hang.overdue(life.bridge.progress, BUDGET + SLACK) == [f"the look back at {FRONT}"]


async def test_a_look_at_a_lock_that_does_not_end_is_named(house, monkeypatch):
    hang = Hang(AWAY)
    monkeypatch.setattr(house.radio, "connect", hang)
    async with house.life() as life:
        assert await hang.overdue(life.bridge.progress, LOOK_TIME + LOOK_SLACK) == [f"the look at {FRONT}"]


async def test_the_reading_of_a_log_that_does_not_end_is_named(house, monkeypatch):
    hang = Hang()
    monkeypatch.setattr(Logbook, "news", hang)
    async with house.life() as life:
        assert await hang.overdue(life.bridge.progress, LOOK_TIME + LOOK_SLACK) == [f"the look at {FRONT}"]


async def test_a_treatment_of_the_radio_that_does_not_end_is_named(monkeypatch):
    class Stack:
        vitals = Vitals(RunningClock())
        patients = ()

    hang, progress = Hang(), Progress()
    caretaker = Caretaker(Stack(), RunningClock(), Interlock(), remedies=None, teller=None)
    monkeypatch.setattr(caretaker, "_see", hang)
    async with anyio.create_task_group() as group:
        group.start_soon(caretaker.run, progress)
        assert await hang.overdue(progress, CARE_TIME) == ["the care of the radio"]
        group.cancel_scope.cancel()


async def test_a_connect_to_the_broker_that_does_not_end_is_named(monkeypatch):
    hang, progress = Hang(BrokerUnreachable("no answer")), Progress()
    monkeypatch.setattr(mqtt.Connection, "open", hang)
    session = Session(Settings(client_id="bridge", host="127.0.0.1", port=1), progress)
    async with anyio.create_task_group() as group:
        group.start_soon(session.run, None)
        assert await hang.overdue(progress, CONNECT_TIME) == ["connecting to the broker"]
        group.cancel_scope.cancel()


async def test_a_request_that_is_not_answered_is_named():
    hang, progress = Hang(OSError("let go")), Progress()
    application = Application([Operation("GET", "/health", hang, "", scope=None)], LocalGuard(), progress)
    scope = {"type": "http", "method": "GET", "path": "/health", "root_path": "", "query_string": b"", "headers": []}
    sent = []

    async def send(message):
        sent.append(message)

    async with anyio.create_task_group() as group:
        group.start_soon(application, {**scope, "scheme": "http"}, None, send)
        assert await hang.overdue(progress, ANSWER_TIME) == ["GET /health"]
    assert json.loads(sent[1]["body"])["error"]["type"] == "internal_error"


def test_no_request_may_wait_for_as_long_as_one_that_is_stuck():
    assert ANSWER_TIME > 2 * LONGEST_WAIT


async def never_overdue(progress: Progress, hours: float = 6.0) -> None:
    for _ in range(int(hours * 3600)):
        await anyio.sleep(1.0)
        assert progress.overdue() == []


async def test_a_lock_that_is_away_is_no_reason_to_restart(house):
    house.radio.stuck.update(house.twins)
    async with house.life() as life:
        for _ in range(4):
            await life.submit()
        await never_overdue(life.bridge.progress)


async def test_a_broker_that_is_away_is_no_reason_to_restart(house):
    async with house.life() as life:
        await life.submit()
        await never_overdue(life.bridge.progress)


async def test_a_lock_that_falls_silent_in_the_middle_is_no_reason_to_restart(house):
    async with house.life() as life:
        for _ in range(3):
            house.lock.faults.arm(Trouble.DROP_AFTER_WRITE)
            receipt = await life.submit()
            await never_overdue(life.bridge.progress, hours=0.1)
            await life.ended(receipt)


async def test_a_disk_that_is_slow_is_no_reason_to_restart(house):
    house.disk_delay = 5.0
    async with house.life() as life:
        life.connect()
        await life.submit()
        await never_overdue(life.bridge.progress, hours=0.5)
