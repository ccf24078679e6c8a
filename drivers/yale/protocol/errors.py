"""What the protocol's pure part raises, and what the lock's result codes mean."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Fault
from drivers.yale.protocol.codes import Result


class ProtocolError(Exception):
    """Bytes from the lock cannot be understood. Carries none of them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A result code in the bridge's words."""

    fault: Fault
    message: str


_NOT_CALIBRATED = Refusal(Fault.REFUSED, "The lock is not calibrated. Calibrate it in the vendor's app.")
_STRANGER = Refusal(
    Fault.NOT_AUTHORIZED, "The lock does not take the bridge's key for that. Bring its present key and slot."
)

_REFUSALS: dict[int, Refusal] = {
    Result.NOT_PAIRED: _STRANGER,
    Result.WRONG_KEY: _STRANGER,
    Result.NOT_AUTHORIZED: _STRANGER,
    Result.TIMEOUT: Refusal(Fault.JAMMED, "The bolt is blocked: the motor ran out of time."),
    Result.BACKED_OFF: Refusal(Fault.JAMMED, "The bolt is blocked: the lock backed it off."),
    Result.POSITION: Refusal(Fault.MECHANISM, "The mechanism is out of position."),
    Result.MOTOR_POLARITY: Refusal(Fault.MECHANISM, "The motor does not turn as it should."),
    Result.CALIBRATION_TIMEOUT: _NOT_CALIBRATED,
    Result.BAD_EXTENTS: _NOT_CALIBRATED,
    Result.BAD_ANGLE: _NOT_CALIBRATED,
    Result.UNINITIALIZED: _NOT_CALIBRATED,
    Result.HANDLE_NOT_LIFTED: Refusal(Fault.REFUSED, "The door's handle has to be lifted first."),
    Result.LOW_BATTERY: Refusal(Fault.LOW_BATTERY, "The lock's batteries are too weak to turn the motor."),
    Result.TOO_HOT: Refusal(Fault.REFUSED, "The lock is too hot to turn its motor."),
    Result.NO_MAGNET: Refusal(Fault.MECHANISM, "The lock cannot read its position sensor."),
    Result.BAD_MAGNET: Refusal(Fault.MECHANISM, "The lock cannot read its position sensor."),
    Result.INVALID_OPERATION: Refusal(Fault.REFUSED, "The lock cannot do that."),
    Result.NACK: Refusal(Fault.REFUSED, "The lock refused the command."),
    Result.BUSY: Refusal(Fault.REFUSED, "The lock is busy."),
    Result.EXTERNAL_TIMEOUT: Refusal(Fault.UNCATEGORIZED, "A part of the lock did not answer it in time."),
}
BLOCKED = _REFUSALS[Result.TIMEOUT]


def refusal(code: int) -> Refusal:
    """Return what a result code other than success means."""
    return _REFUSALS.get(code, Refusal(Fault.UNCATEGORIZED, f"The lock reported error 0x{code:02X}."))


def obstructed(found: Refusal) -> Refusal:
    """Return the refusal as it reads while the door is reported open: a jam is an obstruction."""
    if found.fault is not Fault.JAMMED:
        return found
    return Refusal(Fault.OBSTRUCTED, "The bolt is obstructed: the motor was blocked while the door was open.")
