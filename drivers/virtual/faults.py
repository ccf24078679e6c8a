"""What can be made to go wrong with a virtual lock, on its next occasions or until cleared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Trouble(StrEnum):
    """One thing that goes wrong. Its comment names the occasion on which it strikes."""

    # Each time the lock is asked to move its bolt.
    BUSY = "busy"  # refused, nothing moves
    # Each travel of the bolt.
    JAM = "jam"  # the bolt sticks on its way, until cleared
    JAM_FREES_ITSELF = "jam_frees_itself"  # it sticks, is reported stuck, and then arrives after all
    OBSTRUCTION = "obstruction"  # a bolt on its way out meets something: the door is not shut
    LOW_VOLTAGE = "low_voltage"  # the motor gives up, the bolt is where it was
    CLUTCH = "clutch"  # the motor turns, the bolt does not
    MOTOR_POWER = "motor_power"  # the motor does not turn
    CANCELLED = "cancelled"  # the lock's button stops the motor: the bolt is somewhere
    INCOMPLETE = "incomplete"  # the bolt is not fully out or in
    KNOB = "knob"  # a hand turns the knob against the motor, and wins
    FALSE_SUCCESS = "false_success"  # reported complete, though nothing moved
    STALL = "stall"  # accepted, and nothing ever comes of it
    # Each write that asks for an action.
    DROP_BEFORE_WRITE = "drop_before_write"  # the link ends before the lock has it
    DROP_AFTER_WRITE = "drop_after_write"  # the link ends before the lock answers; the motor moves
    DROP_AFTER_ACCEPTED = "drop_after_accepted"  # the link ends after the lock accepted; the motor moves
    MUTE_AFTER_ACCEPTED = "mute_after_accepted"  # the link stays, the motor moves, nothing more is told
    # Each connection.
    REFUSE_CONNECTION = "refuse_connection"
    # Each indication that the lock sends.
    LOSE_INDICATION = "lose_indication"
    DUPLICATE_INDICATION = "duplicate_indication"
    DELAY_INDICATION = "delay_indication"  # it and all after it come later
    REORDER_INDICATION = "reorder_indication"  # it comes after the one that follows it
    # Each request that proves knowledge of something.
    NONCE_REFUSED = "nonce_refused"
    TIME_REFUSED = "time_refused"  # the user's hours of access are over
    PIN_LOCKED_OUT = "pin_locked_out"  # too many wrong PINs


TRAVEL_TROUBLES = (
    Trouble.JAM,
    Trouble.JAM_FREES_ITSELF,
    Trouble.OBSTRUCTION,
    Trouble.LOW_VOLTAGE,
    Trouble.CLUTCH,
    Trouble.MOTOR_POWER,
    Trouble.CANCELLED,
    Trouble.INCOMPLETE,
    Trouble.KNOB,
    Trouble.FALSE_SUCCESS,
    Trouble.STALL,
)
"""What a travel of the bolt can meet; of several, the first in this order."""


@dataclass(slots=True)
class _Armed:
    trouble: Trouble
    times: int | None
    after: int


class Faults:
    """The troubles that wait for their occasion."""

    def __init__(self) -> None:
        """Begin with none."""
        self._armed: list[_Armed] = []

    def arm(self, trouble: Trouble, *, times: int | None = 1, after: int = 0) -> None:
        """Let a trouble strike.

        Args:
            trouble: what goes wrong.
            times: on how many occasions; None until cleared.
            after: how many occasions pass unharmed first.
        """
        self._armed.append(_Armed(trouble, times, after))

    def strikes(self, trouble: Trouble) -> bool:
        """Tell whether the trouble strikes on this occasion, which is thereby used up."""
        return self.first((trouble,)) is not None

    def first(self, troubles: Iterable[Trouble]) -> Trouble | None:
        """Return the first of the troubles that strikes on this occasion."""
        if not self._armed:
            return None
        return next((trouble for trouble in troubles if self._take(trouble)), None)

    def clear(self, *troubles: Trouble) -> None:
        """Disarm these troubles, all without arguments."""
        self._armed = [armed for armed in self._armed if troubles and armed.trouble not in troubles]

    def _take(self, trouble: Trouble) -> bool:
        armed = next((armed for armed in self._armed if armed.trouble is trouble), None)
        if armed is None:
            return False
        if armed.after:
            armed.after -= 1
            return False
        if armed.times is not None:
            armed.times -= 1
            if not armed.times:
                self._armed.remove(armed)
        return True
