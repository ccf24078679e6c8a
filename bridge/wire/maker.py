"""The device-maker shapes: a lock action's request, replies and completion event.

Source: Seam, "Implementing Lock Actions" (building a Seam-compatible smart lock API). In these shapes
`device_id` is the lock's own id, an action has an `action_id`, and its status is `pending`, `success` or `failed`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from bridge.attempt import State
from bridge.errors import Code, Refused
from bridge.keys import signing
from bridge.model import Attempt
from bridge.wire import text
from drivers.base import Action

REQUEST_BYTES = 8 * 1024
"""The longest request."""
CUSTOM_ID_CHARACTERS = 128

Status = Literal["pending", "success", "failed"]


@with_config(extra="forbid")
class ActionBody(TypedDict):
    """A request; what is sent is read by `parse_request`."""

    action: Literal["lock", "unlock", "unlatch"]
    custom_id: NotRequired[Annotated[str, Field(min_length=1, max_length=CUSTOM_ID_CHARACTERS)]]
    expires_at: NotRequired[datetime]
    signature: NotRequired[
        Annotated[
            str,
            Field(
                pattern=signing.PATTERN,
                description="The id of a signing key, a colon, the signature in Base64; needs the other two fields.",
            ),
        ]
    ]


class Accepted(TypedDict):
    """The reply to a command that was taken."""

    action_id: str
    custom_id: NotRequired[str]
    status: Status
    lock_id: str
    action: str
    replayed: NotRequired[Literal[True]]


class Rejected(TypedDict):
    """The reply to a command that was not taken."""

    error_code: str
    message: str


class Completed(TypedDict):
    """The event that tells the end of an operation."""

    event_type: Literal["lock.action_completed"]
    event_id: str
    device_id: str
    action_id: str
    custom_id: NotRequired[str]
    action_attempt_id: NotRequired[str]
    action: str
    status: Literal["success", "failed"]
    performed_via: str
    was_confirmed_by_device: bool
    changed: NotRequired[bool]
    error_code: NotRequired[str]
    message: NotRequired[str]
    timestamp: str


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """A request as it was sent, every field checked."""

    action: Action
    custom_id: str | None
    expires_at: datetime | None
    signature: signing.Signature | None = None


def parse_request(payload: bytes) -> ActionRequest:
    """Read a request.

    Raises:
        Refused: with `INVALID_REQUEST`, or `INVALID_ACTION` for an action that there is not.
    """
    if len(payload) > REQUEST_BYTES:
        raise Refused(
            Code.INVALID_REQUEST, f"The request is {len(payload)} bytes long; at most {REQUEST_BYTES} are taken."
        )
    try:
        body = text.decode(payload)
    except ValueError as error:
        raise Refused(Code.INVALID_REQUEST, f"The request is not a JSON object in UTF-8: {_reason(error)}.") from None
    return check_request(body)


def check_request(body: object) -> ActionRequest:
    """Read a request that is decoded already.

    Raises:
        Refused: with `INVALID_REQUEST`, or `INVALID_ACTION` for an action that there is not.
    """
    if not isinstance(body, dict):
        raise Refused(Code.INVALID_REQUEST, 'The request is not a JSON object such as {"action": "unlock"}.')
    fields: dict[str, Any] = dict(body)  # pyright: ignore[reportUnknownArgumentType] # checked field by field below
    action, custom_id, expires_at = (fields.pop(name, None) for name in ("action", "custom_id", "expires_at"))
    signature = fields.pop("signature", None)
    if fields:
        raise Refused(
            Code.INVALID_REQUEST,
            f"The request has an unknown field, {min(fields)[:64]!r};"
            ' "action", "custom_id", "expires_at" and "signature" are known.',
        )
    return ActionRequest(
        action=_action(action, given="action" in body),
        custom_id=_custom_id(custom_id) if "custom_id" in body else None,
        expires_at=_expires_at(expires_at) if "expires_at" in body else None,
        signature=_signature(signature, custom_id, expires_at) if "signature" in body else None,
    )


def _action(value: object, *, given: bool) -> Action:
    if not isinstance(value, str):
        missing = "is not a string" if given else "is missing"
        raise Refused(Code.INVALID_REQUEST, f'"action" {missing}; it is "lock", "unlock" or "unlatch".')
    try:
        return Action(value)
    except ValueError:
        raise Refused(
            Code.INVALID_ACTION, f'There is no action {value[:64]!r}; there are "lock", "unlock" and "unlatch".'
        ) from None


def _custom_id(value: object) -> str:
    if not isinstance(value, str):
        raise Refused(Code.INVALID_REQUEST, '"custom_id" is not a string.')
    if not 0 < len(value) <= CUSTOM_ID_CHARACTERS:
        raise Refused(
            Code.INVALID_REQUEST, f'"custom_id" has {len(value)} characters; 1 to {CUSTOM_ID_CHARACTERS} are taken.'
        )
    if not _sayable(value):
        raise Refused(Code.INVALID_REQUEST, '"custom_id" has a control character or half a surrogate pair.')
    return value


def _sayable(value: str) -> bool:
    """Whether a text survives the way there and back: MQTT's strings hold neither (MQTT 5.0, 1.5.4)."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _expires_at(value: object) -> datetime:
    if not isinstance(value, str):
        raise Refused(Code.INVALID_REQUEST, '"expires_at" is not a string.')
    try:
        return text.parse_time(value)
    except ValueError as error:
        raise Refused(Code.INVALID_REQUEST, f'"expires_at" cannot be used: {_reason(error)}.') from None


def _signature(value: object, custom_id: object, expires_at: object) -> signing.Signature:
    if not isinstance(value, str):
        raise Refused(Code.INVALID_REQUEST, '"signature" is not a string.')
    if not (isinstance(custom_id, str) and isinstance(expires_at, str)):
        raise Refused(
            Code.INVALID_REQUEST,
            'A signed command needs "custom_id" and "expires_at", or it could be recorded and given again.',
        )
    try:
        key_id, signature = signing.split(value)
    except ValueError as error:
        raise Refused(Code.INVALID_REQUEST, f'"signature" cannot be used: {_reason(error)}.') from None
    return signing.Signature(key_id, signature, custom_id, expires_at)


def _reason(error: ValueError) -> str:
    """Say why without repeating what was sent."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error).split(": ")[0].rstrip(".")[:120]


def accepted(attempt: Attempt, *, replayed: bool = False) -> Accepted:
    """Build the reply to a command that was taken, with the attempt's status now."""
    reply: Accepted = {
        "action_id": attempt.action_id,
        "status": status(attempt.state),
        "lock_id": attempt.lock_id,
        "action": attempt.action.value,
    }
    if attempt.custom_id is not None:
        reply["custom_id"] = attempt.custom_id
    if replayed:
        reply["replayed"] = True
    return reply


def rejected(refusal: Refused) -> Rejected:
    """Build the reply to a command that was not taken."""
    return {"error_code": refusal.code.value, "message": refusal.message}


def recognisable(payload: bytes) -> dict[str, object]:
    """Return what of a refused request its sender may recognise it by, where that can be read."""
    try:
        body = text.decode(payload[: REQUEST_BYTES + 1])
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    fields: dict[str, object] = dict(body)  # pyright: ignore[reportUnknownArgumentType] # JSON
    return {
        name: value
        for name in ("custom_id", "action")
        if isinstance(value := fields.get(name), str) and len(value) <= CUSTOM_ID_CHARACTERS and _sayable(value)
    }


def completed(attempt: Attempt, event_id: str) -> Completed:
    """Build the completion event of an attempt that has its outcome."""
    succeeded = attempt.state is State.CONFIRMED
    event: Completed = {
        "event_type": "lock.action_completed",
        "event_id": event_id,
        "device_id": attempt.lock_id,
        "action_id": attempt.action_id,
        "action_attempt_id": str(attempt.attempt_id),
        "action": attempt.action.value,
        "status": "success" if succeeded else "failed",
        "performed_via": attempt.method.value,
        "was_confirmed_by_device": succeeded,
        "timestamp": text.seconds(attempt.ended_at or attempt.accepted_at),
    }
    if attempt.custom_id is not None:
        event["custom_id"] = attempt.custom_id
    if attempt.changed is not None:
        event["changed"] = attempt.changed
    if not succeeded:
        event["error_code"] = (attempt.code or Code.UNCATEGORIZED_ERROR).value
        event["message"] = attempt.message or "The action failed."
    return event


def status(state: State) -> Status:
    """Return an attempt's status in this vocabulary."""
    if not state.terminal:
        return "pending"
    return "success" if state is State.CONFIRMED else "failed"
