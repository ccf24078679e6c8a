"""The daemon dies at each named point of a command's way, and is started again.

P1: an acknowledged command is not lost. P2: it moves the bolt at most once. P3: not after its deadline. P5: it gets one
terminal outcome, told at least once by the same events. P6: what is not known is told as unknown. The witness of what
moved is the lock, which outlives the daemon.

The points, in the order in which a command passes them, and what is durable there:
`before_accept` ① `after_accept`, `before_puback`, `after_puback`, `before_commit` ② `after_commit`, `before_outcome` ③
`after_outcome`, `before_sent` ④ `after_sent`.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from drivers.switchbot import SwitchBotDriver
from drivers.virtual.faults import Trouble
from drivers.virtual.lock import VirtualLock
from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import NUKI, LockHost, hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream
from tests.support.oracle import is_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import Driver

HASTY = (
    sys.executable,
    "-c",
    "import bridge.readback; bridge.readback.STILL = 1.0; from bridge.cli import main; main()",
)
"""The daemon, which need not wait longer than these locks' bolts travel."""
LOCK = "front_door"
UNLOCK = {"action": "unlock", "custom_id": "c1"}
MARGIN = {"MessageExpiryInterval": 60}


@pytest.fixture
def anyio_backend():
    return "trio"


@dataclass(frozen=True)
class Scene:
    """A broker, a lock, someone who sends commands, and a daemon that will die."""

    host: LockHost
    upstream: Upstream
    daemon: Daemon

    async def dies(self, point: str, **properties: Any) -> None:
        """Start the daemon anew, send it the command, and wait for its death at the point."""
        await self.daemon.serve(LOCK_BRIDGE_CRASH_AT=point)
        await self.upstream.command(LOCK, UNLOCK, **properties)
        await self.died()

    async def died(self) -> None:
        assert await self.daemon.ended() == -signal.SIGKILL

    @property
    def lock(self) -> VirtualLock:
        return self.host.locks[LOCK]

    async def outcome(self) -> dict[str, Any]:
        """Wait for the command's one outcome, in both shapes, and return it."""
        await self.upstream.until(lambda: self.told("events/action_attempt.+"), patience=40)
        self.lock.clear()
        await self.fence()
        completed, attempts = self.told("events/lock.action_completed"), self.told("events/action_attempt.+")
        assert len(completed) == len(attempts) == 1
        (event,), (attempt,) = completed.values(), attempts.values()
        assert event["action_attempt_id"] == attempt["action_attempt_id"]
        assert attempt["status"] == {"success": "success", "failed": "error"}[event["status"]]
        assert event["was_confirmed_by_device"] is (event["status"] == "success")
        return event

    def told(self, kind: str) -> dict[str, Any]:
        """Return what tells the command's outcome, once for each event's id."""
        kinds = kind.replace(".+", "")
        heard = [each for each in self.upstream.on("events/#") if f"/{kinds}" in each.topic]
        return {each.body["event_id"]: each.body for each in heard if each.user.get("custom_id") == "c1"}

    async def fence(self) -> None:
        """Have a later command end, so that all that was told before it has come."""
        await self.upstream.command(LOCK, {"action": "lock", "custom_id": "fence"}, **MARGIN)
        await self.upstream.first("events/action_attempt.lock_door.succeeded/+")


@pytest.fixture
async def scene(tmp_path):
    async with (
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port) as upstream,
        staged(tmp_path, broker, upstream) as made,
    ):
        yield made


@pytest.fixture
async def logless(tmp_path):
    """A scene with a lock that has no log to look a command up in."""
    async with (
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port) as upstream,
        staged(tmp_path, broker, upstream, driver=SwitchBotDriver()) as made,
    ):
        yield made


@asynccontextmanager
async def staged(tmp_path, broker: Mosquitto, upstream: Upstream, version: str = "5", driver: Driver = NUKI):
    async with hosting(tmp_path, LOCK, driver=driver) as host, AsyncExitStack() as stack:
        config = configuration(broker.port, LOCK, air=host.air, driver=driver.name, mqtt=f'protocol = "{version}"')
        daemon = Daemon(tmp_path, config, upstream, HASTY)
        stack.push_async_exit(daemon)  # each test starts it
        yield Scene(host, upstream, daemon)


def moves(scene: Scene) -> int:
    """Return how often the motor started for the command."""
    return sum(movement.action == "unlock" for movement in scene.host.movements)


@pytest.mark.parametrize("point", ["before_accept", "after_accept", "before_puback", "after_puback", "before_commit"])
async def test_p1_p2_what_was_received_and_not_sent_is_done_once_after_a_restart(scene: Scene, point):
    await scene.dies(point, **MARGIN)
    assert moves(scene) == 0
    await scene.daemon.serve()

    event = await scene.outcome()
    assert event["changed"] is True
    assert moves(scene) == len(scene.host.movements_for(event["action_id"])) == 1
    replies = [each.body for each in scene.upstream.having(f"locks/{LOCK}/actions/reply", custom_id="c1")]
    assert {reply["action_id"] for reply in replies} == {event["action_id"]}
    expected = {"after_accept": [True], "before_puback": [None, True]}.get(point, [None])
    assert [reply.get("replayed") for reply in replies] == expected


async def test_p1_a_command_that_nobody_redelivers_is_done_after_a_restart(tmp_path):
    async with (
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port, version="3.1.1") as upstream,
        staged(tmp_path, broker, upstream, "3.1.1") as scene,
    ):
        await scene.daemon.serve(LOCK_BRIDGE_CRASH_AT="before_puback")
        await upstream.command(LOCK, UNLOCK)
        await scene.died()
        await scene.daemon.serve()
        reply = (await upstream.reply(LOCK, custom_id="c1")).body
        assert (await upstream.completed(reply["action_id"]))["changed"] is True
        assert moves(scene) == 1


async def test_p2_p6_what_was_committed_and_perhaps_sent_is_never_sent_again_and_told_as_unknown(scene: Scene):
    await scene.dies("after_commit", **MARGIN)
    await scene.daemon.serve()

    event = await scene.outcome()
    assert (event["status"], event["error_code"]) == ("failed", "OUTCOME_UNKNOWN")
    assert moves(scene) == 0


@pytest.mark.parametrize("point", ["before_outcome", "after_outcome", "before_sent", "after_sent"])
async def test_p2_p5_what_moved_is_told_as_done_and_not_done_again(scene: Scene, point):
    await scene.dies(point, **MARGIN)
    assert moves(scene) == 1
    await scene.daemon.serve()

    event = await scene.outcome()
    assert (event["status"], event["changed"]) == ("success", True)
    assert moves(scene) == len(scene.host.movements_for(event["action_id"])) == 1


@dataclass(frozen=True)
class Course:
    """What the unlocking meets, what is told of its end, how often the motor starts for it, and where it dies."""

    meets: Callable[[VirtualLock], None]
    told: dict[str, Any]
    starts: int
    points: tuple[str, ...] = ("before_outcome", "after_outcome")


COURSES = {
    "there already": Course(VirtualLock.manual_unlock, {"status": "success", "changed": False}, 0),
    "stuck": Course(
        VirtualLock.jam,
        {"status": "failed", "error_code": "LOCK_JAMMED"},
        1,
        ("before_commit", "before_outcome", "after_outcome"),
    ),
    "read back": Course(VirtualLock.drop_after_write, {"status": "success", "changed": True}, 1, ("before_outcome",)),
    "unknown": Course(
        lambda lock: lock.faults.arm(Trouble.DROP_BEFORE_WRITE),
        {"status": "failed", "error_code": "OUTCOME_UNKNOWN"},
        0,
    ),
}


@pytest.mark.parametrize(
    ("course", "point"),
    [(name, point) for name, course in COURSES.items() for point in course.points],
)
async def test_p2_p5_p6_however_it_ends_that_end_is_told_and_nothing_is_done_again(scene: Scene, course, point):
    expected = COURSES[course]
    expected.meets(scene.lock)
    await scene.dies(point, **MARGIN)
    assert moves(scene) == (0 if point == "before_commit" else expected.starts)
    await scene.daemon.serve()

    event = await scene.outcome()
    assert event.items() >= expected.told.items()
    assert moves(scene) == len(scene.host.movements_for(event["action_id"])) == expected.starts
    assert course == "stuck" or is_true(event, {event["action_id"]: expected.starts})


class TestALockWithoutALog:
    """Nothing but its own report of the end shows that it did what it was told."""

    @pytest.mark.parametrize(
        ("point", "told"),
        [
            ("before_commit", {"changed": True, "performed_via": "remote_api"}),
            ("before_outcome", {"performed_via": "unknown"}),
            ("after_outcome", {"changed": True, "performed_via": "remote_api"}),
        ],
    )
    async def test_p2_p5_p6_what_moved_is_told_as_done_and_as_ours_if_it_said_so(self, logless: Scene, point, told):
        await logless.dies(point, **MARGIN)
        await logless.daemon.serve()
        event = await logless.outcome()
        assert event.items() >= {"status": "success", **told}.items()
        assert ("changed" in event) is ("changed" in told)
        assert moves(logless) == 1
        assert is_true(event, {event["action_id"]: 1})

    async def test_p2_p6_what_was_perhaps_sent_is_unknown(self, logless: Scene):
        await logless.dies("after_commit", **MARGIN)
        await logless.daemon.serve()
        assert (await logless.outcome())["error_code"] == "OUTCOME_UNKNOWN"
        assert moves(logless) == 0

    async def test_p6_what_was_turned_by_hand_meanwhile_is_not_claimed_as_ours(self, logless: Scene):
        await logless.dies("after_commit", **MARGIN)
        logless.lock.manual_unlock()
        await logless.daemon.serve()
        event = await logless.outcome()
        assert event["status"] == "success"
        assert moves(logless) == 0
        assert is_true(event, {})


async def test_p5_an_event_that_is_told_again_and_again_keeps_its_identity(scene: Scene):
    await scene.dies("before_sent", **MARGIN)
    for _ in range(2):
        scene.daemon.launch(LOCK_BRIDGE_CRASH_AT="before_sent")
        await scene.died()
    await scene.daemon.serve()

    event = await scene.outcome()
    heard = scene.upstream.having("events/lock.action_completed/+", event_id=event["event_id"])
    assert len(heard) == 4
    assert {each.payload for each in heard} == {heard[0].payload}
    assert moves(scene) == 1


async def test_p2_a_daemon_that_dies_again_while_it_looks_what_happened_repeats_nothing(scene: Scene):
    await scene.dies("before_outcome", **MARGIN)
    scene.daemon.launch(LOCK_BRIDGE_CRASH_AT="after_outcome")
    await scene.died()
    await scene.daemon.serve()
    assert (await scene.outcome())["status"] == "success"
    assert moves(scene) == 1


async def test_p3_after_its_deadline_a_command_is_not_done(scene: Scene):
    await scene.dies("after_puback", MessageExpiryInterval=1)
    await anyio.sleep(1.1)  # time itself is waited for: the deadline counts since boot
    await scene.daemon.serve()
    event = await scene.outcome()
    assert (event["status"], event["error_code"]) == ("failed", "ACTION_TIMEOUT")
    assert moves(scene) == 0


async def test_p3_a_command_of_another_boot_is_not_done(scene: Scene):
    await scene.dies("after_puback", **MARGIN)
    with sqlite3.connect(scene.daemon.state_dir / "journal.db") as journal:
        journal.execute("UPDATE attempt SET boot_id = 'another boot'")
    journal.close()
    await scene.daemon.serve()
    event = await scene.outcome()
    assert (event["status"], event["error_code"]) == ("failed", "ACTION_TIMEOUT")
    assert moves(scene) == 0


async def test_p6_a_lock_that_was_turned_by_hand_meanwhile_is_not_claimed_as_ours(scene: Scene):
    await scene.dies("after_commit", **MARGIN)
    scene.host.locks[LOCK].manual_unlock()
    await scene.daemon.serve()
    event = await scene.outcome()
    assert event["status"] == "success"
    assert event["performed_via"] == "unknown"
    assert moves(scene) == 0
