"""Commands as they are given over HTTP: to the same admission as every other door's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.errors import Code, Refused
from bridge.policy import Message
from bridge.wire import text
from drivers.base import Action

if TYPE_CHECKING:
    from bridge.dispatcher import Receipt
    from bridge.http.operation import Caller
    from bridge.lifecycle import Bridge


async def give(bridge: Bridge, caller: Caller, lock_id: str, payload: bytes) -> Receipt:
    """Have a device-maker face's command taken and carried out.

    One that is given at the gateway itself is fresh: nothing but the command line is between it and the bridge.

    Raises:
        Refused: it is not taken.
    """
    arrived = bridge.clock.boottime()
    expires_in = math.inf if caller.key is None else None
    return await _give(bridge, caller, Message(lock_id, payload, caller.method, arrived, expires_in=expires_in))


async def give_plainly(bridge: Bridge, caller: Caller, lock_id: str, action: Action) -> Receipt:
    """Have an action carried out for a client of Seam's.

    Such a client cannot say how long its command is good for. It waits for the answer, so it is as fresh as one that
    does. What makes the command hopeless it learns from the attempt.

    Raises:
        Refused: it is not taken.
    """
    payload = text.encode({"action": action.value})
    arrived = bridge.clock.boottime()
    message = Message(lock_id, payload, caller.method, arrived, expires_in=math.inf, told_as_attempt=True)
    return await _give(bridge, caller, message)


async def _give(bridge: Bridge, caller: Caller, message: Message) -> Receipt:
    if caller.locks is not None and message.lock_id not in caller.locks:
        refusal = Refused(Code.LOCK_NOT_FOUND, f"There is no lock {message.lock_id[:64]!r} for this API key.")
        message = replace(message, misdirected=refusal)
    receipt = await bridge.dispatcher.submit(message)
    bridge.dispatcher.start(receipt)
    return receipt
