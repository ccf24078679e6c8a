"""What the commands that need the radio have in common: through the running bridge, which owns it, or by themselves."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from bridge import radios
from bridge.cli.boundary import Exit, Stop
from bridge.clock import SystemClock
from bridge.config import DEFAULT_FILE, Config, load
from bridge.keys.credentials import Credentials
from bridge.pairing import Pairing
from drivers.base import DriverError

if TYPE_CHECKING:
    from bridge.ble.radio import Radio
    from bridge.cli.client import Bridge

_NOWHERE = "00:00:00:00:00:00"

Word = dict[str, Any]
"""What is told of a work that goes on, as the bridge's routes tell it: its `step`, and what belongs to that."""
Hear = Callable[[Word], None]

_LAST = ("done", "paired", "unpaired")


def through(bridge: Bridge, what: str, body: dict[str, Any], hear: Hear, *, pause: float) -> Word:
    """Have the running bridge do it; return its last word.

    Args:
        bridge: does it.
        what: the route below `/bridge`.
        body: what is asked for.
        hear: is called with every word but the last.
        pause: the longest time in seconds between two of them.

    Raises:
        Stop: it came to nothing, and why.
    """
    for word in bridge.lines("bridge", what, body=body, pause=pause):
        if word["step"] in _LAST:
            return word
        if word["step"] == "failed":
            raise Stop(str(word["message"]), Exit.WRONG if word.get("wrong_usage") else Exit.FAILED)
        hear(word)
    raise Stop("the bridge stopped while it was asked; see its log", Exit.NOT_RUNNING)


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


def radio_for(config: Config, *, pairing: bool = False) -> Radio:
    """Return the configured radio; a virtual one with its locks in this process, unless they live elsewhere.

    Args:
        config: says which radio.
        pairing: whether to put the virtual locks into pairing mode, where they have one.
    """
    twins = [twin for twin, _ in radios.virtual_locks(config).values()]
    for twin in twins:
        if pairing and isinstance(twin, radios.Pairable):
            twin.pairing_mode = True
    ours_not = config.model_copy(update={"locks": ()})  # a bridge that starts may connect to them: leave its links
    return radios.make(ours_not, SystemClock(), {twin.address: twin for twin in twins})


@asynccontextmanager
async def pairing_with(config: Config) -> AsyncGenerator[Pairing]:
    """Give what pairs locks, over a radio of our own; raises as `running`."""
    radio = radio_for(config, pairing=True)
    async with running(radio):
        yield Pairing(radio, config.locks, Credentials(config.bridge.state_dir))


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
