"""How well each lock is heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bridge.doctor.finding import Finding, ok, warning
from drivers.base import DriverError

if TYPE_CHECKING:
    from bridge.ble.radio import Radio

LISTENING = 6.0
"""Seconds for which the doctor listens by itself: several advertisements of every lock."""
WEAK = -80
"""dBm, below which connections often fail."""
TOO_WEAK = -90
"""dBm, below which they seldom succeed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A configured lock."""

    lock_id: str
    address: str
    rssi: int | None
    """dBm; None if it was not heard, or its strength is not known."""
    heard: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What was heard."""

    locks: Sequence[Heard]
    by_bridge: bool
    """Whether it was the running bridge that listened."""
    trouble: str | None = None
    """Why nobody could listen."""


async def listen(radio: Radio, addresses: Mapping[str, str]) -> Facts:
    """Listen for the locks, whose addresses are given by their ids.

    The radio is an own one: no bridge must be running.
    """
    heard: dict[str, int | None] = {}
    trouble: str | None = None
    try:
        async with radio.advertisements() as advertisements, anyio.create_task_group() as group:
            await group.start(radio.run)
            if not radio.usable:
                await radio.connect("00:00:00:00:00:00", within=0)  # which says why
            with anyio.move_on_after(LISTENING):
                async for advertisement in advertisements:
                    heard[advertisement.address.upper()] = advertisement.rssi
                    if heard.keys() >= {address.upper() for address in addresses.values()}:
                        break
            group.cancel_scope.cancel()
    except* DriverError as errors:
        trouble = _first(errors).message
    locks = [Heard(lock_id, at, heard.get(at.upper()), heard=at.upper() in heard) for lock_id, at in addresses.items()]
    return Facts(locks, by_bridge=False, trouble=trouble)


def by_bridge(locks: Sequence[Mapping[str, object]]) -> Facts:
    """Return what the running bridge has heard, as `GET /bridge/diagnostics` answers."""
    heard = [
        Heard(
            str(each["lock_id"]),
            str(each["address"]),
            rssi if isinstance(rssi := each["rssi"], int) else None,
            heard=each["heard_s_ago"] is not None and not each["silent"],
        )
        for each in locks
    ]
    return Facts(heard, by_bridge=True)


def judge(facts: Facts) -> list[Finding]:
    """Tell of each lock how well it is heard."""
    if facts.trouble is not None:
        return [
            warning(
                "signal",
                f"the locks cannot be listened for: {facts.trouble.removesuffix('.')}",
                "see the findings about Bluetooth",
            )
        ]
    return [_judge(lock, facts) for lock in facts.locks] or [ok("signal", "no lock is configured to listen for")]


def _judge(lock: Heard, facts: Facts) -> Finding:
    check = f"signal.{lock.lock_id}"
    if not lock.heard:
        since = "of late" if facts.by_bridge else f"within {LISTENING:g} s"
        return warning(
            check,
            f"{lock.lock_id} ({lock.address}) was not heard {since}",
            "see that its batteries are good and its Bluetooth is on, close the vendor's app on every phone around "
            "(a lock with an open connection is silent), and bring the adapter nearer",
        )
    if lock.rssi is None:
        return ok(check, f"{lock.lock_id} is heard")
    told = f"{lock.lock_id} is heard with {lock.rssi} dBm"
    nearer = "bring the adapter nearer, or use one with an aerial on a USB extension cable, away from USB 3 and metal"
    if lock.rssi < TOO_WEAK:
        return warning(check, f"{told}: too weak, most connections fail", nearer)
    if lock.rssi < WEAK:
        return warning(check, f"{told}: weak, connections take longer and some fail", nearer)
    return ok(check, told)


def _first(errors: BaseExceptionGroup[DriverError]) -> DriverError:
    error: BaseExceptionGroup[DriverError] | DriverError = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
