"""What the air says of locks that nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import pytest
import trio.testing

from bridge.availability import AWAY, GRACE, LOOK, Availability
from bridge.bell import Bell
from bridge.ble.radio import Absence, Presence
from bridge.states import States
from drivers.base import LockState, Snapshot
from tests.support.clock import FakeClock

FRONT, BACK = "front_door", "back_door"


@dataclass
class Air:
    """As much of a radio as is asked."""

    usable: bool = True
    presences: dict[str, Presence] = field(default_factory=dict)

    def presence(self, address: str) -> Presence:
        return self.presences.get(address, Presence(1.0))


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
def states():
    states = States(FakeClock(), Bell())
    for lock_id in (FRONT, BACK):
        states.add(lock_id, lock_id, "scripted")
        states.saw(lock_id, Snapshot(LockState.LOCKED))
    return states


@pytest.fixture
async def air(states):
    air = Air()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Availability({FRONT: "front", BACK: "back"}, air, states).run)
        yield air
        tasks.cancel_scope.cancel()


def absences(states) -> tuple[Absence | None, Absence | None]:
    return states.absence(FRONT), states.absence(BACK)


async def test_an_adapter_that_is_down_for_a_moment_takes_no_lock_offline(air, states):
    for _ in range(5):
        air.usable = False
        await anyio.sleep(GRACE - 1)
        air.usable = True
        await anyio.sleep(LOOK + 1)
    assert absences(states) == (None, None)


async def test_an_adapter_that_stays_down_takes_every_lock_offline(air, states):
    air.usable = False
    await anyio.sleep(GRACE + 2 * LOOK)
    assert absences(states) == (Absence.ADAPTER_DOWN, Absence.ADAPTER_DOWN)


async def test_a_lock_that_is_silent_for_long_is_out_of_range_and_no_other(air, states):
    air.presences["front"] = Presence(1.0, silent=True)
    await anyio.sleep(AWAY - 1)
    assert absences(states) == (None, None)
    await anyio.sleep(2 * LOOK)
    assert absences(states) == (Absence.OUT_OF_RANGE, None)


async def test_silence_that_ends_counts_from_the_start_again(air, states):
    for _ in range(5):
        air.presences["front"] = Presence(1.0, silent=True)
        await anyio.sleep(AWAY - 1)
        air.presences["front"] = Presence(2.0)
        await anyio.sleep(LOOK + 1)
    assert absences(states) == (None, None)


async def test_once_the_adapter_is_back_its_absence_is_no_reason_any_more(air, states):
    air.usable = False
    await anyio.sleep(GRACE + 2 * LOOK)
    air.presences = {"front": Presence(1.0, silent=True), "back": Presence(None)}
    air.usable = True
    await anyio.sleep(2 * LOOK)
    assert absences(states) == (Absence.OUT_OF_RANGE, Absence.NEVER_SEEN)


@pytest.mark.parametrize("absence", [Absence.HELD_BY_ANOTHER, Absence.CREDENTIALS_REFUSED])
async def test_silence_does_not_refute_what_a_lock_was_found_to_be(air, states, absence):
    states.lost(FRONT, absence)
    air.presences["front"] = Presence(1.0, silent=True)
    await anyio.sleep(2 * AWAY)
    assert states.absence(FRONT) is absence
