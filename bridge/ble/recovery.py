"""The ladder of remedies for a radio that fails: which step is next, and when. Pure.

Rules:
1. One step at a time, the mildest that may help first; within a round the steps only get stronger.
2. After a step there is time for it to work, and no step is repeated before its own limit is over, whatever happens.
3. A round that helped nothing is followed by another after a pause that doubles: a place where nothing ever advertises
   looks like a deaf adapter, and must not be restarted for ever.
4. No step while a bolt may be moving: between the commit point of an attempt and its outcome.
5. What a person did is not fought: a hard switch, another bridge, an adapter that is powered off again after the bridge
   powered it on.
6. Health resets the ladder only after it has lasted. What ails one lock is climbed apart from what ails the adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType

from bridge.ble.health import Ailment, Symptom


class Step(IntEnum):
    """A remedy; the greater, the stronger."""

    FORGET = 1
    """Disconnect a lock's device and have BlueZ forget it, unless it is bonded."""
    RESCAN = 2
    """Stop the scan and start it again."""
    POWER_ON = 3
    """Power on an adapter that is found powered off."""
    POWER_CYCLE = 4
    """Power the adapter off and on, which ends every connection the controller holds."""
    RESET = 5
    """Have root unblock the adapter, plug it in anew and restart bluetoothd."""
    REPORT = 6
    """Tell upstream that the radio failed."""
    LEAVE = 7
    """End the bridge for systemd to start it afresh."""


@dataclass(frozen=True, slots=True)
class Climb:
    """How far the ladder was climbed against one ailment."""

    round: int = 0
    height: int = 0
    """The strongest step of this round; 0 before the first."""
    at: float = 0.0
    """When its last step was taken."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was done so far for one adapter."""

    climbs: Mapping[str | None, Climb] = field(default_factory=lambda: MappingProxyType({}))
    """By the address of the lock that was ailing; None for the adapter as a whole."""
    last: Step | None = None
    taken_at: Mapping[Step, float] = field(default_factory=lambda: MappingProxyType({}))
    """When each step was last taken."""
    counts: Mapping[Step, int] = field(default_factory=lambda: MappingProxyType({}))
    """How often each step was taken."""
    unpowered: bool = False
    """Powering it on failed when it was last tried."""
    well_since: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do."""

    step: Step | None = None
    at: float | None = None
    """When to decide again, if the ailment lasts and there is no step now; None if there is nothing to do."""


CALM = 300.0
"""Seconds of health after which the next ailment begins at the foot of the ladder."""
ROUND_PAUSE, LONGEST_PAUSE = 600.0, 6 * 3600.0
"""Seconds until the ladder is climbed again, doubling from round to round."""
LAST_ROUND = 2
"""The round, counted from 0, in which the bridge ends if nothing else helped."""
BUSY_PATIENCE = 60.0
"""Seconds for which one lock's trouble waits for other links to end before the adapter is power cycled."""
WILL = 3600.0
"""Seconds: an adapter that is off again so soon after the bridge powered it on is off because somebody means it.

Once may be an accident (a controller that crashed, another program's remedy, a desktop's switch), and a bridge whose
radio stays off opens no door until somebody comes. Twice is a will.
"""

SETTLE: Mapping[Step, float] = MappingProxyType(
    {
        Step.FORGET: 1.0,
        Step.RESCAN: 15.0,
        Step.POWER_ON: 20.0,
        Step.POWER_CYCLE: 20.0,
        Step.RESET: 60.0,
        Step.REPORT: 60.0,
        Step.LEAVE: 60.0,
    }
)
"""Seconds that a step gets to work before any other is taken."""

LIMIT: Mapping[Step, float] = MappingProxyType(
    {
        Step.FORGET: 10.0,
        Step.RESCAN: 30.0,
        Step.POWER_ON: 60.0,
        Step.POWER_CYCLE: 300.0,
        Step.RESET: 600.0,
        Step.REPORT: 600.0,
        Step.LEAVE: 1800.0,
    }
)
"""Seconds between two steps of one kind."""

PATIENCE: Mapping[Symptom, float] = MappingProxyType(
    {
        Symptom.NO_BUS: 60.0,
        Symptom.FORBIDDEN: 30.0,
        Symptom.GONE: 15.0,  # an upgrade restarts it, and D-Bus starts it
        Symptom.HUNG: 20.0,
        Symptom.ABSENT: 60.0,
        Symptom.BLOCKED: 60.0,
        Symptom.SWITCHED_OFF: 30.0,
        Symptom.OFF: 60.0,  # other programs cure adapters by powering them off and on, too
        Symptom.UNPOWERED: 5.0,
        Symptom.TAKEN: 60.0,
        Symptom.NO_SCAN: 15.0,
        Symptom.DEAF: 0.0,
        Symptom.STUCK: 0.0,
        Symptom.GHOST: 0.0,
    }
)
"""Seconds for which a symptom may pass by itself."""

LADDERS: Mapping[Symptom, tuple[Step, ...]] = MappingProxyType(
    {
        Symptom.NO_BUS: (Step.REPORT, Step.LEAVE),
        Symptom.FORBIDDEN: (Step.REPORT,),
        Symptom.GONE: (Step.RESET, Step.REPORT, Step.LEAVE),
        Symptom.HUNG: (Step.RESET, Step.REPORT, Step.LEAVE),
        Symptom.ABSENT: (Step.RESET, Step.REPORT),
        Symptom.BLOCKED: (Step.RESET, Step.REPORT),
        Symptom.SWITCHED_OFF: (Step.REPORT,),
        Symptom.OFF: (Step.POWER_ON, Step.REPORT),
        Symptom.UNPOWERED: (Step.POWER_ON, Step.RESET, Step.REPORT, Step.LEAVE),
        Symptom.TAKEN: (Step.REPORT,),
        Symptom.NO_SCAN: (Step.RESCAN, Step.POWER_CYCLE, Step.RESET, Step.REPORT, Step.LEAVE),
        Symptom.DEAF: (Step.RESCAN, Step.POWER_CYCLE, Step.RESET, Step.REPORT),
        Symptom.STUCK: (Step.FORGET, Step.RESCAN, Step.POWER_CYCLE, Step.RESET),
        Symptom.GHOST: (Step.POWER_CYCLE,),
    }
)
"""What helps against what, the mildest first. A deaf adapter never ends the bridge: the place may be quiet.

What ails one lock is told by that lock's own outcomes.
"""

_WILLS: Mapping[Symptom, Step] = MappingProxyType({Symptom.OFF: Step.POWER_ON, Symptom.BLOCKED: Step.RESET})
"""The step that undoes what may be somebody's will."""

ALL = frozenset(Step)


def decide(
    ailment: Ailment, record: Record, *, held: bool, busy: bool, now: float, possible: AbstractSet[Step] = ALL
) -> Decision:
    """Return the next step against an ailment, or when to decide again.

    Args:
        ailment: what is wrong.
        record: what was done so far.
        held: whether an attempt is between its commit point and its outcome.
        busy: whether a link stands or a connection is being made on the adapter.
        now: boot time in seconds.
        possible: the steps that can be taken here.
    """
    climb = record.climbs.get(ailment.lock, Climb())
    ladder = [step for step in _ladder(ailment, record) if step in possible]
    steps = _reachable(ladder, climb.round)
    stronger = [step for step in steps if step > climb.height]
    if not stronger:
        steps = _reachable(ladder, climb.round + 1)
        if not steps:
            return Decision()
    step = (stronger or steps)[0]
    at = max(_earliest(step, record), ailment.since + PATIENCE[ailment.symptom])
    if not stronger:
        at = max(at, climb.at + _pause(climb))
    if step is Step.POWER_CYCLE and ailment.lock is not None and busy:
        at = max(at, ailment.since + BUSY_PATIENCE)
    if now < at:
        return Decision(at=at)
    return Decision(at=now) if held else Decision(step)


def took(record: Record, ailment: Ailment, step: Step, now: float, *, worked: bool = True) -> Record:
    """Return the record after a step; a step that is not stronger than the one before begins another round.

    Args:
        record: before it.
        ailment: what it was taken against.
        step: which one.
        now: boot time in seconds.
        worked: whether it could be taken.
    """
    before = record.climbs.get(ailment.lock, Climb())
    climb = Climb(before.round if step > before.height else before.round + 1, int(step), now)
    powering = step in (Step.POWER_ON, Step.POWER_CYCLE)
    return replace(
        record,
        climbs=MappingProxyType({**record.climbs, ailment.lock: climb}),
        last=step,
        taken_at=MappingProxyType({**record.taken_at, step: now}),
        counts=MappingProxyType({**record.counts, step: record.counts.get(step, 0) + 1}),
        unpowered=not worked if powering else record.unpowered,
    )


def observed(record: Record, *, well: bool, now: float) -> Record:
    """Return the record once it was seen whether the adapter is well.

    Health that lasts brings the adapter back to the foot of the ladder; a lock is brought back there by time.

    Args:
        record: before it.
        well: whether the adapter is proven to work and nothing ails it as a whole.
        now: boot time in seconds.
    """
    since = (now if record.well_since is None else record.well_since) if well else None
    calm = since is not None and now >= since + CALM
    climbs = {
        lock: climb
        for lock, climb in record.climbs.items()
        if not (calm if lock is None else now >= climb.at + 2 * _pause(climb))
    }
    return replace(record, climbs=MappingProxyType(climbs), unpowered=record.unpowered and not well, well_since=since)


def _ladder(ailment: Ailment, record: Record) -> tuple[Step, ...]:
    undoing = _WILLS.get(ailment.symptom)
    if undoing is not None:
        undone_at = record.taken_at.get(undoing)
        if undone_at is not None and undone_at < ailment.since < undone_at + WILL:
            return (Step.REPORT,)
    return LADDERS[ailment.symptom]


def _reachable(ladder: list[Step], round_: int) -> list[Step]:
    return [step for step in ladder if step is not Step.LEAVE or round_ >= LAST_ROUND]


def _earliest(step: Step, record: Record) -> float:
    """Return when the limits allow a step."""
    at = 0.0
    if record.last is not None:
        at = record.taken_at[record.last] + SETTLE[record.last]
    if step in record.taken_at:
        at = max(at, record.taken_at[step] + LIMIT[step])
    return at


def _pause(climb: Climb) -> float:
    return min(ROUND_PAUSE * 2.0 ** min(climb.round, 16), LONGEST_PAUSE)
