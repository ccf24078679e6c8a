"""`lock-bridge sandbox`: somebody at the door of a virtual lock."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bridge.cli.boundary import show_json
from bridge.cli.client import Bridge, Rejected
from bridge.cli.locks import LockId, is_unknown, nearest, unknown

_VERBS = {
    "manual-lock": "Somebody turns the knob: locked.",
    "manual-unlock": "Somebody turns the knob: unlocked.",
    "keypad": "Somebody types a code.",
    "keypad-lock": "Somebody locks at the keypad.",
    "fob": "Somebody presses a fob.",
    "jam": "The bolt jams from now on.",
    "obstruct": "Something is in the bolt's way from now on.",
    "clear": "All is well again.",
    "battery": "The battery has so much left.",
    "offline": "The lock is out of range from now on.",
    "online": "The lock is back in range.",
    "drop-after-write": "The link is lost after the next action is sent.",
}

_ARGUMENTS = {"keypad": "code", "battery": "level"}
"""The field in which the argument of a verb travels."""

_FULL = 100


def _complete(incomplete: str) -> list[tuple[str, str]]:
    return [(verb, what) for verb, what in _VERBS.items() if verb.startswith(incomplete)]


def sandbox(
    context: typer.Context,
    lock_id: LockId,
    verb: Annotated[str, typer.Argument(help=f"One of {', '.join(_VERBS)}.", metavar="VERB", autocompletion=_complete)],
    argument: Annotated[
        str | None, typer.Argument(help="The code, or the percentage.", metavar="[ARG]", show_default=False)
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bridge's answer as JSON.")] = False,
) -> None:
    """Play at a virtual lock: what people do at its door, and what goes wrong with it.

    Only where the radio is the virtual one. `keypad` takes the code, `battery` the percentage.

    Try:

      $ lock-bridge sandbox front_door manual-unlock
      $ lock-bridge sandbox front_door keypad 1234
      $ lock-bridge sandbox front_door jam
    """
    if verb not in _VERBS:
        raise typer.BadParameter(f"{verb!r} is none{nearest(verb, _VERBS)}", param_hint="VERB")
    body = _body(verb, argument)
    bridge = Bridge(context.obj)
    try:
        told = bridge.post("bridge", "sandbox", lock_id, verb, body=body)
    except Rejected as rejected:
        if is_unknown(rejected):
            raise unknown(bridge, lock_id) from None
        raise
    if as_json:
        show_json(told)
    else:
        typer.echo(f"{lock_id}: {_VERBS[verb]}")


def _body(verb: str, argument: str | None) -> dict[str, Any]:
    field = _ARGUMENTS.get(verb)
    if field is None:
        if argument is not None:
            raise typer.BadParameter(f'"{verb}" takes nothing', param_hint="ARG")
        return {}
    if argument is None:
        raise typer.BadParameter(f'"{verb}" needs the {field}', param_hint="ARG")
    if field == "code":
        return {"code": argument}
    if not (argument.isascii() and argument.isdecimal() and int(argument) <= _FULL):
        raise typer.BadParameter("the percentage is a number from 0 to 100", param_hint="ARG")
    return {"level": int(argument)}
