"""Whether a Raspberry Pi gets enough power: radio and SD card are the first to suffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from bridge.doctor.machine import Machine

CHECK = "power"
_SYSFS = "/sys/devices/platform/soc/soc:firmware/get_throttled"
_NOW = 0x1
"""The voltage is too low (Raspberry Pi firmware, `get_throttled`)."""
_SINCE_START = 0x10000
"""The voltage has been too low."""
_REMEDY = "use the power supply that is made for this model, and a short cable"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the firmware tells."""

    model: str
    """The machine's, as its device tree says; empty if it has none."""
    throttled: int | None
    """The firmware's bits; None if they cannot be read."""


async def look(machine: Machine) -> Facts:
    """Gather the facts."""
    model = machine.text("/proc/device-tree/model") or ""
    if "Raspberry Pi" not in model:
        return Facts(model, None)
    text = machine.text(_SYSFS)
    if text is None and (printed := await machine.prints("vcgencmd", "get_throttled")):
        text = printed.text.partition("=")[2]
    return Facts(model, bits(text or ""))


def bits(text: str) -> int | None:
    """Return the firmware's bits, which it prints in hexadecimal."""
    try:
        return int(text.strip().removeprefix("0x"), 16)
    except ValueError:
        return None


def judge(facts: Facts) -> list[Finding]:
    """Tell whether the power is good enough; nothing of a machine that does not measure it."""
    if "Raspberry Pi" not in facts.model:
        return []
    if facts.throttled is None:
        return [warning(CHECK, "the firmware does not tell this user of its power", "run the doctor with sudo")]
    if facts.throttled & _NOW:
        return [failure(CHECK, "the voltage is too low now", _REMEDY)]
    if facts.throttled & _SINCE_START:
        return [warning(CHECK, "the voltage has been too low since the start", _REMEDY)]
    return [ok(CHECK, f"{facts.model}: the voltage has been good since the start")]
