import pytest

from drivers.base import Fault
from drivers.nuki.protocol.codes import Completion, ErrorCode
from drivers.nuki.protocol.errors import COMPLETIONS, REFUSALS, ProtocolError, obstructed, refusal


def test_every_documented_error_has_a_meaning():
    assert set(REFUSALS) == set(ErrorCode)


def test_every_completion_but_success_and_unknown_is_a_refusal():
    assert set(COMPLETIONS) == set(Completion) - {Completion.SUCCESS, Completion.UNKNOWN}


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (ErrorCode.MOTOR_BLOCKED, Fault.JAMMED),
        (ErrorCode.MOTOR_TIMEOUT, Fault.JAMMED),
        (ErrorCode.CLUTCH_FAILURE, Fault.MECHANISM),
        (ErrorCode.CLUTCH_POWER_FAILURE, Fault.MECHANISM),
        (ErrorCode.MOTOR_POWER_FAILURE, Fault.MECHANISM),
        (ErrorCode.BUSY, Fault.REFUSED),
        (ErrorCode.TOO_RECENT, Fault.REFUSED),
        (ErrorCode.NOT_CALIBRATED, Fault.REFUSED),
        (ErrorCode.FIRMWARE_UPDATE_NEEDED, Fault.REFUSED),
        (ErrorCode.CANCELLED, Fault.REFUSED),
        (ErrorCode.POSITION_UNKNOWN, Fault.REFUSED),
        (ErrorCode.MOTOR_POSITION_LIMIT, Fault.MECHANISM),
        (ErrorCode.MOTOR_LOW_VOLTAGE, Fault.LOW_BATTERY),
        (ErrorCode.VOLTAGE_TOO_LOW, Fault.LOW_BATTERY),
        (ErrorCode.NOT_AUTHORIZED, Fault.NOT_AUTHORIZED),
        (ErrorCode.BAD_PIN, Fault.NOT_AUTHORIZED),
        (ErrorCode.INVALID_AUTH_ID, Fault.NOT_AUTHORIZED),
        (ErrorCode.DISABLED, Fault.NOT_AUTHORIZED),
        (ErrorCode.REMOTE_NOT_ALLOWED, Fault.NOT_AUTHORIZED),
        (ErrorCode.TIME_NOT_ALLOWED, Fault.NOT_AUTHORIZED),
        (ErrorCode.TOO_MANY_PIN_ATTEMPTS, Fault.NOT_AUTHORIZED),
    ],
)
def test_an_error_has_the_fault_of_the_mapping(code, fault):
    assert refusal(code).fault is fault


@pytest.mark.parametrize(
    ("completion", "fault"),
    [
        (Completion.MOTOR_BLOCKED, Fault.JAMMED),
        (Completion.INCOMPLETE, Fault.NOT_FULLY_EXTENDED),
        (Completion.LOW_MOTOR_VOLTAGE, Fault.LOW_BATTERY),
        (Completion.CLUTCH_FAILURE, Fault.MECHANISM),
        (Completion.MOTOR_POWER_FAILURE, Fault.MECHANISM),
        (Completion.BUSY, Fault.REFUSED),
        (Completion.TOO_RECENT, Fault.REFUSED),
        (Completion.INVALID_CODE, Fault.NOT_AUTHORIZED),
    ],
)
def test_a_completion_has_the_fault_of_the_mapping(completion, fault):
    assert COMPLETIONS[completion].fault is fault


def test_a_jam_under_an_open_door_is_an_obstruction():
    assert obstructed(refusal(ErrorCode.MOTOR_BLOCKED)).fault is Fault.OBSTRUCTED
    assert obstructed(refusal(ErrorCode.BUSY)) == refusal(ErrorCode.BUSY)


def test_an_undocumented_error_keeps_its_number():
    found = refusal(0x6F)
    assert found.fault is Fault.UNCATEGORIZED
    assert "0x6F" in found.message


def test_a_protocol_error_is_a_drivers_error():
    assert ProtocolError("Bad.").fault is Fault.UNCATEGORIZED
