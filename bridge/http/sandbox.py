"""The sandbox verbs of the command line, on the Unix socket alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import Code, Refused
from bridge.http import answers
from bridge.model import Attempt
from bridge.tasks import LONGEST_CODE
from bridge.wire import seam, text
from drivers.base import Method

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge

BODY_BYTES = 1024
"""The longest body: a code or a number."""


def routes(bridge: Bridge) -> list[Route]:
    """Return the routes."""

    async def sandbox(request: Request) -> Response:
        try:
            return await _do(bridge, request)
        except Refused as refusal:
            return answers.refused(refusal, as_maker=True)

    return [Route("/bridge/sandbox/{lock_id}/{verb}", sandbox, methods=["POST"])]


async def _do(bridge: Bridge, request: Request) -> Response:
    lock_id: str = request.path_params["lock_id"]
    verb: str = request.path_params["verb"]
    if lock_id not in bridge.workers:
        raise Refused(Code.LOCK_NOT_FOUND, f"This bridge has no lock {lock_id[:64]!r}.")
    bridge.sandbox.lock(lock_id)
    done: dict[str, Any] = {"ok": True, "lock_id": lock_id, "verb": verb}
    fields = await _fields(request, {"keypad": "code", "battery": "level"}.get(verb))
    if attempted := _attempts(bridge).get(verb):
        done["action_attempt"] = seam.action_attempt(await attempted(lock_id, fields))
    elif verb == "battery":
        bridge.sandbox.battery(lock_id, fields.get("level"))
    else:
        bridge.sandbox.do(lock_id, verb)
    return answers.json(done)


def _attempts(bridge: Bridge) -> dict[str, Callable[[str, dict[str, Any]], Awaitable[Attempt]]]:
    """Return the verbs that are attempts."""
    simulator = bridge.simulator
    return {
        "keypad": lambda lock_id, fields: simulator.keypad_code(lock_id, _code(fields), Method.BLUETOOTH_KEY),
        "keypad-lock": lambda lock_id, _: simulator.keypad_lock(lock_id, Method.BLUETOOTH_KEY),
    }


def _code(fields: dict[str, Any]) -> str:
    code = fields.get("code")
    if not isinstance(code, str) or not 0 < len(code) <= LONGEST_CODE:
        raise Refused(Code.INVALID_REQUEST, f'"code" must be a text of 1 to {LONGEST_CODE} characters.')
    return code


async def _fields(request: Request, known: str | None) -> dict[str, Any]:
    """Return the body, which may hold the one field that the verb knows."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise Refused(Code.INVALID_REQUEST, f"The body is longer than {BODY_BYTES} bytes.")
    try:
        fields = text.decode(body or b"{}")
    except ValueError:
        raise Refused(Code.INVALID_REQUEST, "The body is not JSON in UTF-8.") from None
    if not isinstance(fields, dict) or set(fields) - {known}:  # pyright: ignore[reportUnknownArgumentType] # JSON
        raise Refused(
            Code.INVALID_REQUEST, f'The body must be {{}} or {{"{known}": …}}.' if known else "The body must be {}."
        )
    return dict(fields)  # pyright: ignore[reportUnknownArgumentType] # JSON
