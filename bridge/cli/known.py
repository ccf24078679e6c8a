"""`lock-bridge locks`, `attempts` and `events`: what the running bridge knows."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.advice import advice_on
from bridge.cli.boundary import show_json, tell
from bridge.cli.client import Bridge, Rejected
from bridge.cli.locks import complete, is_unknown, unknown
from bridge.cli.show import Cell, line, moment, safe, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WAIT = 25.0
"""Seconds for which the bridge is asked to wait for the next event."""

_STATE_COLOURS = {"locked": "green", "unlocked": "yellow", "unlatched": "yellow", "jammed": "red"}
_STATUS_COLOURS = {"success": "green", "failed": "red", "pending": "yellow"}
_EVENT_WIDTHS = (19, 36, 12, 0)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

LockFilter = Annotated[
    str | None, typer.Option("--lock", help="Of this lock only.", metavar="ID", autocompletion=complete)
]


def locks(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON, with all that is known.")] = False,
) -> None:
    """List the locks: bolt, door, battery and signal, as each lock last said itself.

    Try:

      $ lock-bridge locks
      $ lock-bridge locks --json | jq -r '.[] | select(.lock_state != "locked").lock_id'
    """
    found: list[dict[str, Any]] = Bridge(context.obj).get("bridge", "locks")["locks"]
    if as_json:
        show_json(found)
    elif found:
        _print(
            table(("LOCK", "NAME", "BOLT", "DOOR", "BATTERY", "SIGNAL", "REACHED", "SINCE"), list(map(_lock, found)))
        )
    else:
        tell("No lock is configured; `lock-bridge pair` adds one.")


def attempts(
    context: typer.Context,
    attempt_id: Annotated[
        str | None, typer.Argument(help="One attempt, by either of its ids.", metavar="[ID]", show_default=False)
    ] = None,
    *,
    lock_id: LockFilter = None,
    limit: Annotated[int, typer.Option(help="How many, the latest first.", min=1, max=100)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List what was asked of the locks and what came of it, the latest first; or show one attempt.

    Try:

      $ lock-bridge attempts --lock front_door --limit 5
      $ lock-bridge attempts act_9f3c2a61
    """
    bridge = Bridge(context.obj)
    if attempt_id is not None:
        one = bridge.get("bridge", "attempts", attempt_id)
        if as_json:
            show_json(one)
        else:
            _print(_details(one))
        return
    found: list[dict[str, Any]] = _asked(bridge, "attempts", lock_id, limit=limit)["attempts"]
    if as_json:
        show_json(found)
    elif found:
        _print(table(("ACCEPTED", "LOCK", "ACTION", "OUTCOME", "VIA", "TOOK", "ID"), list(map(_attempt, found))))
    else:
        tell("Nothing was asked of the locks in the last 30 days.")


def events(
    context: typer.Context,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each event as it comes.")] = False,
    lock_id: LockFilter = None,
    since: Annotated[
        str | None,
        typer.Option(help="From then on: a time such as 2026-11-21T08:00, or a span such as 90s, 15m, 2h, 7d."),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many of those before now at most.", min=0, max=500)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --follow, an object a line.")] = False,
) -> None:
    """List what happened, the latest last, as it is published upstream.

    Try:

      $ lock-bridge events --since 2h --lock front_door
      $ lock-bridge events --follow --json | jq -r .event_type
    """
    bridge = Bridge(context.obj)
    begin = None if since is None else _instant(since)
    page = _asked(bridge, "events", lock_id, limit=limit, since=begin)
    if as_json and not follow:
        show_json([each["body"] for each in page["events"]])
        return
    try:
        if not as_json:
            typer.echo(line(("TIME", "EVENT", "LOCK", ""), _EVENT_WIDTHS))
        for event in _all(bridge, page, lock_id, follow=follow):
            if as_json:
                typer.echo(json.dumps(event["body"], ensure_ascii=False))
            else:
                typer.echo(line(_event(event), _EVENT_WIDTHS))
    except KeyboardInterrupt:
        return  # how following ends


def _all(bridge: Bridge, page: dict[str, Any], lock_id: str | None, *, follow: bool) -> Iterator[dict[str, Any]]:
    while True:
        yield from page["events"]
        if not follow:
            return
        page = bridge.get("bridge", "events", after=page["last"], lock_id=lock_id, wait=WAIT)


def _asked(bridge: Bridge, what: str, lock_id: str | None, *, limit: int, since: str | None = None) -> dict[str, Any]:
    try:
        found: dict[str, Any] = bridge.get("bridge", what, lock_id=lock_id, limit=limit, since=since)
    except Rejected as rejected:
        if lock_id is not None and is_unknown(rejected):
            raise unknown(bridge, lock_id) from None
        raise
    return found


def _instant(text: str) -> str:
    """Return a time in RFC 3339."""
    if span := re.fullmatch(r"(\d{1,9})([smhd])", text):
        return (datetime.now(UTC) - timedelta(seconds=int(span[1]) * _UNITS[span[2]])).isoformat()
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a time such as 2026-11-21T08:00 nor a span such as 15m", param_hint="--since"
        ) from None


def _print(lines: list[str]) -> None:
    for each in lines:
        typer.echo(each)


def _lock(lock: Mapping[str, Any]) -> list[str | Cell]:
    battery = "-" if lock.get("battery_level") is None else f"{lock['battery_level']} %"
    low = bool(lock.get("battery_critical"))
    signal = lock.get("signal_quality")
    reached = "yes" if lock["online"] else f"no: {str(lock.get('offline_reason', 'unknown')).replace('_', ' ')}"
    return [
        lock["lock_id"],
        safe(lock["name"]),
        Cell(lock["lock_state"], _STATE_COLOURS.get(lock["lock_state"])),
        lock["door_state"],
        Cell(f"{battery} low" if low else battery, "red" if low else None),
        "-" if signal is None else f"{signal} dBm",
        Cell(reached, None if lock["online"] else "red"),
        moment(lock["updated_at"]),
    ]


def _attempt(attempt: Mapping[str, Any]) -> list[str | Cell]:
    return [
        moment(attempt["accepted_at"]),
        attempt["lock_id"],
        attempt["action"],
        Cell(_outcome(attempt), _STATUS_COLOURS.get(attempt["status"])),
        attempt.get("performed_via") or "-",
        _took(attempt),
        attempt["action_id"],
    ]


def _outcome(attempt: Mapping[str, Any]) -> str:
    if attempt["status"] == "success":
        return "success, was so already" if attempt.get("changed") is False else "success"
    return str(attempt.get("error_code") or attempt["status"])


def _took(attempt: Mapping[str, Any]) -> str:
    if not attempt.get("ended_at"):
        return "-"
    took = datetime.fromisoformat(attempt["ended_at"]) - datetime.fromisoformat(attempt["accepted_at"])
    return f"{took.total_seconds():.1f} s"


def _details(attempt: Mapping[str, Any]) -> list[str]:
    """Return one attempt, a line for each thing that is known of it."""
    told = {
        "Attempt": attempt["action_id"],
        "Also known as": attempt.get("action_attempt_id"),
        "Custom id": attempt.get("custom_id") and safe(attempt["custom_id"]),
        "Lock": attempt["lock_id"],
        "Action": attempt["action"],
        "Given via": attempt.get("performed_via"),
        "Accepted": moment(attempt["accepted_at"]),
        "Ended": attempt.get("ended_at") and f"{moment(attempt['ended_at'])}, after {_took(attempt)}",
        "Outcome": typer.style(_outcome(attempt), fg=_STATUS_COLOURS.get(attempt["status"])),
        "Why": attempt.get("message"),
        "What to do": advice_on(attempt.get("error_code")),
    }
    return [f"{name + ':':<15}{value}" for name, value in told.items() if value]


def _event(event: Mapping[str, Any]) -> list[str | Cell]:
    body = event["body"]
    at = body.get("occurred_at") or body.get("timestamp") or body.get("created_at")
    failed = body.get("status") in ("failed", "error")
    kind = Cell(event["event_type"], "red" if failed else None)
    return [moment(at), kind, event.get("lock_id") or "-", safe(_gist(event["event_type"], body))]


def _gist(kind: str, body: Mapping[str, Any]) -> str:
    """Return what an event says, in a few words."""
    if kind == "lock.action_completed":
        parts = [body["action"], body["status"], body.get("error_code"), f"via {body['performed_via']}"]
    elif kind.startswith("action_attempt."):
        parts = [body.get("action_type"), body.get("status")]
    else:
        parts = [body.get("method") and f"via {body['method']}", body.get("message")]
    return " ".join(str(part) for part in parts if part)
