"""Who looks after the radio, in virtual time, with remedies that only note what they were asked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
import trio.testing
from bleak.exc import BleakDBusError

from bridge.ble import caretaker as module
from bridge.ble.caretaker import Caretaker
from bridge.ble.health import DEAF_AFTER, GHOST_AFTER, STILL_DEAF_AFTER, STUCK_AFTER, Symptom
from bridge.ble.radio import Cause, RadioDown, Unreachable
from bridge.ble.recovery import LIMIT, PATIENCE, SETTLE, WILL, Step
from bridge.ble.vitals import Vitals
from bridge.interlock import Interlock
from bridge.service.progress import Progress
from tests.support.clock import RunningClock

ONE, TWO = "B8:27:EB:00:00:01", "B8:27:EB:00:00:02"
LOCK = "54:D2:72:00:00:01"
STRANGER = "66:66:66:66:66:66"
HOURS = 2 * 3600.0
LOOK = 5.0
"""Seconds between two looks, for hours to pass quickly."""


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture(autouse=True)
def _look_less_often(monkeypatch):
    monkeypatch.setattr(module, "LOOK", LOOK)


class FakeAdapter:
    """An adapter in a place where something advertises, unless it is made deaf."""

    linked = False

    def __init__(self, address: str, number: int = 0) -> None:
        self.address = address
        self.path: str | None = f"/org/bluez/hci{number}"
        self.vitals = Vitals(RunningClock())
        self.deaf = False
        self.sick = False  # whether a scan cannot be started

    def restart_scan(self) -> None:
        if not self.sick:
            self.vitals.up()

    def sever(self) -> None:
        pass

    async def run(self) -> None:
        self.vitals.up()
        while True:
            if not self.deaf and self.vitals.listening_since is not None:
                self.vitals.heard(STRANGER)
            await anyio.sleep(5)


class FakeStack:
    def __init__(self, *addresses: str) -> None:
        self.vitals = Vitals(RunningClock())
        self.patients = [FakeAdapter(address, number) for number, address in enumerate(addresses)]


@dataclass
class FakeRemedies:
    """Notes each step with its time; some of them help."""

    stack: FakeStack
    interlock: Interlock
    root: bool = True
    helping: frozenset[Step] = frozenset()
    failing: frozenset[Step] = frozenset()
    taken: list[tuple[Step, str | None, float]] = field(default_factory=list)
    alone: list[bool] = field(default_factory=list)

    async def take(self, step, ailment, patient, *, alone) -> None:
        assert self.interlock.treating
        assert not self.interlock.moving
        self.taken.append((step, patient and patient.address, anyio.current_time()))
        self.alone.append(alone)
        await anyio.sleep(0.1)
        if step in self.failing:
            raise RadioDown("It cannot be done.")
        if step in self.helping:
            for adapter in self.stack.patients:
                adapter.deaf = False
            self.stack.vitals.up()

    @property
    def steps(self) -> list[Step]:
        return [step for step, _, _ in self.taken]


@dataclass
class FakeTeller:
    """Upstream, which may not be told for a while."""

    told: list[tuple[str, str | None, object]] = field(default_factory=list)
    storage: bool = True

    async def remedy(self, remedy) -> None:
        self.told.append(("remedy", remedy.adapter, remedy))

    async def failed(self, adapter, failure) -> bool:
        if self.storage:
            self.told.append(("failed" if failure else "well", adapter, failure))
        return self.storage

    def of(self, *kinds: str) -> list[tuple[str, str | None]]:
        return [(kind, adapter) for kind, adapter, _ in self.told if kind in kinds]


class Scene:
    def __init__(self, *addresses: str) -> None:
        self.stack = FakeStack(*addresses)
        self.interlock = Interlock()
        self.remedies = FakeRemedies(self.stack, self.interlock)
        self.teller = FakeTeller()
        self.switches = (False, False)
        self.caretaker = Caretaker(
            self.stack,
            RunningClock(),
            self.interlock,
            remedies=self.remedies,
            teller=self.teller,
            blocked=self._blocked,
        )

    async def _blocked(self, name: str) -> tuple[bool, bool]:
        return self.switches if name == "hci0" else (False, False)

    @property
    def adapter(self) -> FakeAdapter:
        return self.stack.patients[0]


@asynccontextmanager
async def standing(*addresses: str, deaf: bool = False):
    scene = Scene(*addresses)
    for adapter in scene.stack.patients:
        adapter.deaf = deaf
    scene.stack.vitals.up()
    async with anyio.create_task_group() as tasks:
        for adapter in scene.stack.patients:
            tasks.start_soon(adapter.run)
        tasks.start_soon(scene.caretaker.run, Progress())
        await anyio.sleep(0.1)
        yield scene
        tasks.cancel_scope.cancel()


async def test_a_radio_that_works_is_left_alone_and_told_to_be_well_once():
    async with standing(ONE) as scene:
        await anyio.sleep(HOURS / 2)
        assert scene.remedies.taken == []
        assert scene.teller.of("well", "failed") == [("well", None), ("well", ONE)]


async def test_a_deaf_adapter_is_treated_until_something_helps():
    async with standing(ONE) as scene:
        await anyio.sleep(10)
        scene.remedies.helping = frozenset({Step.POWER_CYCLE})
        scene.adapter.deaf = True
        await anyio.sleep(2000)
        assert scene.remedies.steps == [Step.RESCAN, Step.POWER_CYCLE]
        first, second = (at for _, _, at in scene.remedies.taken)
        assert first == pytest.approx(10 + DEAF_AFTER, abs=2 * LOOK)
        assert second == pytest.approx(first + STILL_DEAF_AFTER, abs=2 * LOOK)
        assert scene.teller.of("failed") == []
        remedies = [remedy for kind, _, remedy in scene.teller.told if kind == "remedy"]
        assert [(each.step, each.worked, each.count) for each in remedies] == [
            (Step.RESCAN, True, 1),
            (Step.POWER_CYCLE, True, 1),
        ]
        assert scene.caretaker.counts[ONE] == {Step.RESCAN: 1, Step.POWER_CYCLE: 1}


async def test_a_quiet_place_is_told_and_treated_ever_more_rarely():
    async with standing(ONE, deaf=True) as scene:
        await anyio.sleep(2 * HOURS)
        assert scene.remedies.steps.count(Step.RESET) == len(scene.teller.of("failed")) == 5
        assert scene.remedies.steps[:6] == 2 * [Step.RESCAN, Step.POWER_CYCLE, Step.RESET]
        assert scene.teller.of("well") == [("well", None)]


async def test_a_failure_and_its_end_are_told():
    async with standing(ONE) as scene:
        await anyio.sleep(10)
        scene.adapter.deaf = True
        await anyio.sleep(4 * DEAF_AFTER + 100)
        assert scene.teller.of("failed", "well")[2:] == [("failed", ONE)]
        ((_, _, failure),) = [each for each in scene.teller.told if each[0] == "failed"]
        assert failure.ailment.symptom is Symptom.DEAF
        assert failure.counts == {Step.RESCAN: 1, Step.POWER_CYCLE: 1, Step.RESET: 1}
        scene.adapter.deaf = False
        await anyio.sleep(10)
        assert scene.teller.of("failed", "well")[3:] == [("well", ONE)]


async def test_what_cannot_be_recorded_is_told_later():
    async with standing(ONE) as scene:
        scene.teller.storage = False
        await anyio.sleep(10)
        scene.teller.storage = True
        await anyio.sleep(2 * LOOK)
        assert scene.teller.of("well") == [("well", None), ("well", ONE)]


async def test_bluetoothd_comes_first_and_all_is_reset():
    async with standing(ONE, TWO) as scene:
        for adapter in scene.stack.patients:
            adapter.deaf = True
        await anyio.sleep(LOOK)
        scene.remedies.helping = frozenset({Step.RESET})
        scene.stack.vitals.down(RadioDown("It hangs.", Cause.HUNG))
        for adapter in scene.stack.patients:
            adapter.vitals.down(RadioDown("It hangs.", Cause.HUNG))
            adapter.sick = True  # and has not noticed yet when bluetoothd answers again
        await anyio.sleep(PATIENCE[Symptom.HUNG] + 600)
        assert [(step, who) for step, who, _ in scene.remedies.taken] == [(Step.RESET, None)]
        assert scene.remedies.alone == [True]


async def test_what_nothing_helps_against_ends_the_bridge_once_it_was_told():
    with pytest.RaisesGroup(pytest.RaisesExc(RadioDown, match="It hangs. Nothing helped")):
        async with standing(ONE) as scene:
            scene.stack.vitals.down(RadioDown("It hangs.", Cause.HUNG))
            await anyio.sleep(HOURS)
    assert scene.remedies.steps.count(Step.RESET) == len(scene.teller.of("failed")) == 3


async def test_without_systemd_there_is_neither_root_nor_a_restart():
    async with standing(ONE) as scene:
        scene.remedies.root = False
        scene.stack.vitals.down(RadioDown("It hangs.", Cause.HUNG))
        await anyio.sleep(HOURS)
        assert scene.remedies.taken == []
        assert scene.teller.of("failed")


async def test_while_another_adapter_works_neither_the_bridge_ends_nor_is_all_reset():
    async with standing(ONE, TWO) as scene:
        scene.adapter.vitals.down(RadioDown("No scan.", Cause.SCAN))
        scene.adapter.sick = True
        await anyio.sleep(HOURS)
        assert {who for _, who, _ in scene.remedies.taken} == {ONE}
        assert Step.RESET in scene.remedies.steps
        assert not any(scene.remedies.alone)


async def test_nothing_is_done_while_a_bolt_may_be_moving():
    async with standing(ONE) as scene:
        scene.adapter.deaf = True
        with scene.interlock.move():
            await anyio.sleep(HOURS)
            assert scene.remedies.taken == []
        await anyio.sleep(3 * LOOK)
        assert scene.remedies.steps == [Step.RESCAN]


async def test_a_step_that_cannot_be_taken_is_followed_by_the_next():
    async with standing(ONE) as scene:
        scene.remedies.failing = frozenset({Step.POWER_ON})
        scene.adapter.sick = True
        scene.adapter.vitals.down(RadioDown("Off.", Cause.OFF))
        await anyio.sleep(PATIENCE[Symptom.OFF] + LIMIT[Step.POWER_ON] + 2 * LOOK)
        assert scene.remedies.steps == [Step.POWER_ON, Step.RESET]
        assert [remedy.worked for kind, _, remedy in scene.teller.told if kind == "remedy"] == [False, True]


async def test_an_adapter_powered_off_again_is_left_off():
    async with standing(ONE) as scene:
        for _ in range(2):
            scene.adapter.vitals.down(RadioDown("Off.", Cause.OFF))
            await anyio.sleep(WILL / 3)
        await anyio.sleep(HOURS)
        assert scene.remedies.steps == [Step.POWER_ON]
        assert ("failed", ONE) in scene.teller.of("failed")


@pytest.mark.parametrize(("switches", "steps"), [((True, False), {Step.RESET}), ((True, True), set())])
async def test_a_hard_switch_is_not_fought(switches, steps):
    async with standing(ONE) as scene:
        scene.switches = switches
        scene.adapter.sick = True
        scene.adapter.vitals.down(RadioDown("Off.", Cause.OFF))
        await anyio.sleep(HOURS / 2)
        assert set(scene.remedies.steps) == steps
        failures = [failure for kind, _, failure in scene.teller.told if kind == "failed"]
        assert "rfkill" in failures[0].ailment.message


async def test_an_adapter_that_is_not_shown_has_no_switch():
    async with standing(ONE) as scene:
        scene.switches = (True, True)
        scene.adapter.path = None
        scene.adapter.sick = True
        scene.adapter.vitals.down(RadioDown("There is none.", Cause.ABSENT))
        await anyio.sleep(PATIENCE[Symptom.ABSENT] + SETTLE[Step.RESET])
        assert scene.remedies.steps == [Step.RESET]


async def test_a_lock_that_is_stuck_is_forgotten_and_counted_afresh():
    async with standing(ONE) as scene:
        for _ in range(STUCK_AFTER):
            with pytest.raises(Unreachable), scene.adapter.vitals.connecting(LOCK):
                raise Unreachable("Busy.") from BleakDBusError("org.bluez.Error.InProgress", [])
        await anyio.sleep(60)
        assert scene.remedies.steps == [Step.FORGET]
        assert scene.teller.of("failed", "well") == [("well", None), ("well", ONE)]


def vanish(adapter: FakeAdapter) -> None:
    """Call a connection to a lock off that was there a moment ago."""
    adapter.vitals.heard(LOCK)
    with pytest.raises(KeyboardInterrupt), adapter.vitals.connecting(LOCK):
        raise KeyboardInterrupt


async def test_a_ghost_is_driven_out_once_by_a_power_cycle():
    async with standing(ONE) as scene:
        await anyio.sleep(LOOK)
        vanish(scene.adapter)
        await anyio.sleep(HOURS)
        ((step, who, at),) = scene.remedies.taken
        assert (step, who) == (Step.POWER_CYCLE, ONE)
        assert at == pytest.approx(LOOK + GHOST_AFTER, abs=2 * LOOK)


async def test_a_lock_that_another_adapter_hears_is_no_ghost():
    async with standing(ONE, TWO) as scene:
        await anyio.sleep(LOOK)
        vanish(scene.adapter)
        await anyio.sleep(LOOK)
        scene.stack.patients[1].vitals.heard(LOCK)
        await anyio.sleep(HOURS)
        assert scene.remedies.taken == []
