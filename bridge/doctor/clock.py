"""Whether the time of day is right, which `expires_at` and every time stamp rely on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.clock import SystemClock
from bridge.doctor.finding import Finding, ok, warning

if TYPE_CHECKING:
    from bridge.doctor.machine import Machine

_BUILT = datetime(2026, 1, 1, tzinfo=UTC)
"""Earlier than this no version of the bridge was there to ask."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the clock."""

    wall: datetime
    synchronised: bool
    """Whether a time service has set it."""
    vouched: bool
    """Whether the configuration vouches for it."""
    hardware_clock: bool
    """Whether the machine keeps time while it is off."""
    believed: bool | None = None
    """Whether the running bridge believes it; None if it did not say."""


def look(machine: Machine, *, vouched: bool, believed: bool | None = None) -> Facts:
    """Gather the facts."""
    return Facts(
        wall=datetime.now(UTC),
        synchronised=SystemClock().trusted(),
        vouched=vouched,
        hardware_clock=bool(machine.names("/sys/class/rtc")),
        believed=believed,
    )


def judge(facts: Facts) -> list[Finding]:
    """Tell what the clock is good for."""
    told = f"it is {facts.wall:%Y-%m-%d %H:%M:%S} UTC"
    if facts.wall < _BUILT:
        return [_wrong(f"the clock is wrong: {told}")]
    if facts.synchronised and facts.believed is False:
        return [
            warning(
                "clock",
                f"{told}, set by a time service, but the service's sandbox keeps the running bridge from seeing that: "
                "an unlock that carries expires_at is refused (CLOCK_NOT_TRUSTED)",
                "use systemd-timesyncd, or install other-time-service.conf as the README says",
            )
        ]
    if facts.synchronised:
        without = "" if facts.hardware_clock else "; without a hardware clock it is wrong after each start, until then"
        return [ok("clock", f"{told}, set by a time service{without}")]
    if facts.vouched:
        return [
            warning(
                "clock",
                f'{told}, set by no time service, and believed because of trust_clock = "always"',
                'see that the clock is right; else use trust_clock = "auto" and a time service '
                "(timedatectl set-ntp true)",
            )
        ]
    return [_wrong(f"{told}, but no time service has set the clock")]


def _wrong(message: str) -> Finding:
    return warning(
        "clock",
        f"{message}; an unlock that carries expires_at is refused (CLOCK_NOT_TRUSTED), and events may be dated wrongly",
        "let a time service set it: timedatectl set-ntp true, and allow NTP (UDP port 123) to the network",
    )
