"""The service manager, kept informed for as long as the bridge runs: that all goes well, and how it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio

from bridge.service import sdnotify, status, watchdog

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge


async def keep_informed(bridge: Bridge) -> None:
    """Tell the service manager, if there is one, the bridge's condition, and feed its watchdog."""
    if not sdnotify.listens():
        return
    async with anyio.create_task_group() as group:
        group.start_soon(status.keep_told, lambda: _condition(bridge), sdnotify.tell)
        if (every := watchdog.pause(os.environ, os.getpid())) is not None:
            group.start_soon(watchdog.keep_fed, bridge.progress, every, sdnotify.tell)


def _condition(bridge: Bridge) -> status.Condition:
    locks = tuple(bridge.states.lock_ids())
    return status.Condition(
        locks=len(locks),
        unreachable=sum(not bridge.states.known(lock_id) for lock_id in locks),
        broker=bridge.outbox.serving,
        radio=bridge.radio.usable if bridge.config.bluetooth.radio == "bluez" else None,
        stuck=bridge.progress.overdue(),
    )
