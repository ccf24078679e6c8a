"""What Seam's interface can ask for besides lock and unlock: answered like a question, with an attempt that is pending.

The action types of Seam's that are no lock's are known by name and answered as not supported.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, Strict, model_validator

from bridge.clock import Clock
from bridge.dispatcher import Dispatcher
from bridge.errors import Code, Objection, Refused, Unanswered
from bridge.model import Attempt, Command, Task
from bridge.questions import Answer, unanswered
from bridge.questions.requests import Id, Question, read
from bridge.simulation.simulator import Simulator
from bridge.wire import seam
from drivers.base import AutoLock, Method

LONGEST_DELAY = 60
"""Seconds, the longest delay that Seam knows."""
LONGEST_CODE = 32


def _whole(value: object) -> object:
    """Take a whole number for what it is: Seam's clients send seconds as `30` or as `30.0`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ConfigureAutoLock(Question, frozen=True):
    """`locks/configure_auto_lock`."""

    device_id: Id
    auto_lock_enabled: Annotated[bool, Strict()]
    auto_lock_delay_seconds: Annotated[int, Strict(), BeforeValidator(_whole), Field(ge=1, le=LONGEST_DELAY)] | None = (
        None
    )
    """Left out when it is switched off, the lock keeps its own for the next time."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.auto_lock_enabled and self.auto_lock_delay_seconds is None:
            raise ValueError('"auto_lock_delay_seconds" is required to switch it on')
        return self


class SimulateKeypadCodeEntry(Question, frozen=True):
    """`locks/simulate/keypad_code_entry`."""

    device_id: Id
    code: str = Field(min_length=1, max_length=LONGEST_CODE, repr=False)


class SimulateManualLockViaKeypad(Question, frozen=True):
    """`locks/simulate/manual_lock_via_keypad`."""

    device_id: Id


class ResetSandbox(Question, frozen=True):
    """`workspaces/reset_sandbox`."""


METHODS: Mapping[str, type[Question]] = MappingProxyType(
    {
        "locks/configure_auto_lock": ConfigureAutoLock,
        "locks/simulate/keypad_code_entry": SimulateKeypadCodeEntry,
        "locks/simulate/manual_lock_via_keypad": SimulateManualLockViaKeypad,
        "workspaces/reset_sandbox": ResetSandbox,
    }
)
"""What can be asked for, and with what."""

UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        "acs/encoders/scan_credential": "SCAN_CREDENTIAL",
        "acs/encoders/encode_credential": "ENCODE_CREDENTIAL",
        "thermostats/set_fan_mode": "SET_FAN_MODE",
        "thermostats/set_hvac_mode": "SET_HVAC_MODE",
        "thermostats/heat": "SET_HVAC_MODE",
        "thermostats/cool": "SET_HVAC_MODE",
        "thermostats/heat_cool": "SET_HVAC_MODE",
        "thermostats/off": "SET_HVAC_MODE",
        "thermostats/activate_climate_preset": "ACTIVATE_CLIMATE_PRESET",
        "thermostats/update_weekly_program": "PUSH_THERMOSTAT_PROGRAMS",
    }
)
"""What leads to attempts of the other types, none of which is a lock's: method to action type."""

_OBJECTIONS: Mapping[Code, Objection] = MappingProxyType(
    {
        Code.LOCK_NOT_FOUND: Objection.DEVICE_NOT_FOUND,
        Code.ACTION_NOT_ALLOWED: Objection.ACTION_NOT_ALLOWED,
        Code.ACTION_NOT_SUPPORTED: Objection.ACTION_NOT_SUPPORTED,
        Code.SIGNATURE_REQUIRED: Objection.SIGNATURE_REQUIRED,
        Code.RATE_LIMITED: Objection.RATE_LIMITED,
        Code.DEVICE_BUSY: Objection.DEVICE_BUSY,
        Code.DEVICE_OFFLINE: Objection.DEVICE_OFFLINE,
        Code.BRIDGE_OFFLINE: Objection.BRIDGE_OFFLINE,
        Code.STORAGE_UNAVAILABLE: Objection.STORAGE_UNAVAILABLE,
    }
)


class Tasks:
    """Takes what is asked for."""

    def __init__(self, dispatcher: Dispatcher, simulator: Simulator, identity: seam.Identity, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._simulator = simulator
        self._identity = identity
        self._clock = clock

    async def answer(self, method: str, body: object, given: Method, *, locks: frozenset[str] | None = None) -> Answer:
        """Take what is asked for, or say why it is not taken.

        Args:
            method: one of `METHODS` or `UNSUPPORTED`.
            body: decoded JSON.
            given: how it was given.
            locks: the ones that whoever asks may know of; None for all.
        """
        try:
            attempt = await self._take(method, body, given, locks)
        except Unanswered as reason:
            return unanswered(reason)
        except Refused as refusal:
            return unanswered(Unanswered(_OBJECTIONS.get(refusal.code, Objection.INVALID_INPUT), refusal.message))
        return Answer({"action_attempt": seam.action_attempt(attempt), "ok": True}, 200, str(uuid.uuid4()))

    async def _take(self, method: str, body: object, given: Method, locks: frozenset[str] | None) -> Attempt:
        if method in UNSUPPORTED:
            raise Unanswered(
                Objection.ACTION_NOT_SUPPORTED, f"{UNSUPPORTED[method]} is not supported: this bridge has locks alone."
            )
        if method not in METHODS:
            raise Unanswered(Objection.NOT_FOUND, "There is no such method.")
        match read(METHODS[method], body):
            case ConfigureAutoLock() as asked:
                setting = AutoLock(asked.auto_lock_enabled, asked.auto_lock_delay_seconds)
                lock_id = self._lock_id(asked.device_id, locks)
                # Whoever asks waits for the answer, so it is as fresh as one with an expiry.
                now = self._clock.boottime()
                command = Command(
                    lock_id,
                    Task.CONFIGURE_AUTO_LOCK,
                    given,
                    now,
                    expires_in=math.inf,
                    told_as_attempt=True,
                    setting=setting,
                )
                return await self._dispatcher.submit_task(command)
            case SimulateKeypadCodeEntry() as asked:
                return await self._simulator.keypad_code(self._lock_id(asked.device_id, locks), asked.code, given)
            case SimulateManualLockViaKeypad() as asked:
                return await self._simulator.keypad_lock(self._lock_id(asked.device_id, locks), given)
            case _:
                return await self._reset(given, locks)

    async def _reset(self, given: Method, locks: frozenset[str] | None) -> Attempt:
        if locks is not None:
            raise Unanswered(Objection.ACTION_NOT_ALLOWED, "This key is for single locks, and a reset is of all.")
        return await self._simulator.reset(given)

    def _lock_id(self, device_id: str, locks: frozenset[str] | None) -> str:
        """Return the lock that a device id names: its UUID, or the lock's own id.

        Raises:
            Unanswered: there is no such lock for whoever asks.
        """
        for lock_id in self._dispatcher.lock_ids:
            if device_id == lock_id or device_id.lower() == str(self._identity.device_id(lock_id)):
                if locks is None or lock_id in locks:
                    return lock_id
                break
        raise Unanswered(Objection.DEVICE_NOT_FOUND, "There is no such device.", data={"device_id": device_id})
