"""Whether Bluetooth can be used, and who else uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from bridge.doctor.machine import Machine
    from drivers.base import BluezBound

Version = tuple[int, ...]

PASSIVE: Version = (5, 56)
"""The first BlueZ that is tried with the bridge."""
UNSTUCK: Version = (5, 88)
"""The first BlueZ whose scans do not get stuck when two programs stop them at one time (bluez #807)."""
UPGRADE = "use a distribution with a newer one (Raspberry Pi OS or Debian trixie has 5.82)"

_ON_BOARD = ("brcm", "bcm", "hci_uart")
"""In the names of drivers of the chip on a Raspberry Pi, which shares its aerial with Wi-Fi."""
_ONE_AERIAL = re.compile(r"Raspberry Pi (3|Zero W|Zero 2)")

_NEIGHBOURS = {
    "homeassistant": "Home Assistant",
    "hass": "Home Assistant",
    "TheengsGateway": "Theengs Gateway",
    "bt-mqtt-gateway": "bt-mqtt-gateway",
    "ble2mqtt": "ble2mqtt",
    "bluetoothctl": "bluetoothctl",
    "blueman-applet": "Blueman",
    "btmon": "btmon",
}
"""Programs that use Bluetooth, by a word of their command line."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter as bluetoothd shows it."""

    name: str
    """Such as `hci0`."""
    address: str
    powered: bool
    discovering: bool
    connected: Sequence[str] = ()
    """Upper-case addresses of the devices that are connected to."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of Bluetooth on this machine."""

    version: Version | None
    """BlueZ's; None if it is not installed, or does not tell."""
    trouble: str | None
    """Why bluetoothd could not be asked, in a sentence."""
    adapters: tuple[Adapter, ...] = ()
    kernel_adapters: tuple[tuple[str, str], ...] = ()
    """Those that the kernel has: name and driver."""
    blocked: tuple[tuple[str, str], ...] = ()
    """Those that rfkill blocks: name, and `soft` or `hard`."""
    wanted: tuple[str, ...] = ()
    """Upper-case addresses of the configured adapters."""
    drivers: tuple[BluezBound, ...] = ()
    """Those of the configured locks that not every BlueZ can be used with."""
    locks: frozenset[str] = frozenset()
    """Upper-case addresses of the configured locks."""
    bridge_runs: bool = False
    neighbours: tuple[str, ...] = ()
    """Other programs that use Bluetooth."""
    bridges: int = 0
    """How many bridges run on this machine."""
    model: str = ""
    """The machine's, as its device tree says."""
    wifi: bool = False
    """Whether it uses Wi-Fi."""
    kernel_log: tuple[str, ...] | None = field(default=())
    """Lines of the kernel's log about a controller that does not answer; None if it may not be read."""


def version_of(text: str) -> Version | None:
    """Return the version in what BlueZ's tools print."""
    found = re.search(r"\b(\d+(?:\.\d+)+)\b", text)
    return None if found is None else tuple(int(part) for part in found[1].split("."))


def adapters_of(objects: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[Adapter, ...]:
    """Return the adapters among bluetoothd's objects, in order of their names."""
    found: list[Adapter] = []
    for path, interfaces in sorted(objects.items()):
        if "org.bluez.Adapter1" not in interfaces:
            continue
        properties = interfaces["org.bluez.Adapter1"]
        devices = [each["org.bluez.Device1"] for each in objects.values() if "org.bluez.Device1" in each]
        connected = [
            str(device["Address"]).upper()
            for device in devices
            if device.get("Connected") and str(device.get("Adapter")) == path
        ]
        found.append(
            Adapter(
                name=path.rpartition("/")[2],
                address=str(properties.get("Address", "")).upper(),
                powered=bool(properties.get("Powered")),
                discovering=bool(properties.get("Discovering")),
                connected=tuple(connected),
            )
        )
    return tuple(found)


def neighbours(machine: Machine) -> tuple[tuple[str, ...], int]:
    """Return the other programs that use Bluetooth, and how many bridges run."""
    found: set[str] = set()
    bridges = 0
    for pid in machine.names("/proc"):
        words = (machine.text(f"/proc/{pid}/cmdline") or "").split("\0") if pid.isdecimal() else []
        names = [word.rpartition("/")[2] for word in words[:4]]
        bridges += "lock-bridge" in names[:2] and "run" in words
        if "--version" in words:  # asked by the doctor itself, and by a bridge that starts
            continue
        found |= {_NEIGHBOURS[name] for name in names[:3] if name in _NEIGHBOURS}
    return tuple(sorted(found)), bridges


def kernel_adapters(machine: Machine) -> tuple[tuple[str, str], ...]:
    """Return the adapters that the kernel has, with the names of their drivers."""
    folder = "/sys/class/bluetooth"
    names = [name for name in machine.names(folder) if re.fullmatch(r"hci\d+", name)]
    return tuple((name, machine.link(f"{folder}/{name}/device/driver") or "") for name in names)


def blocked(machine: Machine) -> tuple[tuple[str, str], ...]:
    """Return the adapters that rfkill blocks."""
    folder = "/sys/class/rfkill"
    found: list[tuple[str, str]] = []
    for entry in machine.names(folder):
        said = {name: machine.text(f"{folder}/{entry}/{name}") for name in ("type", "name", "soft", "hard")}
        if said["type"] == "bluetooth":
            found += [(said["name"] or entry, kind) for kind in ("hard", "soft") if said[kind] == "1"]
    return tuple(found)


def troubles(log: str) -> tuple[str, ...]:
    """Return the lines of the kernel's log that tell of a controller that does not answer."""
    lines = re.findall(
        r"(?i)^.*\bhci\d+: .*(?:tx timeout|hardware error|timed out|failed to load).*$", log, re.MULTILINE
    )
    return tuple(dict.fromkeys(lines))


def judge(facts: Facts) -> list[Finding]:
    """Tell whether Bluetooth can be used."""
    return [
        *_service(facts),
        *_version(facts),
        *([] if facts.trouble else _adapters(facts)),
        *_others(facts),
        *_hardware(facts),
    ]


def _service(facts: Facts) -> list[Finding]:
    if facts.trouble is None:
        return [ok("bluetooth.service", "bluetoothd answers, and this user may talk to it")]
    if "policy" in facts.trouble:
        remedy = "add the user to the group: usermod -aG bluetooth lock-bridge; or run the doctor with sudo"
    elif "D-Bus cannot" in facts.trouble:
        remedy = "start D-Bus: systemctl start dbus; in a container, pass /run/dbus into it"
    else:
        remedy = "start it: systemctl enable --now bluetooth; if it runs, systemctl restart bluetooth"
    return [failure("bluetooth.service", facts.trouble.removesuffix("."), remedy)]


def _version(facts: Facts) -> list[Finding]:
    if facts.version is None:
        return [
            warning(
                "bluetooth.version",
                "the version of BlueZ is not known: bluetoothctl is not installed, or does not answer",
                "install it: apt install bluez",
            )
        ]
    told = f"BlueZ {_dotted(facts.version)}"
    found = [
        failure("bluetooth.version", why, UPGRADE)
        for driver in facts.drivers
        if (why := too_old(facts.version, driver)) is not None
    ]
    if facts.version < PASSIVE:
        found.append(warning("bluetooth.version", f"{told} is older than any that the bridge is tried with", UPGRADE))
    return found or [ok("bluetooth.version", told)]


def too_old(version: Version, driver: BluezBound) -> str | None:
    """Say why a BlueZ cannot be used with a driver's locks; None if it can."""
    if version >= driver.bluez_needed:
        return None
    needed = f"{driver.bluez_reason}; {_dotted(driver.bluez_needed)} is needed"
    return f"BlueZ {_dotted(version)} is too old for {driver.name}: {needed}"


def _dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _adapters(facts: Facts) -> list[Finding]:
    found = [
        failure(
            "bluetooth.rfkill",
            f"the adapter {name} is switched off by {'a switch of the machine' if kind == 'hard' else 'rfkill'}",
            "use the switch" if kind == "hard" else "rfkill unblock bluetooth",
        )
        for name, kind in facts.blocked
    ]
    by_address = {adapter.address: adapter for adapter in facts.adapters}
    if not facts.adapters:
        return [*found, _no_adapter(facts)]
    found += [
        warning(
            "bluetooth.adapter",
            f"the configured adapter {address} is not there; there are {_list(facts.adapters)}",
            "plug it in, or correct [bluetooth] adapters",
        )
        for address in facts.wanted
        if address not in by_address
    ]
    usable = [by_address[each] for each in facts.wanted if each in by_address] if facts.wanted else [*facts.adapters]
    powered = [adapter for adapter in usable if adapter.powered]
    if not powered:
        what = "none of the configured adapters can be used" if facts.wanted else "no adapter is powered"
        return [
            *found,
            failure("bluetooth.adapter", f"{what}; there are {_list(facts.adapters)}", "bluetoothctl power on"),
        ]
    return [*found, ok("bluetooth.adapter", f"{_list(powered)} {'is' if len(powered) == 1 else 'are'} powered")]


def _no_adapter(facts: Facts) -> Finding:
    if facts.kernel_adapters:
        return failure(
            "bluetooth.adapter",
            f"the kernel has {', '.join(name for name, _ in facts.kernel_adapters)}, but bluetoothd has no adapter: "
            "its firmware did not load, or it does not answer",
            "look into the kernel's log (dmesg | grep -i bluetooth); on a Raspberry Pi: "
            "systemctl restart hciuart bluetooth",
        )
    return failure(
        "bluetooth.adapter",
        "this machine has no Bluetooth adapter",
        "plug one in; on a Raspberry Pi see that /boot/firmware/config.txt has no dtoverlay=disable-bt",
    )


def _list(adapters: Sequence[Adapter]) -> str:
    return ", ".join(f"{each.name} ({each.address}{'' if each.powered else ', powered off'})" for each in adapters)


def _others(facts: Facts) -> list[Finding]:
    check, found = "bluetooth.others", list[Finding]()
    if facts.bridges > 1:
        found.append(
            warning(
                check,
                f"{facts.bridges} bridges run on this machine, and share its Bluetooth if they have one adapter",
                "give each an adapter of its own ([bluetooth] adapters), or stop all but one",
            )
        )
    if facts.neighbours:
        found.append(
            warning(
                check,
                f"{', '.join(facts.neighbours)} may use the same adapter: connections take longer, and some fail",
                "give the bridge an adapter of its own ([bluetooth] adapters), or keep the other program from it",
            )
        )
    scanning = [each.name for each in facts.adapters if each.discovering]
    if scanning and not facts.bridge_runs:
        found.append(
            warning(
                check,
                f"another program scans on {', '.join(scanning)}",
                "find it (busctl --system monitor org.bluez) and stop it; for bluetoothctl: scan off",
            )
        )
    held = [address for each in facts.adapters for address in each.connected if address in facts.locks]
    if held and not facts.bridge_runs:
        found.append(
            warning(
                check,
                f"this machine is connected to {', '.join(held)}, and no bridge runs: nobody else reaches the lock",
                f"bluetoothctl disconnect {held[0]}",
            )
        )
    return found or [ok(check, "no other program was seen to use Bluetooth")]


def _hardware(facts: Facts) -> list[Finding]:
    found: list[Finding] = []
    if facts.kernel_log is None:
        found.append(
            warning(
                "bluetooth.controller",
                "the kernel's log, which tells of a controller that does not answer, cannot be read by this user",
                "run the doctor with sudo",
            )
        )
    elif facts.kernel_log:
        found.append(
            warning(
                "bluetooth.controller",
                f"the controller has failed to answer the kernel since the start: {facts.kernel_log[-1].strip()}",
                "see that the power supply is a good one; with a USB adapter, use another port or an extension cable; "
                "if it does not come back: systemctl restart bluetooth",
            )
        )
    else:
        found.append(ok("bluetooth.controller", "the kernel tells of no trouble with the controller"))
    on_board = any(part in driver for _, driver in facts.kernel_adapters for part in _ON_BOARD)
    if facts.wifi and on_board and _ONE_AERIAL.search(facts.model):
        found.append(
            warning(
                "bluetooth.wifi",
                f"on a {facts.model} Wi-Fi and Bluetooth share one aerial: connecting to a lock that is out of range "
                "stops Wi-Fi for as long",
                "use the network cable or a USB Bluetooth adapter",
            )
        )
    return found
