"""What went wrong, in the bridge's words."""

from __future__ import annotations

from drivers.base import DriverError, Fault
from drivers.sesame.protocol.codes import Result


class ProtocolError(DriverError):
    """Bytes that are no valid message of the protocol."""

    def __init__(self, message: str) -> None:
        super().__init__(Fault.UNCATEGORIZED, message)


_REFUSALS: dict[int, tuple[Fault, str]] = {
    Result.BUSY: (Fault.REFUSED, "The lock is busy with another action."),
    Result.INVALID_SIGNATURE: (Fault.NOT_AUTHORIZED, "The lock does not accept the bridge's key. Pair the lock again."),
    Result.INVALID_ACTION: (
        Fault.REFUSED,
        "The lock refused: it cannot do that now. See in the Sesame app whether its angles are set.",
    ),
    Result.NOT_SUPPORTED: (
        Fault.REFUSED,
        "The lock's firmware does not know the request. Update it in the Sesame app.",
    ),
    Result.STORAGE_FAIL: (Fault.REFUSED, "The lock could not store what it was sent."),
    Result.INVALID_FORMAT: (Fault.UNCATEGORIZED, "The lock did not understand the request."),
    Result.INVALID_PARAMETER: (Fault.UNCATEGORIZED, "The lock did not understand the request."),
}


def refusal(result: int) -> DriverError:
    """Return a result other than success as an error."""
    fault, message = _REFUSALS.get(result, (Fault.UNCATEGORIZED, f"The lock refused, with result {result}."))
    return DriverError(fault, message, vendor_code=result)
