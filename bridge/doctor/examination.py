"""The whole examination: every check on its own, all at one time, none for longer than its patience.

Rules:
1. A check that cannot be made is itself a finding; no check keeps another from being made.
2. Nothing is changed: no setting, no file, no connection of the running bridge.
3. Gathering is done here and in each check's `look`; judging is done on what was gathered, without asking again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from bridge import catalog, radios
from bridge.app import JOURNAL_FILE
from bridge.clock import SystemClock
from bridge.doctor import bluetooth, clock, configuration, disk, files, power, reception, records, service, software
from bridge.doctor.finding import Finding, Status, ok, warning
from bridge.errors import BridgeError
from drivers.base import BluezBound, DriverError

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.doctor.machine import Machine

PATIENCE = 20.0
"""Seconds in which each check must be made."""


class Unaskable(BridgeError):
    """The running bridge may not be asked by this user. The message says why."""


Ask = Callable[[], Mapping[str, Any] | None]
"""Asks the running bridge how it is (`GET /bridge/diagnostics`); None if none runs. Raises `Unaskable`."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    at: datetime
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no failure."""
        return all(finding.status is not Status.FAILURE for finding in self.findings)

    def body(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "ok": self.healthy,
            "at": self.at.isoformat(timespec="seconds"),
            "checks": [
                {
                    "check": each.check,
                    "status": each.status.value,
                    "message": each.message,
                    **({"remedy": each.remedy} if each.remedy is not None else {}),
                }
                for each in self.findings
            ],
        }


async def examine(config: Config | None, machine: Machine, ask: Ask, already: Sequence[Finding] = ()) -> Report:
    """Look at everything.

    Args:
        config: what to look for; None if it cannot be used, and then only the machine is looked at.
        machine: this one.
        ask: asks the running bridge.
        already: what was found before.
    """
    facts = await _service(machine, ask)
    said = facts.said
    checks: dict[str, Callable[[], Awaitable[list[Finding]]]] = {}
    if config is not None:
        checks["configuration"] = partial(_in_thread, partial(_configuration, config))
    checks["service"] = partial(_judged, partial(service.judge, facts))
    looked = anyio.Event()
    checks["bluetooth"] = partial(_bluetooth, config, machine, looked, running=facts.running)
    if config is not None:
        checks["signal"] = partial(_signal, config, said, looked, running=facts.running)
        checks["broker"] = partial(_broker, config, machine, said)
        checks["files"] = partial(_in_thread, partial(_files, config))
        checks["disk"] = partial(_in_thread, partial(_disk, config, machine))
        checks["journal"] = partial(_in_thread, partial(_journal, config))
    checks["clock"] = partial(_judged, partial(_clock, config, machine, said))
    checks["power"] = partial(_power, machine)
    checks["software"] = partial(_in_thread, partial(_software, config))
    found: dict[str, list[Finding]] = {}
    async with anyio.create_task_group() as group:
        for name, check in checks.items():
            group.start_soon(_safely, name, check, found)
    return Report(datetime.now(UTC), (*already, *(each for name in checks for each in found[name])))


async def _safely(name: str, check: Callable[[], Awaitable[list[Finding]]], found: dict[str, list[Finding]]) -> None:
    try:
        with anyio.fail_after(PATIENCE):
            found[name] = await check()
    except TimeoutError:
        found[name] = [
            warning(name, f"this could not be looked at within {PATIENCE:g} s", "see how busy the machine is (top)")
        ]
    except PermissionError as error:
        found[name] = [
            warning(name, f"this user may not look at {error.filename or 'what it takes'}", "run the doctor with sudo")
        ]
    except Exception as error:  # noqa: BLE001 - rule 1
        words = f": {error}" if isinstance(error, BridgeError | DriverError | OSError) else f" ({type(error).__name__})"
        found[name] = [warning(name, f"this could not be looked at{words}", "report it, with what led to it")]


async def _in_thread(check: Callable[[], list[Finding]]) -> list[Finding]:
    return await anyio.to_thread.run_sync(check, abandon_on_cancel=True)


async def _judged(check: Callable[[], list[Finding]]) -> list[Finding]:
    return check()


async def _service(machine: Machine, ask: Ask) -> service.Facts:
    denied: str | None = None
    said: Mapping[str, Any] | None = None
    try:
        said = await anyio.to_thread.run_sync(ask)
    except Unaskable as error:
        denied = str(error)
    return service.Facts(await service.look(machine), running=said is not None, denied=denied, said=said)


def _configuration(config: Config) -> list[Finding]:
    from bridge.config import DEFAULT_FILE

    mistakes, warnings = configuration.look(config)
    file = config.source.file or DEFAULT_FILE
    return configuration.judge(file, mistakes, warnings, stranger=configuration.strangers(config.bridge.state_dir))


async def _bluetooth(config: Config | None, machine: Machine, looked: anyio.Event, *, running: bool) -> list[Finding]:
    """Look at Bluetooth; `looked` is set once it does not matter any more that the doctor scans by itself."""
    if config is not None and config.bluetooth.radio == "virtual":
        return [ok("bluetooth", "does not apply: the radio is the virtual one, and needs no Bluetooth")]
    try:
        trouble, adapters = await _asked_of_bluetoothd()
    finally:
        looked.set()
    printed = await machine.prints("bluetoothctl", "--version")
    near, bridges = bluetooth.neighbours(machine)
    log = await _kernel_log(machine)
    facts = bluetooth.Facts(
        version=bluetooth.version_of(printed.text) if printed else None,
        trouble=trouble,
        adapters=adapters,
        kernel_adapters=bluetooth.kernel_adapters(machine),
        blocked=bluetooth.blocked(machine),
        wanted=tuple(each.upper() for each in config.bluetooth.adapters) if config else (),
        drivers=_bluez_bound(config) if config else (),
        locks=frozenset(lock.address.upper() for lock in config.locks) if config else frozenset(),
        bridge_runs=running,
        neighbours=near,
        bridges=bridges,
        model=machine.text("/proc/device-tree/model") or "",
        wifi=machine.text("/sys/class/net/wlan0/operstate") == "up",
        kernel_log=None if log is None else bluetooth.troubles(log),
    )
    return bluetooth.judge(facts)


def _bluez_bound(config: Config) -> tuple[BluezBound, ...]:
    """Return the drivers that not every BlueZ can be used with; one that cannot be loaded is told elsewhere."""
    found: list[BluezBound] = []
    for name in sorted({lock.driver for lock in config.locks}):
        with suppress(catalog.DriverMissing):
            driver = catalog.load(name)
            if isinstance(driver, BluezBound):
                found.append(driver)
    return tuple(found)


async def _asked_of_bluetoothd() -> tuple[str | None, tuple[bluetooth.Adapter, ...]]:
    from bridge.ble.bluetoothd import Bluetoothd

    try:
        async with Bluetoothd.reach() as bluetoothd:
            return None, bluetooth.adapters_of(await bluetoothd.objects())
    except DriverError as error:
        return error.message, ()


async def _kernel_log(machine: Machine) -> str | None:
    """Return this boot's log of the kernel; None if it may not be read."""
    for command in (("dmesg",), ("journalctl", "-k", "-b", "-q", "-o", "cat", "--no-pager", "-n", "20000")):
        printed = await machine.prints(*command)
        if printed is not None and printed.code == 0 and printed.text:
            return printed.text
    return None


async def _signal(
    config: Config, said: Mapping[str, Any] | None, looked: anyio.Event, *, running: bool
) -> list[Finding]:
    if config.bluetooth.radio == "virtual":
        return [ok("signal", "does not apply: virtual locks are always in range")]
    if running and said is not None:
        return reception.judge(reception.by_bridge(said["locks"]))
    if not config.locks:
        return reception.judge(reception.Facts((), by_bridge=False))
    await looked.wait()
    ours_not = config.model_copy(update={"locks": ()})  # what another program is connected to is left alone
    radio = radios.make(ours_not, SystemClock(), {})
    return reception.judge(await reception.listen(radio, {lock.id: lock.address for lock in config.locks}))


async def _broker(config: Config, machine: Machine, said: Mapping[str, Any] | None) -> list[Finding]:
    from bridge.config.mistakes import ConfigError
    from bridge.doctor import broker
    from bridge.mqtt.settings import mqtt_settings
    from bridge.mqtt.topics import Topics

    try:
        settings = mqtt_settings(config)
    except ConfigError as error:
        return [broker.unseen(str(error), said)]
    if settings.username is not None and settings.password is None and config.mqtt.cert_file is None:
        return [broker.unseen("the broker's password is told to the bridge's service alone", said)]
    topics = Topics(f"{config.mqtt.prefix}/{config.bridge.id}", config.mqtt.response_prefixes)
    return broker.judge(await broker.look(machine, settings, topics, local=config.mqtt.address.local))


def _files(config: Config) -> list[Finding]:
    named = (config.mqtt.password_file, config.mqtt.key_file, config.http.key_file, config.webhooks.secret_file)
    others = [each for each in named if each is not None]
    return files.judge(files.look(config.bridge.state_dir, others))


def _disk(config: Config, machine: Machine) -> list[Finding]:
    return disk.judge(disk.look(machine, config.bridge.state_dir))


def _journal(config: Config) -> list[Finding]:
    from bridge.journal.inspection import inspect

    return records.judge(inspect(config.bridge.state_dir / JOURNAL_FILE))


def _clock(config: Config | None, machine: Machine, said: Mapping[str, Any] | None) -> list[Finding]:
    vouched = config is not None and config.bridge.trust_clock == "always"
    return clock.judge(clock.look(machine, vouched=vouched, believed=said["clock_trusted"] if said else None))


async def _power(machine: Machine) -> list[Finding]:
    return power.judge(await power.look(machine))


def _software(config: Config | None) -> list[Finding]:
    installed, broken = software.look()
    return software.judge(installed, broken, frozenset(lock.driver for lock in config.locks) if config else frozenset())
