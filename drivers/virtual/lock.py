"""A lock without hardware: the motor, the door, the battery and the log behind every vendor's wire skin.

Rules:
1. The motor turns in `run` alone, one travel at a time, and each start of it is one entry of `movements`.
2. A travel's end is in the log before the state shows it, and the state shows it before `finished` is called.
3. Every change is told to the watchers at once, in the order in which it happened.
4. An access code never leaves the table of codes: the log names its holder.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.lowlevel

from drivers.base import Action, DoorState, LockState
from drivers.virtual.faults import TRAVEL_TROUBLES, Faults, Trouble
from drivers.virtual.operation import (
    BY_HAND,
    BY_ITSELF,
    FOB,
    Completion,
    Movement,
    Operation,
    Operator,
    Origin,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.virtual.peripheral import VirtualSettings

LOG_LENGTH = 256
AUTO_LOCK_DELAY = 300
LOW_BATTERY = 20
"""Percent, from which on the battery is critical."""


@dataclass(frozen=True, slots=True)
class _Travel:
    action: Action
    by: Operator
    tag: bytes
    finished: Callable[[Completion], None]


_MOVING = {
    Action.LOCK: LockState.LOCKING,
    Action.UNLOCK: LockState.UNLOCKING,
    Action.UNLATCH: LockState.UNLATCHING,
}
_TARGET = {
    Action.LOCK: LockState.LOCKED,
    Action.UNLOCK: LockState.UNLOCKED,
    Action.UNLATCH: LockState.UNLATCHED,
}
_BY_HAND = {LockState.LOCKED: Action.LOCK, LockState.UNLOCKED: Action.UNLOCK}
_BROKEN_OFF = {
    Trouble.JAM: (LockState.JAMMED, Completion.BLOCKED),
    Trouble.OBSTRUCTION: (LockState.JAMMED, Completion.BLOCKED),
    Trouble.LOW_VOLTAGE: (None, Completion.LOW_VOLTAGE),
    Trouble.CLUTCH: (None, Completion.CLUTCH),
    Trouble.MOTOR_POWER: (None, Completion.MOTOR_POWER),
    Trouble.CANCELLED: (LockState.UNKNOWN, Completion.CANCELLED),
    Trouble.INCOMPLETE: (LockState.PARTIALLY_LOCKED, Completion.INCOMPLETE),
    Trouble.FALSE_SUCCESS: (None, Completion.SUCCESS),
}
"""Where a troubled travel leaves the bolt (None: where it was) and how the lock says it ended."""
_MOTOR_STANDS = (Trouble.MOTOR_POWER, Trouble.FALSE_SUCCESS)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _nothing(_completion: Completion) -> None:
    """Take the end of an operation that nobody waits for."""


class VirtualLock:
    """One door's lock. What people and mishaps do to it are its methods; skins let centrals operate it."""

    def __init__(self, settings: VirtualSettings, *, now: Callable[[], datetime] = _utc_now) -> None:
        """Begin at rest, as the settings say; `now` dates the log."""
        self.motor_time = settings.motor_time
        self.hold_time = settings.motor_time
        """Seconds that an unlatched door's latch is held back."""
        self.auto_lock: float | None = None
        """Seconds after which a lock left unlocked with its door shut locks itself; None for never."""
        self.auto_lock_delay = AUTO_LOCK_DELAY
        """Whole seconds to lock itself after, where that is switched on; kept while it is off."""
        self.now = now
        self.faults = Faults()
        self.state = LockState.LOCKED if settings.locked else LockState.UNLOCKED
        self._at_first = self.state
        self.origin = Origin.MANUAL
        """Who brought the present state about."""
        self.door = DoorState.CLOSED
        self.battery_level = 100
        self.reachable = True
        """Whether the lock advertises and answers."""
        self.held_by_phone = False
        """Whether a phone has taken the one connection that the lock allows."""
        self.movements: list[Movement] = []
        self.log: deque[Operation] = deque(maxlen=LOG_LENGTH)
        self._codes = dict(settings.pin_codes)
        self._watchers: list[Callable[[], None]] = []
        self._travel: _Travel | None = None
        self._hand: LockState | None = None
        self._before_jam = self.state
        self._ajar = False
        self._operations = 0
        self._stir = anyio.Event()

    @property
    def battery_critical(self) -> bool:
        """Whether the lock asks for new batteries."""
        return self.battery_level <= LOW_BATTERY

    @property
    def busy(self) -> bool:
        """Whether a travel is under way."""
        return self._travel is not None

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` on every change of what the lock would tell a central, and of its reach."""
        self._watchers.append(watcher)

    def operate(
        self,
        action: Action,
        by: Operator,
        *,
        tag: bytes = b"",
        finished: Callable[[Completion], None] = _nothing,
    ) -> Completion | None:
        """Begin an action; None once it is begun, else why the lock refuses it.

        Args:
            action: what the motor is to do; it turns even if the bolt is there already.
            by: who asks.
            tag: what to leave in the log.
            finished: called with the end of an action that was begun.
        """
        refusal = None
        if self.faults.strikes(Trouble.BUSY) or self.busy:
            refusal = Completion.BUSY
        elif self.state is LockState.UNCALIBRATED:
            refusal = Completion.NOT_CALIBRATED
        if refusal is not None:
            self._record(by, action, refusal, tag)
            return refusal
        self._travel = _Travel(action, by, tag, finished)
        self._stir.set()
        return None

    def turn(self, target: LockState) -> None:
        """Turn the knob by hand to locked or unlocked; against a moving motor, the hand wins."""
        action = _BY_HAND[target]
        if self.state.moving:
            self._hand = target
            self._stir.set()
        elif self.state is not target:
            self._record(BY_HAND, action, Completion.SUCCESS)
            self._show(target, Origin.MANUAL)

    def manual_lock(self) -> None:
        """Lock by hand."""
        self.turn(LockState.LOCKED)

    def manual_unlock(self) -> None:
        """Unlock by hand."""
        self.turn(LockState.UNLOCKED)

    def keypad(self, code: str) -> bool:
        """Enter a code at the keypad: a right one unlocks. Tell whether it was right."""
        holder = self._codes.get(code)
        if holder is None:
            self._record(Operator(Origin.KEYPAD), Action.UNLOCK, Completion.INVALID_CODE)
            self._tell()
            return False
        key = 1 + list(self._codes).index(code)
        self.operate(Action.UNLOCK, Operator(Origin.KEYPAD, key, holder))
        return True

    def keypad_lock(self) -> None:
        """Press the keypad's lock key, which needs no code."""
        self.operate(Action.LOCK, Operator(Origin.KEYPAD))

    def fob(self) -> None:
        """Press the fob's button: it locks an unlocked door and unlocks any other."""
        action = Action.LOCK if self.state is LockState.UNLOCKED else Action.UNLOCK
        self.operate(action, FOB)

    def jam(self) -> None:
        """Make the bolt stick on every travel until `clear`."""
        self.faults.arm(Trouble.JAM, times=None)

    def obstruct(self) -> None:
        """Let the door stand ajar, so that the bolt meets the frame on its way out until `clear`."""
        self.faults.arm(Trouble.OBSTRUCTION, times=None)
        self._stand_ajar()

    def clear(self) -> None:
        """Undo every trouble: a stuck bolt goes back to where it came from, an obstructed door shuts."""
        self.faults.clear()
        if self._ajar:
            self._ajar = False
            self.close_door()
        if self.state is LockState.JAMMED and not self.busy:
            self._show(self._before_jam, self.origin)

    def open_door(self) -> None:
        """Open the door leaf."""
        self._swing(DoorState.OPEN)

    def close_door(self) -> None:
        """Shut the door leaf."""
        self._swing(DoorState.CLOSED)

    def battery(self, level: int) -> None:
        """Set the battery's charge in percent.

        Raises:
            ValueError: no percentage.
        """
        if not 0 <= level <= 100:  # noqa: PLR2004 - percent
            raise ValueError("The battery level is a percentage from 0 to 100.")
        self.battery_level = level
        self._tell()

    def offline(self) -> None:
        """Take the lock out of range: a standing connection breaks."""
        self.reachable = False
        self._tell()

    def online(self) -> None:
        """Bring the lock back in range."""
        self.reachable = True
        self._tell()

    def configure_auto_lock(self, *, enabled: bool, delay: int) -> None:
        """Switch on or off that a lock left unlocked with its door shut locks itself; a delay counts from now."""
        self.auto_lock_delay = delay
        self.auto_lock = delay if enabled else None
        self._stir.set()

    def reset(self) -> None:
        """Bring everything back to how it was at the start, but for what the motor did and the log: they happened.

        The bolt is turned by hand, so that a bolt that changes place is in the log. Call it while the motor rests.
        """
        self.clear()
        self.configure_auto_lock(enabled=False, delay=AUTO_LOCK_DELAY)
        self.held_by_phone = False
        self.battery_level = 100
        self.close_door()
        if self.state is not self._at_first:
            self.turn(self._at_first)
        self.online()

    def drop_after_write(self) -> None:
        """Break the link right after the next action is written: the motor moves, nothing is heard of it."""
        self.faults.arm(Trouble.DROP_AFTER_WRITE)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Turn the motor when asked, let the latch go, lock automatically. Ends only by cancellation."""
        task_status.started()
        while True:
            if (travel := self._travel) is not None:
                await self._move(travel)
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Wait for something to do, or for what the lock does by itself in its present state."""
        self._stir = anyio.Event()
        with anyio.move_on_after(self._patience()) as patience:
            await self._stir.wait()
        if not patience.cancelled_caught or self.busy:
            return
        if self.state is LockState.UNLATCHED:
            self._show(LockState.UNLOCKED, self.origin)
        else:
            self.operate(Action.LOCK, BY_ITSELF)

    def _patience(self) -> float | None:
        if self.state is LockState.UNLATCHED:
            return self.hold_time
        if self.state is LockState.UNLOCKED and self.door is not DoorState.OPEN:
            return self.auto_lock
        return None

    async def _move(self, travel: _Travel) -> None:
        trouble = self.faults.first(
            trouble for trouble in TRAVEL_TROUBLES if trouble is not Trouble.OBSTRUCTION or travel.action is Action.LOCK
        )
        if trouble is Trouble.STALL:
            self._travel = None
            return
        start = self.state
        self._hand = None
        if trouble not in _MOTOR_STANDS:
            self.movements.append(Movement(travel.action, travel.by.origin, travel.tag, anyio.current_time()))
        self._show(_MOVING[travel.action], travel.by.origin)
        await self._turn_motor(self.motor_time / 2)
        await self._meet(trouble, travel)
        await self._turn_motor(self.motor_time / 2)
        self._end(travel, trouble, start)

    async def _turn_motor(self, seconds: float) -> None:
        """Let time pass, unless a hand interferes."""
        if not seconds or self._hand is not None:
            await anyio.lowlevel.checkpoint()
            return
        self._stir = anyio.Event()
        with anyio.move_on_after(seconds):
            while self._hand is None:
                await self._stir.wait()
                self._stir = anyio.Event()

    async def _meet(self, trouble: Trouble | None, travel: _Travel) -> None:
        """Let happen what happens half way."""
        if trouble is Trouble.KNOB:
            self._hand = LockState.UNLOCKED if travel.action is Action.LOCK else LockState.LOCKED
        elif trouble is Trouble.OBSTRUCTION:
            self._stand_ajar()
        elif trouble is Trouble.JAM_FREES_ITSELF:
            self._show(LockState.JAMMED, travel.by.origin)
            await anyio.lowlevel.checkpoint()
            self._show(_MOVING[travel.action], travel.by.origin)

    def _end(self, travel: _Travel, trouble: Trouble | None, start: LockState) -> None:
        end: LockState | None = _TARGET[travel.action]
        completion, origin = Completion.SUCCESS, travel.by.origin
        if trouble is not None and trouble in _BROKEN_OFF:
            end, completion = _BROKEN_OFF[trouble]
        if self._hand is not None:
            end, completion, origin = self._hand, Completion.CANCELLED, Origin.MANUAL
        self._travel = None
        if start is not LockState.JAMMED:
            self._before_jam = start
        self._record(travel.by, travel.action, completion, travel.tag)
        if origin is Origin.MANUAL and self._hand is not None:
            self._record(BY_HAND, _BY_HAND[self._hand], Completion.SUCCESS)
        self._show(end or start, origin)
        travel.finished(completion)

    def _stand_ajar(self) -> None:
        self._ajar = True
        self.open_door()

    def _swing(self, door: DoorState) -> None:
        if self.door is door:
            return
        self.door = door
        self._record(BY_HAND, None, Completion.SUCCESS, door=door)
        self._stir.set()
        self._tell()

    def _record(
        self,
        by: Operator,
        action: Action | None,
        completion: Completion,
        tag: bytes = b"",
        door: DoorState | None = None,
    ) -> None:
        self._operations += 1
        self.log.append(Operation(self._operations, self.now(), by, action, completion, tag, door))

    def _show(self, state: LockState, origin: Origin) -> None:
        self.state = state
        self.origin = origin
        self._stir.set()
        self._tell()

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()
