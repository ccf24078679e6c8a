"""What the locks' motors did against what the bridge told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.mqtt_client import Heard


def by_attempt(events: Iterable[Heard]) -> dict[str, list[Heard]]:
    """Return events by the attempt that they tell of, but for those that put right who it was, or tell of others."""
    found: dict[str, list[Heard]] = {}
    for event in events:
        if "corrects" in event.body or "action_attempt_id" not in event.body:
            continue
        found.setdefault(event.body["action_attempt_id"], []).append(event)
    return found


def same(told: list[Heard]) -> bool:
    """Tell whether it is one event, told once or more often."""
    return len({each.body["event_id"] for each in told}) == len({each.payload for each in told}) == 1


def is_true(event: Mapping[str, Any], moved: Mapping[str, int]) -> bool:
    """Tell whether an outcome agrees with how often the motor started for it.

    A success that does not say whether the bolt moved is of a state that was seen: whose doing it was is known only if
    the motor started.

    Args:
        event: `lock.action_completed`.
        moved: starts of a motor by the action's id.
    """
    starts = moved.get(event["action_id"], 0)
    if event["status"] != "success":
        return starts == 0 or event["error_code"] == "OUTCOME_UNKNOWN"
    if "changed" in event:
        return starts == event["changed"]
    return starts == 1 or event["performed_via"] == "unknown"
