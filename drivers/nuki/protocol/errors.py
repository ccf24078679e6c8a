"""What went wrong, in the bridge's words: the protocol's error and completion codes as data (contract 6.4)."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import DriverError, Fault
from drivers.nuki.protocol.codes import Completion, ErrorCode


class ProtocolError(DriverError):
    """Bytes that are no valid message of the protocol."""

    def __init__(self, message: str) -> None:
        super().__init__(Fault.UNCATEGORIZED, message)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the lock did not do it, with a sentence fit for an event."""

    fault: Fault
    message: str


_JAM = Refusal(Fault.JAMMED, "The lock is jammed: its motor was blocked.")
_CLUTCH = Refusal(Fault.MECHANISM, "The lock's clutch failed.")
_POWER = Refusal(Fault.MECHANISM, "The lock's motor has no power.")
_LOW = Refusal(Fault.LOW_BATTERY, "The lock's battery is too low to turn the motor. Replace or charge it.")
_BUSY = Refusal(Fault.REFUSED, "The lock is busy with another action.")
_RECENT = Refusal(Fault.REFUSED, "The lock refused: its last action was too recent.")
_CANCELLED = Refusal(Fault.REFUSED, "The action was cancelled at the lock.")
_FORMAT = Refusal(Fault.UNCATEGORIZED, "The lock did not understand the request.")
_UNTRUSTED = Refusal(Fault.NOT_AUTHORIZED, "The lock no longer accepts the bridge's key. Pair the lock again.")
_LOCKED_OUT = Refusal(Fault.NOT_AUTHORIZED, "The lock refuses codes for now after too many wrong ones.")

REFUSALS: dict[int, Refusal] = {
    ErrorCode.NOT_PAIRING: Refusal(Fault.NOT_AUTHORIZED, "The lock is not in pairing mode."),
    ErrorCode.BAD_AUTHENTICATOR: Refusal(Fault.NOT_AUTHORIZED, "The lock did not accept the bridge's proof."),
    ErrorCode.BAD_PAIRING_PARAMETER: Refusal(Fault.NOT_AUTHORIZED, "The lock did not accept the pairing."),
    ErrorCode.MAX_USERS: Refusal(Fault.NOT_AUTHORIZED, "The lock has no room for another user."),
    ErrorCode.NOT_AUTHORIZED: _UNTRUSTED,
    ErrorCode.BAD_PIN: Refusal(Fault.NOT_AUTHORIZED, "The lock did not accept the security PIN."),
    ErrorCode.BAD_NONCE: Refusal(Fault.NOT_AUTHORIZED, "The lock did not accept the request's nonce."),
    ErrorCode.BAD_PARAMETER: _FORMAT,
    ErrorCode.INVALID_AUTH_ID: _UNTRUSTED,
    ErrorCode.DISABLED: Refusal(Fault.NOT_AUTHORIZED, "The bridge's access is disabled in the Nuki app."),
    ErrorCode.REMOTE_NOT_ALLOWED: Refusal(
        Fault.NOT_AUTHORIZED, "The lock does not allow remote access. Allow it in the Nuki app."
    ),
    ErrorCode.TIME_NOT_ALLOWED: Refusal(
        Fault.NOT_AUTHORIZED, "The bridge's access is not allowed at this time of day."
    ),
    ErrorCode.TOO_MANY_PIN_ATTEMPTS: Refusal(
        Fault.NOT_AUTHORIZED, "The lock refuses the security PIN for now after too many wrong ones."
    ),
    ErrorCode.TOO_MANY_ENTRIES: Refusal(Fault.REFUSED, "The lock cannot store another entry."),
    ErrorCode.CODE_ALREADY_EXISTS: Refusal(Fault.REFUSED, "The lock has this keypad code already."),
    ErrorCode.CODE_INVALID: Refusal(Fault.NOT_AUTHORIZED, "The keypad code is not valid."),
    ErrorCode.CODE_LOCKOUT_1: _LOCKED_OUT,
    ErrorCode.CODE_LOCKOUT_2: _LOCKED_OUT,
    ErrorCode.CODE_LOCKOUT_3: _LOCKED_OUT,
    ErrorCode.TOO_RECENT: _RECENT,
    ErrorCode.POSITION_UNKNOWN: Refusal(
        Fault.REFUSED, "The lock does not know where its bolt is. Turn it once by hand or calibrate it."
    ),
    ErrorCode.MOTOR_BLOCKED: _JAM,
    ErrorCode.CLUTCH_FAILURE: _CLUTCH,
    ErrorCode.MOTOR_TIMEOUT: Refusal(Fault.JAMMED, "The lock is jammed: its motor did not reach the end."),
    ErrorCode.BUSY: _BUSY,
    ErrorCode.CANCELLED: _CANCELLED,
    ErrorCode.NOT_CALIBRATED: Refusal(Fault.REFUSED, "The lock is not calibrated. Calibrate it in the Nuki app."),
    ErrorCode.MOTOR_POSITION_LIMIT: Refusal(
        Fault.MECHANISM, "The lock's motor is at its position limit. Calibrate it in the Nuki app."
    ),
    ErrorCode.MOTOR_LOW_VOLTAGE: _LOW,
    ErrorCode.MOTOR_POWER_FAILURE: _POWER,
    ErrorCode.CLUTCH_POWER_FAILURE: Refusal(Fault.MECHANISM, "The lock's clutch has no power."),
    ErrorCode.VOLTAGE_TOO_LOW: _LOW,
    ErrorCode.FIRMWARE_UPDATE_NEEDED: Refusal(
        Fault.REFUSED, "The lock needs a firmware update. Install it in the Nuki app."
    ),
    ErrorCode.BAD_CRC: _FORMAT,
    ErrorCode.BAD_LENGTH: _FORMAT,
    ErrorCode.UNKNOWN: Refusal(Fault.UNCATEGORIZED, "The lock reported an error that it does not name."),
}
"""Error Report code to refusal."""

COMPLETIONS: dict[int, Refusal] = {
    Completion.MOTOR_BLOCKED: _JAM,
    Completion.CANCELLED: _CANCELLED,
    Completion.TOO_RECENT: _RECENT,
    Completion.BUSY: _BUSY,
    Completion.LOW_MOTOR_VOLTAGE: _LOW,
    Completion.CLUTCH_FAILURE: _CLUTCH,
    Completion.MOTOR_POWER_FAILURE: _POWER,
    Completion.INCOMPLETE: Refusal(Fault.NOT_FULLY_EXTENDED, "The bolt did not travel all the way."),
    Completion.NOT_AUTHORIZED: Refusal(Fault.NOT_AUTHORIZED, "The lock did not authorize the action."),
    Completion.FAILURE: Refusal(Fault.UNCATEGORIZED, "The lock reported that the action failed."),
    Completion.INVALID_CODE: Refusal(Fault.NOT_AUTHORIZED, "The code was not valid."),
    Completion.INVALID_FINGERPRINT: Refusal(Fault.NOT_AUTHORIZED, "The fingerprint was not valid."),
    Completion.OTHER: Refusal(Fault.UNCATEGORIZED, "The lock reported an error that it does not name."),
}
"""Completion code to refusal. Success is none; unknown tells nothing, so it is none either."""


def refusal(code: int) -> Refusal:
    """Return what an Error Report's code means."""
    return REFUSALS.get(code) or Refusal(Fault.UNCATEGORIZED, f"The lock reported error 0x{code:02X}.")


def obstructed(found: Refusal) -> Refusal:
    """Return the refusal as it reads while the door is reported open: a jam is an obstruction (contract 6.4)."""
    if found.fault is not Fault.JAMMED:
        return found
    return Refusal(Fault.OBSTRUCTED, "The bolt is obstructed: the motor was blocked while the door was open.")
