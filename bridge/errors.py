"""What can go wrong, by the names that go upstream.

`BridgeError`
├── `Refused`             a command is not taken; its code and message go to whoever asked
├── `Unanswered`          a question is not answered; its type and message go to whoever asked
├── `StorageUnavailable`  the journal cannot be written (raised by `journal`)
├── `WrongUsage`          what was asked for does not fit the configuration (raised by `pairing`)
└── `IllegalStep`         an attempt was asked to take a step that its state does not allow (raised by `attempt`)

What a lock or the way to it does is a `drivers.base.DriverError`; `code_of` gives its name here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from drivers.base import Fault


class Code(StrEnum):
    """Every `error_code` of the device-maker shapes: refusals first, then outcomes."""

    RETAINED_COMMAND = "RETAINED_COMMAND"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_ACTION = "INVALID_ACTION"
    LOCK_NOT_FOUND = "LOCK_NOT_FOUND"
    ACTION_NOT_ALLOWED = "ACTION_NOT_ALLOWED"
    ACTION_NOT_SUPPORTED = "ACTION_NOT_SUPPORTED"
    COMMAND_EXPIRED = "COMMAND_EXPIRED"
    CLOCK_NOT_TRUSTED = "CLOCK_NOT_TRUSTED"
    EXPIRY_REQUIRED = "EXPIRY_REQUIRED"
    SIGNATURE_REQUIRED = "SIGNATURE_REQUIRED"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    RATE_LIMITED = "RATE_LIMITED"
    DEVICE_BUSY = "DEVICE_BUSY"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    BRIDGE_OFFLINE = "BRIDGE_OFFLINE"
    DEVICE_OFFLINE = "DEVICE_OFFLINE"
    LOCK_JAMMED = "LOCK_JAMMED"
    BOLT_OBSTRUCTED = "BOLT_OBSTRUCTED"
    BOLT_NOT_FULLY_EXTENDED = "BOLT_NOT_FULLY_EXTENDED"
    MECHANISM_ERROR = "MECHANISM_ERROR"
    FIRMWARE_REJECTED = "FIRMWARE_REJECTED"
    NOT_AUTHORIZED = "NOT_AUTHORIZED"
    ACTION_TIMEOUT = "ACTION_TIMEOUT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    LOW_BATTERY = "LOW_BATTERY"
    UNCATEGORIZED_ERROR = "UNCATEGORIZED_ERROR"

    @property
    def error_type(self) -> str:
        """The `error.type` of an action attempt."""
        return _ERROR_TYPES.get(self, self.value.lower())


_ERROR_TYPES = MappingProxyType(
    {
        Code.DEVICE_OFFLINE: "device_disconnected",
        Code.BRIDGE_OFFLINE: "hub_disconnected",
        Code.FIRMWARE_REJECTED: "firmware_unable_to_accept_commands",
        Code.NOT_AUTHORIZED: "missing_device_credentials",
        Code.ACTION_TIMEOUT: "action_attempt_expired",
    }
)

_FAULT_CODES = MappingProxyType(
    {
        Fault.UNREACHABLE: Code.DEVICE_OFFLINE,
        Fault.RADIO_DOWN: Code.BRIDGE_OFFLINE,
        Fault.JAMMED: Code.LOCK_JAMMED,
        Fault.OBSTRUCTED: Code.BOLT_OBSTRUCTED,
        Fault.NOT_FULLY_EXTENDED: Code.BOLT_NOT_FULLY_EXTENDED,
        Fault.MECHANISM: Code.MECHANISM_ERROR,
        Fault.REFUSED: Code.FIRMWARE_REJECTED,
        Fault.NOT_AUTHORIZED: Code.NOT_AUTHORIZED,
        Fault.LOW_BATTERY: Code.LOW_BATTERY,
        Fault.UNCATEGORIZED: Code.UNCATEGORIZED_ERROR,
    }
)


def code_of(fault: Fault) -> Code:
    """Return the outward code of a driver's fault."""
    return _FAULT_CODES[fault]


class Objection(StrEnum):
    """Every `error.type` of an answer that is none."""

    INVALID_INPUT = "invalid_input"
    MISMATCHED_PAGE_PARAMETERS = "mismatched_page_parameters"
    RETAINED_COMMAND = "retained_command"
    ACTION_ATTEMPT_NOT_FOUND = "action_attempt_not_found"
    DEVICE_NOT_FOUND = "device_not_found"
    EVENT_NOT_FOUND = "event_not_found"
    NOT_FOUND = "not_found"
    ACTION_NOT_ALLOWED = "action_not_allowed"
    ACTION_NOT_SUPPORTED = "action_not_supported"
    SIGNATURE_REQUIRED = "signature_required"
    DEVICE_BUSY = "device_busy"
    DEVICE_OFFLINE = "device_offline"
    BRIDGE_OFFLINE = "bridge_offline"
    RATE_LIMITED = "rate_limited"
    STORAGE_UNAVAILABLE = "storage_unavailable"

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return _STATUSES.get(self, 400)


_STATUSES = MappingProxyType(
    {
        Objection.ACTION_ATTEMPT_NOT_FOUND: 404,
        Objection.DEVICE_NOT_FOUND: 404,
        Objection.EVENT_NOT_FOUND: 404,
        Objection.NOT_FOUND: 404,
        Objection.ACTION_NOT_ALLOWED: 403,
        Objection.SIGNATURE_REQUIRED: 403,
        Objection.ACTION_NOT_SUPPORTED: 409,
        Objection.DEVICE_BUSY: 409,
        Objection.DEVICE_OFFLINE: 409,
        Objection.BRIDGE_OFFLINE: 409,
        Objection.RATE_LIMITED: 429,
        Objection.STORAGE_UNAVAILABLE: 503,
    }
)


class BridgeError(Exception):
    """The root of the bridge's own errors."""


class Refused(BridgeError):
    """A command is not taken. Nothing was recorded and nothing will move."""

    def __init__(self, code: Code, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        """Seconds after which asking again makes sense, where that is known."""


class Unanswered(BridgeError):
    """A question is not answered."""

    def __init__(
        self,
        objection: Objection,
        message: str,
        *,
        mistakes: Mapping[tuple[str, ...], str] = MappingProxyType({}),
        data: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.objection = objection
        self.message = message
        self.mistakes = mistakes
        """What is wrong with the question, by the path to it: the field's name, then the place in its list."""
        self.data = data
        """What was not found."""


class StorageUnavailable(BridgeError):
    """The journal cannot be written or read now. The message says why, not what was in it."""


class WrongUsage(BridgeError):
    """What was asked for does not fit the configuration. The message says what to ask for."""


class IllegalStep(BridgeError):
    """An attempt was asked to take a step that its state does not allow."""
