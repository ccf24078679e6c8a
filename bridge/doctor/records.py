"""Whether the journal is whole."""

from __future__ import annotations

from bridge.doctor.finding import Finding, failure, ok, warning
from bridge.journal.inspection import Inspection

CHECK = "journal"


def judge(seen: Inspection) -> list[Finding]:
    """Tell whether the bridge can go on from its journal."""
    found: list[Finding] = []
    if seen.set_aside:
        found.append(
            warning(
                CHECK,
                f"a damaged journal was set aside before: {seen.set_aside[-1]}",
                f"look for the cause (power, SD card: dmesg), then move it away from {seen.path.parent}",
            )
        )
    return [*found, _judge(seen)]


def _judge(seen: Inspection) -> Finding:
    if not seen.exists:
        return ok(CHECK, f"there is no journal at {seen.path} yet; the bridge makes one when it first runs")
    size = f"{seen.size / 2**20:.1f} MiB"
    if seen.in_use:
        return ok(CHECK, f"the bridge has the journal {seen.path} open ({size})")
    if seen.damage:
        return failure(
            CHECK,
            f"the journal {seen.path} cannot be used: {seen.damage}",
            "when it starts, the bridge sets a damaged one aside and begins anew; look for the cause "
            "(power, SD card: dmesg)",
        )
    told = f"the journal {seen.path} is whole ({size})"
    if seen.open_attempts or seen.unsent_events:
        told += (
            f"; {seen.open_attempts} attempts have no outcome yet and {seen.unsent_events} events are untold, "
            "which the bridge does when it runs"
        )
    return ok(CHECK, told)
