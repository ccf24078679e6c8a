"""How the running bridge is, for `lock-bridge doctor` and `support-bundle`: on the Unix socket only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from bridge import __version__
from bridge.errors import StorageUnavailable
from bridge.wire import timings

if TYPE_CHECKING:
    from starlette.requests import Request

    from bridge.lifecycle import Bridge

LATEST = 200
"""Attempts that are told of."""


def routes(bridge: Bridge) -> list[Route]:
    """Return the routes."""

    async def diagnostics(_request: Request) -> JSONResponse:
        return JSONResponse(await report(bridge))

    return [Route("/bridge/diagnostics", diagnostics, methods=["GET"])]


async def report(bridge: Bridge) -> dict[str, Any]:
    """Return how the bridge is: no key, code or password is in it."""
    trouble = bridge.session.last_error
    set_aside = bridge.journal.set_aside
    return {
        "version": __version__,
        "bridge_id": bridge.identity.bridge_id,
        "clock_trusted": bridge.clock.trusted(),
        "radio": {"usable": bridge.radio.usable},
        "broker": {"trouble": trouble.reason if trouble else None},
        "journal": {
            "writable": bridge.journal.writable,
            "epoch": bridge.journal.epoch,
            "set_aside": set_aside.name if set_aside else None,
        },
        "locks": _locks(bridge),
        "attempts": await _attempts(bridge),
    }


def _locks(bridge: Bridge) -> list[dict[str, Any]]:
    now = bridge.clock.boottime()
    found: list[dict[str, Any]] = []
    for lock_id, worker in bridge.workers.items():
        presence = bridge.radio.presence(worker.lock.address)
        found.append(
            {
                "lock_id": lock_id,
                "driver": worker.lock.driver.name,
                "address": worker.lock.address,
                "rssi": presence.rssi,
                "heard_s_ago": None if presence.heard_at is None else round(max(0.0, now - presence.heard_at), 1),
                "silent": presence.silent,
            }
        )
    return found


async def _attempts(bridge: Bridge) -> Sequence[timings.Timing]:
    try:
        found = await bridge.journal.search.attempts(None, 2**62, LATEST)
    except StorageUnavailable:
        return []
    return [timings.timing(attempt) for attempt in found]
