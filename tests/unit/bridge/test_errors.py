"""What goes wrong, by its outward names."""

import pytest

from bridge.errors import BridgeError, Code, IllegalStep, Refused, StorageUnavailable, code_of
from drivers.base import Fault

OUTWARD = {
    Fault.UNREACHABLE: ("DEVICE_OFFLINE", "device_disconnected"),
    Fault.RADIO_DOWN: ("BRIDGE_OFFLINE", "hub_disconnected"),
    Fault.JAMMED: ("LOCK_JAMMED", "lock_jammed"),
    Fault.OBSTRUCTED: ("BOLT_OBSTRUCTED", "bolt_obstructed"),
    Fault.NOT_FULLY_EXTENDED: ("BOLT_NOT_FULLY_EXTENDED", "bolt_not_fully_extended"),
    Fault.MECHANISM: ("MECHANISM_ERROR", "mechanism_error"),
    Fault.REFUSED: ("FIRMWARE_REJECTED", "firmware_unable_to_accept_commands"),
    Fault.NOT_AUTHORIZED: ("NOT_AUTHORIZED", "missing_device_credentials"),
    Fault.LOW_BATTERY: ("LOW_BATTERY", "low_battery"),
    Fault.UNCATEGORIZED: ("UNCATEGORIZED_ERROR", "uncategorized_error"),
}


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_its_outward_names(fault):
    code = code_of(fault)
    assert (code.value, code.error_type) == OUTWARD[fault]


def test_outcomes_that_no_lock_reports_have_their_error_types():
    assert Code.ACTION_TIMEOUT.error_type == "action_attempt_expired"
    assert Code.OUTCOME_UNKNOWN.error_type == "outcome_unknown"


@pytest.mark.parametrize("code", Code)
def test_a_code_is_its_own_name_and_its_type_is_in_lower_case(code):
    assert code.value == code.name
    assert code.error_type == code.error_type.lower()


def test_no_two_codes_share_an_error_type():
    types = [code.error_type for code in Code]
    assert len(set(types)) == len(types)


def test_a_refusal_carries_its_code_its_message_and_when_to_ask_again():
    refusal = Refused(Code.RATE_LIMITED, "Too often.", retry_after=4.0)
    assert (refusal.code, refusal.message, refusal.retry_after) == (Code.RATE_LIMITED, "Too often.", 4.0)
    assert str(refusal) == "Too often."
    assert Refused(Code.DEVICE_OFFLINE, "Gone.").retry_after is None


@pytest.mark.parametrize("error", [Refused, StorageUnavailable, IllegalStep])
def test_every_error_of_the_bridge_has_one_root(error):
    assert issubclass(error, BridgeError)
