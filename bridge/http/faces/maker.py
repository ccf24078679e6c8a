"""The device-maker face: what Seam asks of a smart lock's own API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from bridge.errors import Code, Refused
from bridge.http import answers
from bridge.http.faces.commands import give
from bridge.http.operation import Call, Operation
from bridge.wire import inventory, maker

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge


def operations(bridge: Bridge) -> list[Operation]:
    """Return what can be asked for."""

    async def act(call: Call) -> Response:
        receipt = await give(bridge, call.caller, call.path["lock_id"], call.body)
        return answers.json(maker.accepted(receipt.attempt, replayed=receipt.replayed))

    async def list_locks(call: Call) -> Response:
        return answers.json({"locks": [_lock(lock_id) for lock_id in bridge.workers if _visible(call, lock_id)]})

    async def get_lock(call: Call) -> Response:
        lock_id = call.path["lock_id"]
        if lock_id not in bridge.workers or not _visible(call, lock_id):
            raise Refused(Code.LOCK_NOT_FOUND, f"This bridge has no lock {lock_id[:64]!r}.")
        return answers.json(_lock(lock_id))

    def _lock(lock_id: str) -> inventory.Lock:
        return inventory.lock(
            bridge.states.device(lock_id),
            address=bridge.workers[lock_id].lock.address,
            bridge_id=bridge.identity.bridge_id,
            timezone=bridge.config.bridge.timezone,
            device_time=bridge.clock.wall() if bridge.clock.trusted() else None,
        )

    return [
        Operation(
            "POST",
            "/locks/{lock_id}/actions",
            act,
            "Lock, unlock or unlatch",
            scope="operate",
            maker=True,
            takes=maker.ActionBody,
            answers=maker.Accepted,
            limit=maker.REQUEST_BYTES,
            judges_length=True,
            statuses={
                400: "The request is malformed, or too old",
                403: "The lock's configuration does not allow the action, or it is not signed as it should be",
                404: "There is no such lock",
                409: "The lock or the bridge cannot do it now",
                503: "The bridge cannot write its journal",
            },
        ),
        Operation("GET", "/locks", list_locks, "List the locks", maker=True, answers=inventory.Locks),
        Operation(
            "GET",
            "/locks/{lock_id}",
            get_lock,
            "Get a lock",
            maker=True,
            answers=inventory.Lock,
            statuses={404: "There is no such lock"},
        ),
    ]


def _visible(call: Call, lock_id: str) -> bool:
    return call.caller.locks is None or lock_id in call.caller.locks
