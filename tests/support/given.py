"""Commands as they were given to a bridge, and what it must remember of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

TTL = 30.0
"""Seconds that a command lives, as it is configured."""
WINDOW = 2 * 60.0
"""Seconds for which a redelivery is recognised: twice the longest time to live."""
DAY = 24 * 3600.0
SLOWNESS = 30.0
"""Seconds that a slow disk may take to look something up."""


@dataclass(frozen=True)
class Given:
    """A command as it was given, and what it was answered."""

    body: dict[str, Any]
    fields: dict[str, Any]
    at: float
    """Anyio's time."""
    boot_id: str
    arrived: float
    action_id: str | None = None
    """None where the process died before it could answer."""
    replayed: bool = False


def alike(given: Sequence[Given], made: Given) -> list[Given]:
    """Return the earlier commands that this one may be a repetition of."""
    keys = ("request_key", "packet_key")
    return [
        each
        for each in given
        if each.body.get("action") == made.body.get("action")
        and (
            ("custom_id" in made.body and each.body.get("custom_id") == made.body["custom_id"])
            or any(made.fields.get(key) and each.fields.get(key) == made.fields[key] for key in keys)
        )
    ]


def remembered(given: Sequence[Given], made: Given) -> str | None:
    """Return the `action_id` that a command must be answered with, as far as that is certain: within one boot.

    What was answered by the same Response Topic and Correlation Data goes before what had the same packet.
    """
    asked_by = made.fields.get("request_key")
    found = alike(given, made)
    same = [each for each in found if asked_by and each.fields.get("request_key") == asked_by]
    for each in reversed(same or found):
        if each.action_id is None or each.boot_id != made.boot_id:
            return None
        if each.replayed:
            continue
        if made.body.get("custom_id") is not None:
            memory = DAY if made.body["custom_id"] == each.body.get("custom_id") else 0.0
        else:
            redelivered = made.fields.get("redelivered") and made.fields["packet_key"] == each.fields["packet_key"]
            memory = WINDOW if redelivered else 0.0
        return each.action_id if made.arrived - each.arrived < memory - SLOWNESS else None
    return None
