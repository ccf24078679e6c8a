"""Whether the bridge runs, and comes back by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from bridge.doctor.machine import Machine

UNIT = "lock-bridge.service"
_ASKED = "LoadState,ActiveState,SubState,UnitFileState,WatchdogUSec,NRestarts,Result,ExecMainStatus"
_MANY_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the running bridge and of its unit."""

    unit: Mapping[str, str] | None
    """What systemd tells of the unit; None on a machine without systemd, or if it does not answer."""
    running: bool
    """Whether a bridge answers at its socket."""
    denied: str | None = None
    """Why it may not be asked."""
    said: Mapping[str, Any] | None = None
    """What it tells of itself, as `GET /bridge/diagnostics` answers."""


async def look(machine: Machine) -> Mapping[str, str] | None:
    """Ask systemd about the unit."""
    if not machine.path("/run/systemd/system").is_dir():
        return None
    printed = await machine.prints("systemctl", "show", UNIT, "--property", _ASKED)
    if printed is None or printed.code:
        return None
    return dict(line.split("=", 1) for line in printed.text.splitlines() if "=" in line)


def judge(facts: Facts) -> list[Finding]:
    """Tell whether the bridge runs and would come back."""
    return [_running(facts), *(_unit(facts.unit) if facts.unit is not None else []), *_inside(facts.said or {})]


def _running(facts: Facts) -> Finding:
    if facts.denied:
        return warning("service.running", facts.denied, "run the doctor with sudo, or join the group lock-bridge")
    if facts.running:
        return ok("service.running", "the bridge runs")
    return warning(
        "service.running",
        "no bridge runs here, or it does not answer",
        "start it: systemctl start lock-bridge, or lock-bridge run; why it ended: journalctl -u lock-bridge -e",
    )


def _unit(unit: Mapping[str, str]) -> list[Finding]:
    check = "service.unit"
    if unit.get("LoadState") != "loaded":
        return [
            warning(check, "systemd has no unit for the bridge: it does not start by itself", "install the unit file")
        ]
    found: list[Finding] = []
    if unit.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "generated"):
        found.append(
            warning(
                check, "the unit is not enabled: after a power cut the bridge stays away", f"systemctl enable {UNIT}"
            )
        )
    if unit.get("WatchdogUSec", "0") in ("0", "infinity"):
        found.append(
            warning(
                check,
                "the unit has no watchdog: a bridge that hangs is not restarted",
                f"add WatchdogSec=60 below [Service] (systemctl edit {UNIT})",
            )
        )
    restarts = unit.get("NRestarts", "0")
    if restarts.isdecimal() and int(restarts) >= _MANY_RESTARTS:
        found.append(
            warning(check, f"systemd has restarted the bridge {restarts} times", "see why: journalctl -u lock-bridge")
        )
    if unit.get("ActiveState") == "failed":
        found.append(
            failure(
                check,
                f"the unit has failed: {unit.get('Result', '?')}, exit code {unit.get('ExecMainStatus', '?')}",
                "see why: journalctl -u lock-bridge -e; then: systemctl restart lock-bridge",
            )
        )
    return found or [ok(check, "the unit is enabled and has a watchdog")]


def _inside(said: Mapping[str, Any]) -> list[Finding]:
    """Tell what the running bridge suffers from."""
    found: list[Finding] = []
    if said and not said["radio"]["usable"]:
        found.append(
            failure(
                "service.radio",
                "the running bridge has no Bluetooth adapter that it can use",
                "see the findings about Bluetooth; the bridge goes on by itself once there is one",
            )
        )
    if said and said["broker"]["trouble"]:
        found.append(
            failure(
                "service.broker",
                f"the running bridge is not connected to its broker: {said['broker']['trouble']}",
                "see the findings about the broker; the bridge goes on by itself once it is there",
            )
        )
    if said and not said["journal"]["writable"]:
        found.append(
            failure(
                "service.journal",
                "the running bridge could not write its journal the last time it tried",
                "see the findings about the disk",
            )
        )
    return found
