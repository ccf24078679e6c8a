"""The remedies, carried out: over D-Bus, and by a request to the root unit that may do what the bridge may not.

Every call is bounded in time; what cannot be done is `RadioDown`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import anyio
import structlog

from bridge.ble.bluetoothd import DEVICE, Bluetoothd, devices_at
from bridge.ble.health import Ailment
from bridge.ble.radio import Cause, RadioDown
from bridge.ble.recovery import Step

POWER_TRIES = 3
"""How often powering on is tried: a controller that was just powered off may be busy with it."""
POWER_PAUSE = 1.0
"""Seconds between those tries."""
REQUEST = "radio-reset"
"""The request's name in the runtime folder, which the path unit waits for."""
TAKEN_UP = 30.0
"""Seconds in which the root unit must take the request up."""
LOOK = 0.2
"""Seconds between two looks at whether it has."""
ALL_ADAPTERS = "all"

_log = structlog.get_logger()


class Patient(Protocol):
    """One adapter, as it is treated."""

    @property
    def address(self) -> str:
        """Upper case; empty while it is not known which adapter is used."""
        ...

    @property
    def path(self) -> str | None:
        """Its D-Bus path, while bluetoothd shows it."""
        ...

    def sever(self) -> None:
        """End its links on this side."""


Reach = Callable[[], AbstractAsyncContextManager[Bluetoothd]]


class Remedies:
    """Carries out one step at a time.

    Args:
        runtime_dir: where the root unit looks for requests; None if there is none.
        reach: connects to bluetoothd.
    """

    def __init__(self, runtime_dir: Path | None, reach: Reach = Bluetoothd.reach) -> None:
        self._request = None if runtime_dir is None else anyio.Path(runtime_dir / REQUEST)
        self._reach = reach

    @property
    def root(self) -> bool:
        """Whether there is somebody to ask for what needs root."""
        return self._request is not None

    async def take(self, step: Step, ailment: Ailment, patient: Patient | None, *, alone: bool) -> None:
        """Take a step.

        Args:
            step: one that treats, from `FORGET` to `RESET`.
            ailment: what it is taken against.
            patient: the adapter; None for bluetoothd as a whole.
            alone: whether no other adapter works, so that nothing is lost if all of them are reset.

        Raises:
            RadioDown: it could not be taken.
        """
        if step is Step.RESET:
            await self._reset(ALL_ADAPTERS if alone or patient is None else _name(_shown(patient)))
        elif patient is not None:
            await self._treat(step, patient, ailment.lock or "")

    async def _treat(self, step: Step, patient: Patient, lock: str) -> None:
        match step:
            case Step.FORGET:
                await self._forget(patient, lock)
            case Step.POWER_ON:
                await self._power(patient, cycle=False)
            case Step.POWER_CYCLE:
                await self._power(patient, cycle=True)
            case _:
                pass  # the scan is begun anew after every step

    async def _forget(self, patient: Patient, lock: str) -> None:
        """Disconnect the lock's device on this adapter; have it forgotten unless that would cost a bond."""
        adapter = _shown(patient)
        async with self._reach() as bluetoothd:
            objects = await bluetoothd.objects()
            for device in devices_at(objects, {lock}):
                if not device.startswith(f"{adapter}/"):
                    continue
                try:
                    await bluetoothd.disconnect(device)
                except RadioDown as error:  # a device that is not connected says so
                    _log.info("radio.not_disconnected", device=device, reason=error.message)
                properties = objects[device][DEVICE]
                if not (properties.get("Paired") or properties.get("Bonded")):
                    await bluetoothd.remove(adapter, device)

    async def _power(self, patient: Patient, *, cycle: bool) -> None:
        adapter = _shown(patient)
        async with self._reach() as bluetoothd:
            if cycle:
                patient.sever()
                await bluetoothd.power(adapter, on=False)
            for _ in range(POWER_TRIES - 1):
                try:
                    await bluetoothd.power(adapter, on=True)
                    break
                except RadioDown as error:
                    _log.info("radio.not_powered_on", adapter=adapter, reason=error.message)
                await anyio.sleep(POWER_PAUSE)
            else:
                await bluetoothd.power(adapter, on=True)

    async def _reset(self, scope: str) -> None:
        """Ask root for a reset of one adapter (hci0) or all of it, and wait until the request is taken up."""
        if self._request is None:
            raise RadioDown("There is no unit that could be asked for a reset: the bridge does not run under systemd.")
        part = self._request.with_suffix(".part")
        try:
            await part.write_text(f"{scope}\n")
            await part.rename(self._request)
            with anyio.move_on_after(TAKEN_UP):
                while await self._request.exists():  # noqa: ASYNC110 - a file tells nobody
                    await anyio.sleep(LOOK)
                return
            await self._request.unlink(missing_ok=True)
        except OSError as error:
            raise RadioDown(f"A reset could not be asked for: {error.strerror}.") from error
        raise RadioDown(
            "Nobody took up the request for a reset; do: systemctl enable --now lock-bridge-radio-reset.path"
        )


def runtime_dir() -> Path | None:
    """Return the runtime folder that systemd gave the bridge."""
    folder = os.environ.get("RUNTIME_DIRECTORY")
    return Path(folder) if folder else None


def _shown(patient: Patient) -> str:
    if patient.path is None:
        raise RadioDown("bluetoothd does not show the adapter.", Cause.ABSENT)
    return patient.path


def _name(path: str) -> str:
    return path.rpartition("/")[2]
