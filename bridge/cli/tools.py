"""What the commands that use the radio themselves have in common."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio
import structlog

from bridge import catalog, radios
from bridge.cli.boundary import Stop, tell
from bridge.clock import SystemClock
from bridge.config import DEFAULT_FILE, Config, load
from drivers.base import DriverError

if TYPE_CHECKING:
    from bridge.ble.radio import Radio
    from drivers.base import Driver

_NOWHERE = "00:00:00:00:00:00"


def quiet_logs() -> None:
    """Log nothing: what matters to the person at the terminal is said to them, and in an error."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.ERROR)


def config_or_default(path: Path | None, adapter: str | None = None) -> Config:
    """Return the configuration; on a machine that has none yet, one that is good enough to use the radio.

    Args:
        path: the file that was asked for.
        adapter: the address of the one adapter to use.

    Raises:
        ConfigError: it cannot be used.
    """
    environ = {} if adapter is None else {"LOCK_BRIDGE__BLUETOOTH__ADAPTERS": f'["{adapter}"]'}
    if path is None and not DEFAULT_FILE.exists():
        environ |= {"LOCK_BRIDGE__BRIDGE__ID": "new", "LOCK_BRIDGE__MQTT__URL": "mqtt://localhost"}
    return load(path, {**os.environ, **environ})


def all_drivers() -> dict[str, Driver]:
    """Load every installed driver; tell of those that cannot be."""
    drivers: dict[str, Driver] = {}
    for name in catalog.installed():
        try:
            drivers[name] = catalog.load(name)
        except catalog.DriverMissing as error:
            tell(f"not looked for: {error}")
    return drivers


@runtime_checkable
class Pairable(Protocol):
    """A virtual lock that can be put into pairing mode, as by holding a real one's button."""

    pairing_mode: bool


def radio_for(config: Config, *, pairing: bool = False) -> Radio:
    """Return the configured radio; a virtual one with its locks in this process, unless they live elsewhere.

    Args:
        config: says which radio.
        pairing: whether to put the virtual locks into pairing mode, where they have one.
    """
    twins = [twin for twin, _ in radios.virtual_locks(config).values()]
    for twin in twins:
        if pairing and isinstance(twin, Pairable):
            twin.pairing_mode = True
    ours_not = config.model_copy(update={"locks": ()})  # a running bridge may be connected to them: leave its links
    return radios.make(ours_not, SystemClock(), {twin.address: twin for twin in twins})


@asynccontextmanager
async def running(radio: Radio) -> AsyncGenerator[None]:
    """Run a radio.

    Raises:
        Stop: there is no adapter that can be used.
    """
    async with anyio.create_task_group() as tasks:
        await tasks.start(radio.run)
        if not radio.usable:
            raise Stop(
                f"{await _why(radio)} See that BlueZ runs (systemctl status bluetooth) "
                f"and that an adapter is powered (bluetoothctl power on)."
            )
        yield
        tasks.cancel_scope.cancel()


async def _why(radio: Radio) -> str:
    """Return why the radio cannot be used, which it says to who wants to connect."""
    try:
        await radio.connect(_NOWHERE, within=0)
    except DriverError as error:
        return error.message
    return ""
